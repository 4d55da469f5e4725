"""Logs, traces and metrics, set up once per process.

Logs are JSON lines on standard error, without phones, emails or keys. Traces (chassis.spans) go by OTLP/HTTP when
OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise the caller's trace context is still carried on.
"""

import json
import logging
import os
import sys
from typing import Any

import asyncpg
import orjson
import structlog

from chassis import spans
from chassis.span_export import SpanExport

_exports: list[SpanExport] = []


def setup(service: str, process: str, *, log_level: str = "info") -> None:
    """process: `serve` or `work`."""
    set_up_logs(f"{service}-{process}", log_level)
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        export = SpanExport(f"carillon-{service}-{process}")
        _exports.append(export)
        spans.record(export.add)


def set_up_logs(process: str, level: str) -> None:
    numeric = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_trace_id,
            without_values,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=json_line),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.WriteLoggerFactory(file=open(2, "w", closefd=False, buffering=1)),  # noqa: SIM115
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(
        level=max(numeric, logging.WARNING), format='{"level":"warning","event":"%(name)s: %(message)s"}'
    )


def json_line(event: Any, **options: Any) -> str:
    try:
        return orjson.dumps(event, **options).decode()
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits: slower, and never refused.
        return json.dumps(event, **options)


def add_trace_id(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    place = spans.current()
    if place is not None:
        event["trace_id"] = place.trace
    return event


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


def shut_down() -> None:
    """Send what is left of the traces."""
    spans.record(None)
    while _exports:
        _exports.pop().stop()
