"""The outermost layer: request id, trace, access log, metrics, the last catch. Pure ASGI, around every request.

It also makes /api/v1/… the same as /v1/…: one router answers both, and the path that the client used stays in
`scope["carillon.path"]`, for answers that name it.
"""

import re
import time
from collections.abc import Mapping
from functools import cache

import structlog
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import ids
from chassis.errors import Internal, Reason
from chassis.measuring import BUCKETS, exemplar
from chassis.telemetry import call_log, span, trace_of
from services.gateway.headers import HEADERS_KEY, received
from services.gateway.problem import render

log = structlog.get_logger()

REQUESTS = Counter("carillon_gateway_requests_total", "REST requests answered", ["method", "route", "status"])
SECONDS = Histogram(
    "carillon_gateway_request_seconds",
    "From the request's head to the answer's end; kind: calls, and what takes its time",
    ["method", "route", "kind"],
    buckets=[*BUCKETS, 60],
)
# Few series, so that a month of them can be asked for.
OBJECTIVES = Counter(
    "carillon_gateway_objective_requests_total",
    "Requests that met an objective and those that did not: availability (no 5xx), latency (calls within a second)",
    ["objective", "met"],
)
AVAILABLE, QUICK = (
    {met: OBJECTIVES.labels(objective, "yes" if met else "no") for met in (True, False)}
    for objective in ("availability", "latency")
)
OBJECTIVE_SECONDS = 1.0
IN_PROGRESS = Gauge("carillon_gateway_requests_in_progress", "REST requests not yet answered")

# Set in a scope whose answer waits for a job to end.
WAITS = "carillon.waits"
ALIAS, CANONICAL = "/api/v1/", "/v1/"
# A body that is longer is an upload.
CALL_BYTES = 1 << 20
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
WITHOUT_BODY = frozenset({204, 304})
QUIET = frozenset({"/healthz", "/readyz"})
# On every answer that does not say otherwise. Nothing here may be kept by a shared cache, taken for anything but what
# its type says, or shown in another page; of what a browser would do with a document, it does nothing.
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
# Where the public address is HTTPS.
ONLY_HTTPS = (b"strict-transport-security", b"max-age=31536000")


class HeadAnswered(OSError):
    """The head is out, and HEAD wants no more: what streams a body takes it for a client that has gone."""


class Edge:
    def __init__(self, app: ASGIApp, *, https: bool = False) -> None:
        """https: browsers are told to come by HTTPS only."""
        self._app = app
        self._headers = [*HEADERS, ONLY_HTTPS] if https else HEADERS
        self._in_progress = 0
        IN_PROGRESS.set_function(lambda: self._in_progress)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = scope[HEADERS_KEY] = received(scope)
        request_id = scope["carillon.request_id"] = given_or_new_id(headers)
        path = scope["carillon.path"] = scope["path"]
        if path.startswith(ALIAS):
            scope["path"] = CANONICAL + path[len(ALIAS) :]
        answer = Answering(scope, send, request_id, self._headers, kind="upload" if uploads(headers) else "call")
        structlog.contextvars.bind_contextvars(request_id=request_id)
        self._in_progress += 1
        with span(answer.method, SpanKind.SERVER, follows=trace_headers(headers)) as opened:
            try:
                await self._app(scope, receive, answer.send)
            except HeadAnswered:
                pass
            except Exception:
                log.exception("request.failed", route=route_of(scope))
                if answer.status == 0:
                    failed = render(Internal(Reason.INTERNAL, ""), instance=path, request_id=request_id)
                    await failed(scope, receive, answer.send)
            finally:
                self._in_progress -= 1
                answer.finish(opened)


class Answering:
    """Watches one answer go out."""

    def __init__(
        self, scope: Scope, send: Send, request_id: str, headers: list[tuple[bytes, bytes]], *, kind: str
    ) -> None:
        """headers: of the answer, where it has none of the name. kind: as far as the request tells."""
        self.method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self.status = 0
        self._asked = kind
        self._streams = False
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._headers = headers
        self._started = time.perf_counter()
        # HEAD is GET without the body.
        self._head_only = scope["method"] == "HEAD"
        if self._head_only:
            scope["method"] = "GET"

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = list(message.get("headers", ()))
            names = {name for name, _ in given}
            self._streams = b"content-length" not in names and self.status not in WITHOUT_BODY
            message["headers"] = [
                *given,
                *(one for one in self._headers if one[0] not in names),
                *self._scope.get("carillon.rate_headers", ()),
                (b"x-request-id", self._request_id.encode()),
            ]
        elif self._head_only:
            await self._send({**message, "body": b"", "more_body": False})
            if message.get("more_body", False):
                raise HeadAnswered
            return
        await self._send(message)

    def _kind(self) -> str:
        if self._asked != "call":
            return self._asked
        if self._streams:
            return "stream"
        return "wait" if WAITS in self._scope else "call"

    def finish(self, span: Span) -> None:
        seconds = time.perf_counter() - self._started
        route = route_of(self._scope)
        kind = self._kind()
        count, duration = measured(self.method, route, self.status, kind)
        count.inc()
        duration.observe(seconds, exemplar(span))
        if self.status and route not in QUIET:
            AVAILABLE[self.status < 500].inc()
            if kind == "call" and self.status < 500:
                QUICK[seconds <= OBJECTIVE_SECONDS].inc()
        if span.is_recording():
            span.update_name(f"{self.method} {route}")
            span.set_attributes(
                {"http.request.method": self.method, "http.route": route, "http.response.status_code": self.status}
            )
            if self.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
        if route not in QUIET:
            call_log().info(
                "request",
                request_id=self._request_id,
                **trace_of(span),
                method=self.method,
                route=route,
                status=self.status,
                ms=round(seconds * 1000, 1),
                key_id=self._scope.get("carillon.key_id"),
            )


def route_of(scope: Scope) -> str:
    """The template and never the path itself: paths hold tags, queries hold phones, hooks hold tokens."""
    if scope["path"] in QUIET:
        return str(scope["path"])
    return str(getattr(scope.get("route"), "path", "none"))


def given_or_new_id(headers: Mapping[str, str]) -> str:
    given = headers.get("x-request-id")
    if given is not None and REQUEST_ID.fullmatch(given):
        return given
    return ids.encode("req", ids.new())


def uploads(headers: Mapping[str, str]) -> bool:
    """Whether the body may be longer than CALL_BYTES."""
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdecimal() or int(length) > CALL_BYTES


def trace_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}


# Looked up once for each; routes are templates, so they are few.
@cache
def measured(method: str, route: str, status: int, kind: str) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), SECONDS.labels(method, route, kind)
