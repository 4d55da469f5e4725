"""What an endpoint is called with: each value of path, query, header and body, checked by its own type.

FastAPI has read the endpoint's signature and made the fields; only its way to them is not taken, which asks with every
request what is known beforehand (ADR 0027). Of what FastAPI can, the endpoints here use this much: single values,
one body, and dependencies that take values too.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from fastapi.dependencies.models import Dependant
from starlette.requests import Request

from services.gateway.refusals import refused

# Of a request that has no body.
ABSENT = object()


class Arguments:
    def __init__(self, endpoint: Dependant, *, reads_body: bool = True) -> None:
        assert len(endpoint.body_params) <= 1
        assert not endpoint.cookie_params
        self._path = keyed(endpoint.path_params)
        self._query = keyed(endpoint.query_params)
        # Received in lower case; a refusal names one as it is documented.
        self._header = [(name.lower(), field) for name, field in keyed(endpoint.header_params)]
        self._body = next(iter(endpoint.body_params), None) if reads_body else None
        self._asks_query = any(field.field_info.is_required() for _, field in self._query)
        self._request = endpoint.request_param_name
        self._dependencies = [
            (str(one.name), call, inspect.iscoroutinefunction(call), Arguments(one))
            for one in endpoint.dependencies
            if (call := one.call) is not None
        ]

    async def read(self, request: Request, body: Any = ABSENT) -> dict[str, Any]:
        """By the parameters' names; what was not sent and has a default is left to it. body: of JSON, decoded.

        Raises InvalidArgument with all that is wrong at once, and what a dependency raises.
        """
        errors: list[Any] = []
        values = await self._read(request, body, errors)
        if errors:
            raise refused(errors)
        return values

    async def _read(self, request: Request, body: Any, errors: list[Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, call, waits, arguments in self._dependencies:
            before = len(errors)
            given = await arguments._read(request, body, errors)
            if len(errors) == before:
                values[name] = await call(**given) if waits else call(**given)
        if self._path:
            take(self._path, request.path_params, "path", values, errors)
        if self._query and (self._asks_query or request.scope["query_string"]):
            take(self._query, request.query_params, "query", values, errors)
        if self._header:
            take(self._header, request.headers, "header", values, errors)
        if self._body is not None:
            if body is not ABSENT:
                keep(self._body, body, ("body",), values, errors)
            elif self._body.field_info.is_required():
                errors.append(missing("body"))
        if self._request is not None:
            values[self._request] = request
        return values


def keyed(fields: list[Any]) -> list[tuple[str, Any]]:
    return [(field.alias, field) for field in fields]


def take(
    fields: list[tuple[str, Any]],
    given: Mapping[str, Any],
    place: str,
    values: dict[str, Any],
    errors: list[Any],
) -> None:
    for key, field in fields:
        value = given.get(key)
        if value is not None:
            keep(field, value, (place, field.alias), values, errors)
        elif field.field_info.is_required():
            errors.append(missing(place, field.alias))


def keep(field: Any, value: Any, at: tuple[str, ...], values: dict[str, Any], errors: list[Any]) -> None:
    found, faults = field.validate(value, values, loc=at)
    if faults:
        errors.extend(faults)
    else:
        values[field.name] = found


def missing(*at: str) -> dict[str, Any]:
    """As pydantic's errors are."""
    return {"type": "missing", "loc": at, "msg": "Field required"}
