"""Spans, what travels of them, and what a collector is told."""

from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Encoded
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from chassis import spans
from chassis.span_export import encoded
from chassis.spans import Continued, Span

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def ended() -> Iterator[list[Span]]:
    found: list[Span] = []
    spans.record(found.append)
    yield found
    spans.record(None)


def told(found: list[Span]) -> list[Encoded]:
    (of_resource,) = ExportTraceServiceRequest.FromString(encoded(Resource(), found)).resource_spans
    (scope,) = of_resource.scope_spans
    return list(scope.spans)


def test_a_trace_goes_on_below_who_called(ended: list[Span]) -> None:
    with Continued({"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}):
        with Span("outer", spans.SERVER) as outer:
            outer.attributes = {"http.route": "/v1/contacts", "http.response.status_code": 200}
            with Span("inner", spans.CLIENT):
                inner_headers = spans.headers()
        after = spans.current()
    inner_told, outer_told = told(ended)
    assert (outer_told.trace_id.hex(), outer_told.parent_span_id.hex()) == (TRACE, PARENT)
    assert (inner_told.trace_id, inner_told.parent_span_id) == (outer_told.trace_id, outer_told.span_id)
    assert inner_headers == {"traceparent": f"00-{TRACE}-{inner_told.span_id.hex()}-01", "tracestate": "vendor=1"}
    assert (outer_told.kind, inner_told.kind) == (Encoded.SPAN_KIND_SERVER, Encoded.SPAN_KIND_CLIENT)
    assert outer_told.start_time_unix_nano <= inner_told.start_time_unix_nano <= inner_told.end_time_unix_nano
    attributes = {one.key: one.value.string_value or one.value.int_value for one in outer_told.attributes}
    assert attributes == {"http.route": "/v1/contacts", "http.response.status_code": 200}
    assert after is not None
    assert after.span == PARENT
    assert spans.current() is None


def test_who_calls_outside_of_a_trace_begins_one(ended: list[Span]) -> None:
    for _ in range(2):
        with Continued({}), Span("call"):
            pass
    first, second = told(ended)
    assert first.trace_id != second.trace_id
    assert (first.parent_span_id, len(first.trace_id)) == (b"", 16)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_is_not_recorded_is_carried_on(ended: list[Span], elsewhere: bool) -> None:
    if not elsewhere:
        spans.record(None)
    given = f"00-{TRACE}-{PARENT}-{'00' if elsewhere else '01'}"
    with Continued({"traceparent": given}), Span("call"):
        assert spans.current_traceparent() == given
        assert spans.recorded_trace() is None
    assert ended == []


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{PARENT}",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
    ],
)
def test_what_is_no_traceparent_is_as_if_it_were_not_there(traceparent: str) -> None:
    assert spans.read({"traceparent": traceparent}) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert spans.read({"traceparent": f"01-{TRACE}-{PARENT}-03-more"}) == spans.Place(TRACE, PARENT, True)


def test_a_failure_is_told_without_what_it_says(ended: list[Span]) -> None:
    with pytest.raises(ValueError, match="5551234567"), Span("call"):
        raise ValueError("+15551234567")
    (found,) = told(ended)
    (event,) = found.events
    assert found.status.code == Status.STATUS_CODE_ERROR
    said = {one.key: one.value.string_value for one in event.attributes}
    assert said["exception.type"] == "ValueError"
    assert "test_spans.py" in said["exception.stacktrace"]
    assert b"5551234567" not in found.SerializeToString().replace(b'raise ValueError("+15551234567")', b"")


def test_one_that_outlives_its_block_ends_when_it_is_said(ended: list[Span]) -> None:
    with Span("publish", ends=False) as span:
        pass
    assert ended == []
    span.end()
    assert ended == [span]
