"""Spans: what of a failure they tell."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
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
