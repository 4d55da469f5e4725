"""What is measured alike in several places. docs/metrics.md lists all metrics.

A metric's labels take few values, all known beforehand: never an account, an id, or a path that holds one. Where it
is measured for every call the labelled child is looked up once, which costs as much as counting.
"""

import time
from functools import cache, partial
from types import TracebackType
from typing import Self, TypeVar

from opentelemetry import trace
from prometheus_client import Counter, Histogram

from chassis.telemetry import trace_of

Metric = TypeVar("Metric", Counter, Histogram)

# For requests and calls, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
# For what is done within seconds, and may wait for hours.
LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


def from_zero(metric: Metric, *values: str) -> Metric:
    """With a series for each value of its one label from the start: so the first of what never happens is a step."""
    for value in values:
        metric.labels(value)
    return metric


def exemplar(span: trace.Span) -> dict[str, str] | None:
    """The trace to look at, for a histogram's `observe`; None where the span is not recorded."""
    return trace_of(span) if span.is_recording() else None


class Method:
    """One gRPC method, on one side."""

    def __init__(self, calls: Counter, seconds: Histogram, name: str) -> None:
        """calls: by method and code. seconds: by method."""
        self.count = cache(partial(calls.labels, name))
        self.seconds = seconds.labels(name)

    def call(self, span: trace.Span) -> "MeasuredCall":
        """span: of the call."""
        return MeasuredCall(self, span)


class MeasuredCall:
    """Counted and timed at the end of the block. Whoever is in it sets the code; else it was cancelled."""

    __slots__ = ("_method", "_span", "_started", "code")

    def __init__(self, method: Method, span: trace.Span) -> None:
        self.code = "CANCELLED"
        self._method = method
        self._span = span
        self._started = 0.0

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._method.count(self.code).inc()
        self._method.seconds.observe(time.perf_counter() - self._started, exemplar(self._span))
