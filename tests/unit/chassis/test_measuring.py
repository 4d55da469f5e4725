from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, Counter

from chassis.measuring import exemplar, from_zero


def test_a_trace_is_named_where_it_is_recorded() -> None:
    assert exemplar(trace.INVALID_SPAN) is None
    with TracerProvider().get_tracer("test").start_as_current_span("a") as span:
        assert exemplar(span) == {"trace_id": f"{span.get_span_context().trace_id:032x}"}


def test_what_never_happened_is_there() -> None:
    registry = CollectorRegistry()
    counted = from_zero(Counter("faults_total", "", ["kind"], registry=registry), "bad", "worse")
    counted.labels("worse").inc()
    values = {kind: registry.get_sample_value("faults_total", {"kind": kind}) for kind in ("bad", "worse", "other")}
    assert values == {"bad": 0, "worse": 1, "other": None}
