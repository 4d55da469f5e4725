"""Spans: what of a failure they tell, and whose are recorded."""

import contextvars

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import StatusCode

from chassis import telemetry
from chassis.errors import InvalidArgument, Reason


@pytest.fixture
def ended(monkeypatch):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracer", lambda: provider.get_tracer("test"))
    return exporter.get_finished_spans


def test_a_failure_is_told_by_its_type_alone(ended):
    said = "+14155550123 is not a number"
    with pytest.raises(InvalidArgument), telemetry.span("create"):
        raise InvalidArgument(Reason.VALIDATION_FAILED, said)

    (span,) = ended()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "InvalidArgument")
    assert said not in span.to_json()


def test_a_span_can_last_longer_than_its_block(ended):
    with telemetry.span("publish", ends=False) as opened:
        pass
    assert ended() == ()

    opened.end()

    assert [span.name for span in ended()] == ["publish"]


def test_the_environment_says_which_traces_are_recorded(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with telemetry.provider("carillon-test").get_tracer("test").start_as_current_span("create") as opened:
        assert not opened.is_recording()


@pytest.mark.parametrize("recorded", [True, False])
def test_who_goes_on_with_a_trace_does_as_who_began_it(ended, recorded):
    began = TracerProvider(sampler=ALWAYS_ON if recorded else ALWAYS_OFF).get_tracer("test")
    with began.start_as_current_span("create") as opened:
        traceparent = telemetry.current_traceparent()
    assert f"{opened.get_span_context().trace_id:032x}" in traceparent
    assert telemetry.followed(["", traceparent]) == (traceparent if recorded else "")

    with telemetry.with_remote_parent(traceparent), telemetry.span("publish") as next_one:
        assert next_one.get_span_context().trace_id == opened.get_span_context().trace_id
    with telemetry.span("consume", follows={"traceparent": traceparent}) as last:
        assert last.get_span_context().trace_id == opened.get_span_context().trace_id

    assert len(ended()) == 2 * recorded


@pytest.mark.parametrize("recorded", [True, False])
def test_what_is_called_from_here_goes_on_with_the_same_trace(monkeypatch, recorded):
    provider = TracerProvider(sampler=ALWAYS_ON if recorded else ALWAYS_OFF)
    monkeypatch.setattr(telemetry, "tracer", lambda: provider.get_tracer("test"))

    with telemetry.span("POST", follows="") as opened:
        with telemetry.span("Create") as inner:
            traceparent = telemetry.current_traceparent()
            assert inner.get_span_context().trace_id == opened.get_span_context().trace_id
            # A span that nobody records is not made: the one that began its trace stands for it.
            assert (inner.get_span_context().span_id != opened.get_span_context().span_id) == recorded
        assert telemetry.current_traceparent().split("-")[1] == traceparent.split("-")[1]

    assert int(traceparent[-2:], 16) & 1 == recorded
    assert telemetry.current_traceparent() == ""


def test_what_goes_on_after_the_span_that_began_it_is_recorded_too(ended):
    with telemetry.span("POST", follows="") as began:
        # As a task that was made there has it.
        context = contextvars.copy_context()

    def later():
        with telemetry.span("TakeReceipts") as opened:
            assert opened.is_recording()
            assert opened.get_span_context().trace_id == began.get_span_context().trace_id

    context.run(later)
    assert [span.name for span in ended()] == ["POST", "TakeReceipts"]


def test_what_follows_nothing_begins_a_trace_whatever_is_open_here(ended):
    with telemetry.span("consume") as around, telemetry.span("POST", follows={}) as opened:
        assert opened.get_span_context().trace_id != around.get_span_context().trace_id
