from prometheus_client import CollectorRegistry, Counter

from chassis import spans
from chassis.measuring import exemplar, from_zero


def test_a_trace_is_named_where_it_is_recorded() -> None:
    assert exemplar() is None
    spans.record(lambda _: None)
    try:
        with spans.Span("a") as span:
            assert span.place is not None
            assert exemplar() == {"trace_id": span.place.trace}
    finally:
        spans.record(None)


def test_what_never_happened_is_there() -> None:
    registry = CollectorRegistry()
    counted = from_zero(Counter("faults_total", "", ["kind"], registry=registry), "bad", "worse")
    counted.labels("worse").inc()
    values = {kind: registry.get_sample_value("faults_total", {"kind": kind}) for kind in ("bad", "worse", "other")}
    assert values == {"bad": 0, "worse": 1, "other": None}
