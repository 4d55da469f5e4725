"""Logs, traces and metrics, set up once per process.

Logs are JSON lines on standard error, without phones, emails or keys. Traces go by OTLP/HTTP when
OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise spans cost next to nothing and the caller's trace context is still
carried on. OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG say which are recorded; the others are carried on too, as
such, so that every process does alike with a trace. Spans are made by hand at the five places where work changes
process (REST, gRPC client and server, relay, consumer), because those are ours anyway.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Token
from functools import cache
from types import TracebackType
from typing import Any

import asyncpg
import orjson
import structlog
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

# A collector that is gone must not hold up a stop.
EXPORT_SECONDS = 2
# The last digit of a traceparent, whose last bit says that the trace is recorded.
RECORDED = tuple("13579bdf")
# Alone: OpenTelemetry's default would carry baggage as well, which nobody here has.
W3C = TraceContextTextMapPropagator()
TRACEPARENT = "traceparent"
NOTHING = context.Context()


def setup(service: str, process: str, *, log_level: str = "info") -> None:
    """process: `serve` or `work`."""
    set_up_logs(f"{service}-{process}", log_level)
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        provided = provider(f"carillon-{service}-{process}")
        provided.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS)))
        trace.set_tracer_provider(provided)


def provider(process: str) -> TracerProvider:
    """Without a sampler of its own: the environment's is taken, or all traces are recorded."""
    return TracerProvider(resource=Resource.create({"service.name": process}))


def set_up_logs(process: str, level: str) -> None:
    numeric = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            STAMP,
            add_trace_id,
            without_values,
            structlog.processors.format_exc_info,
            RENDER,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.WriteLoggerFactory(file=open(2, "w", closefd=False, buffering=1)),  # noqa: SIM115
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.getLogger("grpc._cython.cygrpc").addFilter(without_traceback)
    logging.basicConfig(
        level=max(numeric, logging.WARNING), format='{"level":"warning","event":"%(name)s: %(message)s"}'
    )


@cache
def call_log() -> Any:
    """The logger of a line about each call: without the steps that only other events need, which cost as much as the
    rest. Who uses it names request and trace itself."""
    made = structlog.wrap_logger(None, processors=[structlog.processors.add_log_level, STAMP, RENDER])
    return made.bind(process=structlog.contextvars.get_contextvars().get("process"))


def json_line(event: Any, **options: Any) -> str:
    try:
        return orjson.dumps(event, **options).decode()
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits: slower, and never refused.
        return json.dumps(event, **options)


def without_traceback(record: logging.LogRecord) -> bool:
    """gRPC shows a traceback of its own code where what it would send has nobody to get it: the client went while a
    stream to it ended, as in a rollout. That is no error of ours; the line stays, for what it is."""
    kind = record.exc_info[0] if record.exc_info else None
    if kind is not None and kind.__name__ == "ExecuteBatchError":
        record.exc_info = None
    return True


STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
RENDER = structlog.processors.JSONRenderer(serializer=json_line)


def add_trace_id(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.update(trace_of(trace.get_current_span()))
    return event


def trace_of(span: trace.Span) -> dict[str, str]:
    """As a line names it."""
    of = span.get_span_context()
    return {"trace_id": f"{of.trace_id:032x}"} if of.is_valid else {}


def without_values(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Postgres names the values of the row that it refuses; they are people's, and stay out of the log."""
    error = event.get("exc_info")
    if error is True:
        error = sys.exc_info()[1]
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, asyncpg.PostgresError):
            error.detail = None
            error.args = (type(error).__name__,)
        error = error.__cause__ or error.__context__
    return event


@cache
def tracer() -> trace.Tracer:
    """Kept: to get one costs 30 µs. One from before `setup` becomes a real one with it."""
    return trace.get_tracer("carillon")


def span(
    name: str,
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    *,
    follows: str | Mapping[str, str] | None = None,
    ends: bool = True,
) -> "Spanning":
    """A span of what happens in the block. It ends with it unless `ends` is False.

    follows: the traceparent, or the headers that may hold one, of what asked for this; an empty one begins a trace.
    Without it the span is one of the span that is open. Of an exception that leaves the block it has the type alone:
    what one says may be somebody's.
    """
    return Spanning(name, kind, follows, ends)


class Spanning:
    __slots__ = ("_ends", "_follows", "_kind", "_name", "_opened", "_token")

    def __init__(self, name: str, kind: trace.SpanKind, follows: str | Mapping[str, str] | None, ends: bool) -> None:
        self._name = name
        self._kind = kind
        self._follows = follows
        self._ends = ends
        self._opened: trace.Span = trace.INVALID_SPAN
        self._token: Token[context.Context] | None = None

    def __enter__(self) -> trace.Span:
        around: context.Context | None = None
        if self._follows is not None:
            around = remote(self._follows)
        else:
            current = trace.get_current_span()
            of = current.get_span_context()
            if of.is_valid and not of.is_remote and not of.trace_flags.sampled and not current.is_recording():
                # A trace that we do not record is carried on by the span that began it here. One that has ended is not
                # recording either, but of a trace that is: a task may go on behind the request that it began with.
                return current
        self._opened = tracer().start_span(self._name, around, self._kind)
        self._token = context.attach(trace.set_span_in_context(self._opened, around))
        return self._opened

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is None:
            return
        if isinstance(error, Exception):
            self._opened.set_status(trace.StatusCode.ERROR, type(error).__qualname__)
        context.detach(self._token)
        if self._ends:
            self._opened.end()


def shut_down() -> None:
    """Send what is left of the traces."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def current_traceparent() -> str:
    """Of the span that is open, for what goes on with it later; empty where there is none."""
    carrier: dict[str, str] = {}
    W3C.inject(carrier)
    return carrier.get(TRACEPARENT, "")


def followed(traceparents: Sequence[str]) -> str:
    """The one to continue, where what belongs to several is done together: the first that is recorded, or the first."""
    return next((one for one in traceparents if one.endswith(RECORDED)), traceparents[0])


def remote(traceparent: str | Mapping[str, str]) -> context.Context:
    """As span's `follows`."""
    carrier = {TRACEPARENT: traceparent} if isinstance(traceparent, str) else traceparent
    return W3C.extract(carrier, NOTHING) if carrier.get(TRACEPARENT) else NOTHING


@contextmanager
def with_remote_parent(traceparent: str) -> Iterator[None]:
    """Spans made inside continue the trace that the text names; an empty one begins none."""
    token = context.attach(remote(traceparent))
    try:
        yield
    finally:
        context.detach(token)
