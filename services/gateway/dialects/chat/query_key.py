"""The key in the query, which this dialect allows: taken out before anything can write the query down."""

from urllib.parse import unquote_plus

from starlette.types import Scope

from services.gateway.headers import HEADERS_KEY

PARAMETER = "apiKey"
HEADER = "apikey"


def move(scope: Scope) -> None:
    """From the query to the headers, in place, so that what is around sees the query without it too. The other ways to
    send a key go before it."""
    kept: list[str] = []
    for part in scope["query_string"].decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        if unquote_plus(name) != PARAMETER:
            kept.append(part)
        elif value:
            scope[HEADERS_KEY] = {HEADER: unquote_plus(value, errors="replace"), **scope[HEADERS_KEY]}
    scope["query_string"] = "&".join(kept).encode("latin-1")
