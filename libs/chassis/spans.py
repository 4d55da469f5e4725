"""Spans: W3C trace context in and out, and what a collector is told by OTLP (chassis.span_export).

Made by hand at the five places where work changes process (REST, gRPC client and server, relay, consumer), because
those are ours anyway, and by ourselves, because the SDK's took a fifth of what the gateway's Python does for a call
(docs/adr/0021). Where spans go nowhere, none is made, and the caller's trace is carried on all the same.
"""

import random
import re
import time
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias

from opentelemetry.proto.trace.v1.trace_pb2 import Span as Encoded

INTERNAL, SERVER, CLIENT = (
    Encoded.SPAN_KIND_INTERNAL,
    Encoded.SPAN_KIND_SERVER,
    Encoded.SPAN_KIND_CLIENT,
)
Kind: TypeAlias = Encoded.SpanKind.ValueType
# https://www.w3.org/TR/trace-context/. Of versions to come the part that is known is read.
TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
FIRST_VERSION = "00"
SAMPLED = 1
MAX_STATE_LENGTH = 512


class Place(NamedTuple):
    """A span, here or in another process, for what happens under it."""

    # Hexadecimal, as they travel.
    trace: str
    span: str
    # Whether its trace is recorded. What is not here is not below either.
    recorded: bool
    # Other vendors' `tracestate`, handed on.
    state: str = ""


_open: ContextVar[Place | None] = ContextVar("open_span", default=None)
# Takes spans that ended; None where spans go nowhere.
_ended: "Callable[[Span], None] | None" = None


def record(ended: "Callable[[Span], None] | None") -> None:
    """From now on each span is handed to `ended` at its end; with None, none is made."""
    global _ended
    _ended = ended


class Span:
    """A piece of work, open in a `with` block: whatever spans are made in there are below it.

    It ends with the block, or, with `ends` False, when `end` is called. One that an exception leaves has failed.
    """

    __slots__ = (
        "_before",
        "_ends",
        "attributes",
        "began",
        "ended",
        "failed",
        "fault",
        "kind",
        "name",
        "parent",
        "place",
    )

    def __init__(self, name: str, kind: Kind = INTERNAL, *, ends: bool = True) -> None:
        self.name = name
        self.kind = kind
        self.attributes: dict[str, str | int] = {}
        self.failed = False
        # The exception that left the block, and where it came from; what it says may be somebody's.
        self.fault: tuple[str, str] | None = None
        self._ends = ends
        self._before = self.parent = parent = _open.get()
        # None where it is not recorded.
        self.place: Place | None = None
        if _ended is None or (parent is not None and not parent.recorded):
            return
        trace = f"{random.getrandbits(128) or 1:032x}" if parent is None else parent.trace
        state = "" if parent is None else parent.state
        self.place = Place(trace, f"{random.getrandbits(64) or 1:016x}", True, state)
        self.began = time.time_ns()

    def __enter__(self) -> Self:
        if self.place is not None:
            _open.set(self.place)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        if self.place is None:
            return
        # Not by a token: a generator may be closed in another context than the one that it began in.
        _open.set(self._before)
        if isinstance(error, Exception):
            self.failed = True
            self.fault = (type(error).__qualname__, "".join(traceback.format_tb(frames)))
        if self._ends:
            self.end()

    def end(self) -> None:
        if self.place is not None and _ended is not None:
            self.ended = time.time_ns()
            _ended(self)


class Continued:
    """A block whose spans continue a trace that began elsewhere; where its headers name none, they begin one."""

    __slots__ = ("_before", "_place")

    def __init__(self, headers: Mapping[str, str]) -> None:
        """headers: `traceparent` and `tracestate` among them, or not."""
        self._place = read(headers)

    def __enter__(self) -> None:
        self._before = _open.get()
        _open.set(self._place)

    def __exit__(self, *_: object) -> None:
        _open.set(self._before)


def read(headers: Mapping[str, str]) -> Place | None:
    """None where `traceparent` is absent or is none."""
    given = headers.get("traceparent")
    found = TRACEPARENT.fullmatch(given.strip(" \t")) if given else None
    if found is None or (found[1] == FIRST_VERSION and found[5]):
        return None
    state = headers.get("tracestate", "")
    recorded = bool(int(found[4], 16) & SAMPLED)
    return Place(found[2], found[3], recorded, state if len(state) <= MAX_STATE_LENGTH else "")


def current() -> Place | None:
    """The span that is open."""
    return _open.get()


def recorded_trace() -> str | None:
    """The trace of the span that is open, where it can be looked at."""
    place = _open.get()
    return place.trace if place is not None and place.recorded and _ended is not None else None


def headers() -> dict[str, str]:
    """`traceparent` and `tracestate` of the span that is open, for who goes on with it; none where there is none."""
    place = _open.get()
    if place is None:
        return {}
    found = {"traceparent": f"{FIRST_VERSION}-{place.trace}-{place.span}-{place.recorded:02x}"}
    if place.state:
        found["tracestate"] = place.state
    return found


def current_traceparent() -> str:
    """Of the span that is open, to be kept for what goes on with it later; empty where there is none."""
    return headers().get("traceparent", "")


def with_remote_parent(traceparent: str) -> Continued:
    """As `Continued`, of what `current_traceparent` gave."""
    return Continued({"traceparent": traceparent})
