"""One REST call is one trace: gateway, gRPC, the outbox, NATS, the consumer in another service."""

import secrets

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.e2e.client import Api, eventually
from tests.e2e.otlp import Spans

PATH = (
    "carillon-gateway-serve",
    "carillon-contacts-serve",
    "carillon-contacts-work",
    "carillon-segments-work",
)


async def test_a_call_is_followed_to_the_last_consumer(api: Api, spans: Spans) -> None:
    trace_id, parent_id = secrets.token_hex(16), secrets.token_hex(8)
    answer = await api.post(
        "/v1/contacts", {"phone": "+1234567890"}, headers={"traceparent": f"00-{trace_id}-{parent_id}-01"}
    )
    answer.ok(201)

    async def processes() -> set[str]:
        return {process for process, _ in spans.of_trace(trace_id)}

    await eventually(processes, lambda found: found >= set(PATH))
    found = spans.of_trace(trace_id)
    by_id = {span.span_id: (process, span) for process, span in found}
    (root,) = (span for process, span in found if process == PATH[0] and span.kind == Span.SPAN_KIND_SERVER)
    assert (root.name, root.parent_span_id.hex()) == ("POST /v1/contacts", parent_id)
    # From the consumer back, parent by parent, to the REST call: no break, and every process on the way.
    (last,) = (span for process, span in found if process == PATH[-1] and "contact.created" in span.name)
    on_the_way = []
    at: Span | None = last
    while at is not None:
        process, span = by_id[at.span_id]
        on_the_way.append((process, span.name))
        at = by_id[span.parent_span_id][1] if span.parent_span_id in by_id else None
    assert on_the_way[-1] == (PATH[0], "POST /v1/contacts")
    assert tuple(dict.fromkeys(process for process, _ in reversed(on_the_way))) == PATH


async def test_a_span_names_the_route_and_nobody(api: Api, spans: Spans) -> None:
    trace_id = secrets.token_hex(16)
    (
        await api.get("/v1/contacts?email=someone@example.com", headers={"traceparent": f"00-{trace_id}-{'1' * 16}-01"})
    ).ok()

    async def found() -> list[Span]:
        return [span for _, span in spans.of_trace(trace_id)]

    seen = await eventually(found, lambda spans_: any(span.name == "GET /v1/contacts" for span in spans_))
    assert "someone" not in str(seen)
