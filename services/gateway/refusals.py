"""Everything that can go wrong on the way to an answer, turned into a chassis error and rendered as a problem."""

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from chassis.errors import CarillonError, Internal, InvalidArgument, NotFound, Reason, Violation
from chassis.pointers import escaped
from services.gateway.errors import malformed
from services.gateway.problem import FieldCode, render

log = structlog.get_logger()

# Nobody reads this answer; the number is nginx's, for the access log.
CLIENT_CLOSED_REQUEST = 499

CODES = {
    "missing": FieldCode.REQUIRED,
    "extra_forbidden": FieldCode.UNKNOWN_FIELD,
    "string_too_long": FieldCode.TOO_LONG,
    "too_long": FieldCode.TOO_LONG,
    "string_too_short": FieldCode.TOO_SHORT,
    "too_short": FieldCode.TOO_SHORT,
    "greater_than": FieldCode.OUT_OF_RANGE,
    "greater_than_equal": FieldCode.OUT_OF_RANGE,
    "less_than": FieldCode.OUT_OF_RANGE,
    "less_than_equal": FieldCode.OUT_OF_RANGE,
    "literal_error": FieldCode.NOT_ALLOWED,
    "enum": FieldCode.NOT_ALLOWED,
    "string_pattern_mismatch": FieldCode.INVALID_FORMAT,
    "int_parsing": FieldCode.WRONG_TYPE,
    "model_attributes_type": FieldCode.WRONG_TYPE,
}
OURS = frozenset(FieldCode)
# A body of nothing but faults must not be answered with many times its length.
MOST_FAULTS, MOST_OF_A_NAME = 100, 200


def install(app: FastAPI) -> None:
    """For what is neither operation nor page: a path that is not there, a method."""
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_unknown_error)


def answer(request: Request, error: Exception) -> Response:
    """Of an operation that raised this. What is not known is our fault, and nothing of it is told."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    if not isinstance(error, CarillonError):
        return problem(request, Internal(Reason.INTERNAL, ""))
    if isinstance(error, Internal):
        log.error("request.internal", reason=error.reason)
    return problem(request, error)


def known(error: Exception) -> bool:
    return isinstance(error, CarillonError | ClientDisconnect)


def problem(request: Request, error: CarillonError) -> Response:
    return render(
        error, instance=request.scope["carillon.path"], request_id=request.scope.get("carillon.request_id", "")
    )


async def on_unknown_error(request: Request, error: Exception) -> Response:
    """The edge logs it."""
    return answer(request, error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """What the router itself refuses."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        methods = allowed_methods(request)
        refusal = problem(
            request, malformed_as(Reason.METHOD_NOT_ALLOWED, f"Only {', '.join(methods)} can be done here.")
        )
        refusal.headers["Allow"] = ", ".join(methods)
        return refusal
    if error.status_code == 404:
        return problem(request, NotFound(Reason.ROUTE_NOT_FOUND, "There is nothing at this path."))
    return problem(request, malformed("The request could not be read."))


def malformed_as(reason: str, detail: str) -> CarillonError:
    return InvalidArgument(reason, detail)


def allowed_methods(request: Request) -> list[str]:
    """Of every route with this path; where a literal path matches, only of that."""
    path = request.scope["path"]
    matching = [
        route
        for route in request.app.routes
        if isinstance(route, Route | APIRoute) and route.path_regex.match(path) is not None
    ]
    literal = [route for route in matching if route.path == path]
    methods = {method for route in literal or matching for method in route.methods or ()}
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods)


def refused(errors: Sequence[Any]) -> CarillonError:
    """pydantic's list of errors as ours, the first MOST_FAULTS of them. What was sent is never repeated: it may be
    personal."""
    violations = [Violation(pointer(one["loc"]), code(one["type"]), one["msg"]) for one in errors[:MOST_FAULTS]]
    named = ", ".join(dict.fromkeys(violation.pointer or "the body" for violation in violations))
    more = f", and {len(errors) - MOST_FAULTS} more" if len(errors) > MOST_FAULTS else ""
    return InvalidArgument(Reason.VALIDATION_FAILED, f"Refused: {named}{more}.", violations=violations)


def code(kind: str) -> str:
    if kind in OURS:
        return kind
    if kind in CODES:
        return CODES[kind]
    return FieldCode.WRONG_TYPE if kind.endswith("_type") else FieldCode.INVALID_VALUE


def pointer(location: Sequence[str | int]) -> str:
    """RFC 6901, into the body; for a parameter `/` and its name. Of a name longer than any field's, the beginning."""
    return "".join("/" + escaped(str(part)[:MOST_OF_A_NAME]) for part in location[1:])
