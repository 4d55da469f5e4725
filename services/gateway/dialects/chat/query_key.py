"""The key in the query, which this dialect allows: taken out before anything can write the query down."""

from urllib.parse import unquote_plus

from starlette.types import Scope

PARAMETER = "apiKey"
HEADER = b"apikey"


def move(scope: Scope) -> None:
    """From the query to the headers, in place, so that what is around sees the query without it too. The other ways to
    send a key go before it."""
    kept: list[str] = []
    for part in scope["query_string"].decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        if unquote_plus(name) != PARAMETER:
            kept.append(part)
        elif value and all(header != HEADER for header, _ in scope["headers"]):
            key = unquote_plus(value, errors="replace").encode("latin-1", "replace")
            scope["headers"] = [*scope["headers"], (HEADER, key)]
    scope["query_string"] = "&".join(kept).encode("latin-1")
