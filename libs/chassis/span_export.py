"""Spans to a collector, by OTLP over HTTP, from a thread of their own: nobody waits for it."""

import threading
from collections import deque
from collections.abc import Mapping

import structlog
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as EncodedResource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.sdk.resources import Resource

from chassis.spans import Span

log = structlog.get_logger()

EVERY_SECONDS = 0.5
# A collector that is gone must not hold up a stop.
EXPORT_SECONDS = 2
BATCH = 512
# Of spans that wait; the oldest are dropped beyond.
MOST = 8192
SCOPE = "carillon"
FAILED = Status(code=Status.STATUS_CODE_ERROR)


class SpanExport:
    """What the environment says of the collector (OTEL_EXPORTER_OTLP_…) and of ourselves (OTEL_RESOURCE_ATTRIBUTES)
    holds as with the SDK."""

    def __init__(self, service: str) -> None:
        """service: the name that spans are found by."""
        resource = Resource.create({"service.name": service})
        self._resource = EncodedResource()
        put(self._resource.attributes, {key: str(value) for key, value in resource.attributes.items()})
        # Only its way to the collector: what it encodes are the SDK's spans.
        self._client = OTLPSpanExporter(timeout=EXPORT_SECONDS)._client
        self._waiting: deque[Span] = deque(maxlen=MOST)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def add(self, span: Span) -> None:
        self._waiting.append(span)

    def stop(self) -> None:
        """Sends what is left."""
        self._stopping.set()
        self._thread.join()
        self._client.shutdown()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
            self._send()
        self._send()

    def _send(self) -> None:
        if len(self._waiting) == MOST:
            log.warning("spans.dropped")
        for _ in range(0, len(self._waiting), BATCH):
            taken = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            sent = self._client.export(encoded(self._resource, taken))
            if self._stopping.is_set() and not sent.success:
                return


def encoded(resource: EncodedResource, spans: list[Span]) -> bytes:
    """An ExportTraceServiceRequest."""
    scope = ScopeSpans()
    scope.scope.name = SCOPE
    for span in spans:
        add(scope, span)
    of_resource = ResourceSpans(resource=resource, scope_spans=[scope])
    return ExportTraceServiceRequest(resource_spans=[of_resource]).SerializeToString()


def add(scope: ScopeSpans, span: Span) -> None:
    place, parent = span.place, span.parent
    assert place is not None
    added = scope.spans.add(
        trace_id=bytes.fromhex(place.trace),
        span_id=bytes.fromhex(place.span),
        parent_span_id=None if parent is None else bytes.fromhex(parent.span),
        trace_state=place.state,
        name=span.name,
        kind=span.kind,
        start_time_unix_nano=span.began,
        end_time_unix_nano=span.ended,
    )
    put(added.attributes, span.attributes)
    if span.failed:
        added.status.CopyFrom(FAILED)
    if span.fault is not None:
        kind, frames = span.fault
        event = added.events.add(name="exception", time_unix_nano=span.ended)
        put(event.attributes, {"exception.type": kind, "exception.stacktrace": frames})


def put(encoded: RepeatedCompositeFieldContainer[KeyValue], attributes: Mapping[str, str | int]) -> None:
    for key, value in attributes.items():
        added = encoded.add(key=key).value
        if isinstance(value, int):
            added.int_value = value
        else:
            added.string_value = value
