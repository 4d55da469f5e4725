"""The key in the query, which this dialect allows: taken out before anything can write the query down."""

from urllib.parse import unquote_plus

from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.dialects.chat.route import BASE

PARAMETER = "apiKey"
HEADER = b"apikey"


class QueryKey:
    """Pure ASGI. Of a request below BASE the parameter becomes a header, where the other ways to send a key go before
    it; of other requests the query stays as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(BASE + "/"):
            move(scope)
        await self._app(scope, receive, send)


def move(scope: Scope) -> None:
    """In place, so that the layers around see the query without it too."""
    kept: list[str] = []
    for part in scope["query_string"].decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        if unquote_plus(name) != PARAMETER:
            kept.append(part)
        elif value and all(header != HEADER for header, _ in scope["headers"]):
            key = unquote_plus(value, errors="replace").encode("latin-1", "replace")
            scope["headers"] = [*scope["headers"], (HEADER, key)]
    scope["query_string"] = "&".join(kept).encode("latin-1")
