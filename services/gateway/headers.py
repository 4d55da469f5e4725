"""The headers of a request, decoded once for all who ask."""

from collections.abc import Mapping

from starlette.types import Scope

HEADERS_KEY = "carillon.headers"


def received(scope: Scope) -> Mapping[str, str]:
    """By their names in lower case; of one that was sent more than once, the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
