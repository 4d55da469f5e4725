"""Cross-origin requests of browsers, for the origins that the deployment names (CARILLON_CORS_ORIGINS). Pure ASGI.

Keys travel in headers and never in cookies, so credentials are not allowed. Without origins there is no such layer,
and a browser keeps pages of other origins away by itself.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    b"Authorization, X-API-Key, apiKey, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, X-Request-Id, "
    b"traceparent"
)
ANSWER_HEADERS = (
    b"ETag, Location, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, "
    b"Carillon-Ignored-Fields, Content-Disposition, Link"
)
REMEMBERED_SECONDS = b"600"
ANY = "*"


class Cors:
    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        """origins: as a browser sends them, `https://app.example`; `*` is any."""
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        origin = headers.get(b"origin")
        if scope["type"] != "http" or origin is None:
            await self._app(scope, receive, send)
            return
        allowed = ANY in self._origins or origin.decode("latin-1") in self._origins
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            answer = preflight(origin) if allowed else [(b"vary", b"Origin")]
            await send({"type": "http.response.start", "status": 204, "headers": answer})
            await send({"type": "http.response.body", "body": b""})
            return

        async def exposing(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(b"vary", b"Origin")]
                if allowed:
                    more += [
                        (b"access-control-allow-origin", origin),
                        (b"access-control-expose-headers", ANSWER_HEADERS),
                    ]
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        await self._app(scope, receive, exposing)


def preflight(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", REQUEST_HEADERS),
        (b"access-control-max-age", REMEMBERED_SECONDS),
        (b"vary", b"Origin"),
    ]


def origins(text: str) -> frozenset[str]:
    """`https://a.example, https://b.example` of the settings. Raises ValueError for what no browser sends."""
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    for one in found - {ANY}:
        if not one.startswith(("https://", "http://")) or one.count("/") != 2:
            raise ValueError(f"{one!r} is not an origin such as https://app.example")
    return found
