"""What a client tells of its calls."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from chassis import grpc_client, ids, telemetry
from chassis.call import Outgoing
from chassis.ids import AccountId
from tests.service import stack


class Streaming:
    """As gRPC's multi-callable, of a method that answers with two messages."""

    _method = "/test.Service/Stream"

    def __call__(self, request, **options):
        return self

    async def __aiter__(self):
        yield "one"
        yield "two"

    def cancel(self):
        """Nothing is under way."""


@pytest.fixture
async def client():
    signer = stack.make_keys().signer("gateway")
    connected = grpc_client.Client("127.0.0.1:1", ContactsServiceStub, audience="contacts", signer=signer)
    yield connected
    await connected.stop()


async def test_a_stream_that_is_recorded_can_be_found_from_its_time(client, monkeypatch):
    monkeypatch.setattr(telemetry, "tracer", lambda: TracerProvider().get_tracer("test"))
    call = Outgoing(AccountId(ids.new()))
    with telemetry.span("GET", follows="") as opened:
        assert [one async for one in client.stream_out(Streaming(), "asked", call=call, timeout=1)] == ["one", "two"]

    trace_id = trace.format_trace_id(opened.get_span_context().trace_id)
    (metric,) = grpc_client.SECONDS.collect()
    exemplars = [one.exemplar for one in metric.samples if one.labels["method"] == Streaming._method]
    assert [one.labels for one in exemplars if one is not None] == [{"trace_id": trace_id}]
