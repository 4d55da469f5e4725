"""How an operation is declared, and the one way to every endpoint.

There is no way to declare a route without saying the scope that it needs, or that it is public. Before an endpoint
runs, StrictRoute has: checked the key and the scope, refused query parameters that the call does not know, read a JSON
body within its limit, and checked every value, but those of a body that the endpoint takes as it came (Unread).
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from chassis.errors import CarillonError, InvalidArgument, Reason, Violation
from chassis.pointers import escaped
from services.gateway import caller as callers
from services.gateway import conditional, idempotency, negotiation
from services.gateway.arguments import ABSENT, Arguments
from services.gateway.auth import Authenticator
from services.gateway.caller import Caller
from services.gateway.draining import drain
from services.gateway.json_request import JsonRequest, decoded, read_body
from services.gateway.kept_answers import KeptAnswers
from services.gateway.key_uses import KeyUses
from services.gateway.limits import RateLimiter
from services.gateway.problem import MEDIA_TYPE, STATUS, FieldCode

JSON_LIMIT_BYTES = 1 << 20
PUBLIC = None
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
CURSOR = "cursor"

ANYWHERE = (Reason.INTERNAL, Reason.UNAVAILABLE, Reason.DEADLINE_EXCEEDED)
KEYED = (
    Reason.UNAUTHENTICATED,
    Reason.PERMISSION_DENIED,
    Reason.VALIDATION_FAILED,
    Reason.RATE_LIMITED,
)
BODIED = (Reason.INVALID_REQUEST, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.PAYLOAD_TOO_LARGE)
POSTED = (Reason.IDEMPOTENCY_KEY_REUSED, Reason.IDEMPOTENCY_IN_PROGRESS)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    endpoint: Callable[..., Awaitable[Response]]
    operation_id: str
    summary: str
    tag: str
    scope: str | None
    status: int
    answer: Any
    # Further answers that are no errors: {202: (Import, "Not ended yet")}.
    others: dict[int, tuple[Any, str]]
    reasons: tuple[str, ...]
    # The OpenAPI requestBody of an upload.
    upload: dict[str, Any] | None
    # Of a JSON body. A DELETE has one only where this says so.
    body_limit: int | None
    # The media types of its answer; empty where it has none.
    produces: tuple[str, ...]
    # Whether the gateway keeps the answer under the Idempotency-Key, because no service does.
    keeps_answer: bool


@dataclass(frozen=True, slots=True)
class Unread:
    """Of an endpoint's body, which it takes as the bytes that came: `body: Annotated[bytes, Unread(Model)]`.

    The model is for the OpenAPI. Whoever gets the bytes checks them.
    """

    model: type


@dataclass(slots=True)
class Routes:
    """The operations of one noun."""

    tag: str
    operations: list[Operation] = field(default_factory=list)

    def add(
        self,
        method: str,
        path: str,
        *,
        operation_id: str,
        summary: str,
        scope: str | None,
        answer: Any = None,
        status: int = 200,
        others: dict[int, tuple[Any, str]] | None = None,
        reasons: Iterable[str] = (),
        upload: dict[str, Any] | None = None,
        body_limit: int | None = None,
        produces: tuple[str, ...] = (negotiation.JSON,),
        keeps_answer: bool = False,
    ) -> Callable[[Endpoint], Endpoint]:
        """scope: what the key must have, or PUBLIC. answer: the model of the answer's body. reasons: its own errors.
        body_limit: bytes of a JSON body; 1 MiB where none is given, for the methods that have a body.
        produces, keeps_answer: see Operation; the latter for a POST that writes nothing."""

        def keep(endpoint: Endpoint) -> Endpoint:
            self.operations.append(
                Operation(
                    method=method,
                    path=path,
                    endpoint=endpoint,
                    operation_id=operation_id,
                    summary=summary,
                    tag=self.tag,
                    scope=scope,
                    status=status,
                    answer=answer,
                    others=others or {},
                    reasons=tuple(reasons),
                    upload=upload,
                    body_limit=body_limit or (JSON_LIMIT_BYTES if method in WITH_BODY else None),
                    produces=produces if status != HTTPStatus.NO_CONTENT else (),
                    keeps_answer=keeps_answer,
                )
            )
            return endpoint

        return keep


def mount(
    app: FastAPI,
    operations: Iterable[Operation],
    *,
    prefix: str,
    in_schema: bool,
    route: "type[StrictRoute] | None" = None,
) -> None:
    """In the given order: the first that matches answers. route: StrictRoute where none is given."""
    kind = route or StrictRoute
    app.router.routes.extend(kind(operation, prefix=prefix, in_schema=in_schema) for operation in operations)


def caller_parameter(endpoint: Callable[..., Any]) -> str | None:
    """The one that it takes as CallerOf; None where it takes none."""
    parameters = inspect.signature(endpoint).parameters
    return next((name for name, one in parameters.items() if one.annotation is callers.CallerOf), None)


def unread_parameter(endpoint: Callable[..., Any]) -> tuple[str, Unread] | None:
    for name, one in inspect.signature(endpoint).parameters.items():
        for note in getattr(one.annotation, "__metadata__", ()):
            if isinstance(note, Unread):
                return name, note
    return None


def described(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The endpoint as FastAPI gets to see it: what it takes as CallerOf is no part of a request, and a body that it
    takes unread is of its model. It is not called."""
    parameters = dict(inspect.signature(endpoint).parameters)
    parameters.pop(caller_parameter(endpoint) or "", None)
    if (unread := unread_parameter(endpoint)) is not None:
        name, body = unread
        parameters[name] = parameters[name].replace(annotation=body.model)

    @wraps(endpoint)
    async def shown(**_: Any) -> Response:
        raise NotImplementedError

    shown.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    return shown


def extra(operation: Operation, *, security: list[dict[str, list[str]]]) -> dict[str, Any]:
    """What the OpenAPI tells beside what FastAPI knows."""
    found: dict[str, Any] = {"x-required-scope": operation.scope or "none"}
    if operation.body_limit not in (None, JSON_LIMIT_BYTES):
        found["x-body-limit-bytes"] = operation.body_limit
    if operation.scope is not PUBLIC:
        found["security"] = security
    if operation.upload is not None:
        found["requestBody"] = operation.upload
    return found


def responses(operation: Operation) -> dict[int | str, dict[str, Any]]:
    """Each error answer with the codes that it may carry."""
    reasons = [*operation.reasons, *ANYWHERE]
    if operation.scope is not PUBLIC:
        reasons += KEYED
    if operation.body_limit is not None:
        reasons += BODIED
    if operation.produces and operation.scope is not PUBLIC:
        reasons.append(Reason.NOT_ACCEPTABLE)
    if operation.method == "POST" and operation.scope is not PUBLIC:
        reasons += POSTED
    codes: dict[int, list[str]] = {}
    for reason in dict.fromkeys(reasons):
        codes.setdefault(STATUS[reason], []).append(str(reason))
    found: dict[int | str, dict[str, Any]] = {
        status: {"model": model, "description": description}
        for status, (model, description) in operation.others.items()
    }
    for status in sorted(codes):
        found[status] = {
            "description": f"{HTTPStatus(status).phrase}: " + ", ".join(f"`{code}`" for code in codes[status]),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found


class StrictRoute(APIRoute):
    # What the answers' own paths begin with; None is whichever of the two canonical ones the client used.
    base: ClassVar[str | None] = None
    # The ways to send a key, by their names in the OpenAPI.
    security: ClassVar[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKeyHeader": []}]

    def __init__(self, operation: Operation, *, prefix: str, in_schema: bool) -> None:
        super().__init__(
            prefix + operation.path,
            described(operation.endpoint),
            methods=[operation.method],
            operation_id=operation.operation_id,
            summary=operation.summary,
            tags=[operation.tag],
            status_code=operation.status,
            response_model=operation.answer,
            responses=responses(operation),
            openapi_extra=extra(operation, security=self.security),
            include_in_schema=in_schema,
        )
        # Starlette's ends with `$`, which a line break behind the path fits too.
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z")
        self.operation = operation
        unread = unread_parameter(operation.endpoint)
        self._unread = unread[0] if unread is not None else None
        self._arguments = Arguments(self.dependant, reads_body=self._unread is None)
        self._caller = caller_parameter(operation.endpoint)
        self._known = frozenset(query_parameters(self.dependant))
        self._takes_json = self.body_field is not None
        self._needs_json = self.body_field is not None and self.body_field.field_info.is_required()
        self._knows_versions = STATUS[Reason.VERSION_MISMATCH] in self.responses

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Of a path that Calls found no operation for: so what is a path of its own is no id here either."""
        if self.path != scope["path"] and scope["path"] in scope["app"].state.literal_paths:
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        async def handle(request: Request) -> Response:
            return await self.answer(JsonRequest(request.scope, request.receive))

        return handle

    async def answer(self, request: JsonRequest) -> Response:
        """The call, from the key to the answer. Raises chassis.errors."""
        operation = self.operation
        body_limit = operation.body_limit
        try:
            # Who calls without a key, a provider or a mail program, is not refused for what somebody hung on to the
            # URL (a tracker, a proxy), nor for what it says in Accept.
            if operation.scope is not PUBLIC:
                await admit(request, operation.scope, base=self.base)
                negotiation.check(request.headers.get("accept"), operation.produces)
                self.on_unknown_parameters(request, unknown_parameters(request, self._known))
            if operation.method != "GET" and not self._knows_versions:
                conditional.refuse(request.headers.get("if-match"))
            if CURSOR in self._known:
                request = with_own_cursor(request)
        except CarillonError:
            if body_limit is not None:
                await drain(request)
            raise
        if body_limit is not None and operation.upload is None:
            await read_body(request, takes_json=self._takes_json, needs_json=self._needs_json, limit=body_limit)
            identify(request)
        if operation.keeps_answer:
            kept: KeptAnswers = request.app.state.kept_answers
            return await kept.answer(callers.of(request), operation.operation_id, lambda: self._called(request))
        return await self._called(request)

    async def _called(self, request: JsonRequest) -> Response:
        reads = self._takes_json and self._unread is None and request.raw
        values = await self._arguments.read(request, self.body_of(request) if reads else ABSENT)
        if self._unread is not None:
            values[self._unread] = request.raw
        if self._caller is not None:
            values[self._caller] = callers.of(request)
        return await self.operation.endpoint(**values)

    def body_of(self, request: JsonRequest) -> Any:
        """Raises InvalidArgument for what is no JSON."""
        return decoded(request.raw)

    def on_unknown_parameters(self, request: Request, names: list[str]) -> None:
        """Raises InvalidArgument: a filter misspelt would otherwise answer with everything."""
        if names:
            violations = [
                Violation(f"/{escaped(name)}", FieldCode.UNKNOWN_FIELD, "The call has no such parameter.")
                for name in names
            ]
            raise InvalidArgument(
                Reason.VALIDATION_FAILED,
                "The query has parameters that this call does not know.",
                violations=violations,
            )


async def admit(request: Request, scope: str, *, base: str | None) -> None:
    """Raises Unauthenticated, ResourceExhausted or PermissionDenied; leaves a Caller behind. base: as StrictRoute's."""
    state = request.app.state
    authenticator: Authenticator = state.authenticator
    limiter: RateLimiter = state.limiter
    uses: KeyUses = state.key_uses
    principal = await authenticator.authenticate(request.headers)
    request.scope["carillon.key_id"] = principal.key_id
    try:
        await limiter.spend(principal)
        principal.require(scope)
    except CarillonError:
        uses.note(principal, refused=True)
        raise
    finally:
        request.scope["carillon.rate_headers"] = limiter.standing(principal).headers()
    uses.note(principal)
    request.scope[callers.SCOPE_KEY] = Caller(
        principal=principal,
        backends=state.backends,
        settings=state.settings,
        cursors=state.cursors,
        request_id=request.scope.get("carillon.request_id", ""),
        prefix=base or ("/api/v1" if request.scope["carillon.path"].startswith("/api/v1/") else "/v1"),
        if_match=request.headers.get("if-match"),
    )


def query_parameters(dependant: Dependant) -> Iterator[str]:
    """Those of a call and of what it depends on."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from query_parameters(dependency)


def unknown_parameters(request: Request, known: frozenset[str]) -> list[str]:
    if not request.scope["query_string"]:
        return []
    return [name for name in request.query_params if name not in known]


def with_own_cursor(request: JsonRequest) -> JsonRequest:
    """The request with the service's cursor instead of ours. Raises InvalidArgument for one not issued by us."""
    given = request.query_params.get(CURSOR)
    if not given:
        return request
    caller = callers.of(request)
    own = caller.cursors.open(caller.principal.account, given)
    query = [(name, own if name == CURSOR else value) for name, value in request.query_params.multi_items()]
    request.scope["query_string"] = urlencode(query).encode()
    return JsonRequest(request.scope, request.receive)


def identify(request: JsonRequest) -> None:
    """The Idempotency-Key of a POST. Raises InvalidArgument for one that is malformed."""
    key = idempotency.checked_key(request.headers.get(idempotency.HEADER))
    if key is None or request.method != "POST" or callers.SCOPE_KEY not in request.scope:
        return
    scope = request.scope
    print_ = idempotency.fingerprint(request.method, scope["path"], scope["query_string"], request.raw)
    callers.of(request).idempotency = (key, print_)
