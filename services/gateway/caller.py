"""A request that was let in: for which account, and how its calls to the services go out and its answers back."""

from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

import grpc
import orjson
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from chassis import ids
from chassis.call import Outgoing
from chassis.grpc_client import Client
from services.gateway.auth import Principal
from services.gateway.backends import Backends
from services.gateway.conditional import etag, if_version
from services.gateway.config import GatewaySettings
from services.gateway.cursors import CursorSeal
from services.gateway.errors import unknown_id

Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)

SCOPE_KEY = "carillon.caller"
JSON = "application/json"


@dataclass(slots=True)
class Caller:
    principal: Principal
    backends: Backends
    settings: GatewaySettings
    cursors: CursorSeal
    request_id: str
    # `/v1`, `/api/v1` or a dialect's: the client finds what it made under the path that it used.
    prefix: str
    if_match: str | None = None
    # (key, fingerprint) of a POST with an Idempotency-Key.
    idempotency: tuple[str, bytes] | None = None
    replayed: bool = field(default=False, init=False)

    @property
    def outgoing(self) -> Outgoing:
        return Outgoing(
            account=self.principal.account,
            scopes=tuple(sorted(self.principal.scopes)),
            request_id=self.request_id,
            idempotency=self.idempotency,
        )

    @property
    def if_version(self) -> int | None:
        """Raises Aborted where If-Match holds what is no ETag of ours."""
        return if_version(self.if_match)

    async def read(
        self,
        client: Client[Any],
        method: "grpc.aio.UnaryUnaryMultiCallable[Asked, Answered]",
        request: Asked,
    ) -> Answered:
        """A call that changes nothing; repeated once where the service was not reached."""
        timeout = self.settings.call_timeout_seconds
        return await client.unary(method, request, call=self.outgoing, timeout=timeout, safe=True)

    async def write(
        self,
        client: Client[Any],
        method: "grpc.aio.UnaryUnaryMultiCallable[Asked, Answered]",
        request: Asked,
    ) -> Answered:
        timeout = self.settings.call_timeout_seconds
        response, self.replayed = await client.unary_replayable(method, request, call=self.outgoing, timeout=timeout)
        return response

    def answer(
        self, body: object, *, status: int = 200, version: int | None = None, location: str | None = None
    ) -> Response:
        """The body, encoded once, its cursor under our seal. location: a path below the prefix."""
        headers = {}
        if isinstance(body, dict) and body.get("next_cursor"):
            body = {**body, "next_cursor": self.cursors.seal(self.principal.account, body["next_cursor"])}
        if version is not None:
            headers["ETag"] = etag(version)
        if location is not None:
            headers["Location"] = self.prefix + location
        if self.replayed:
            headers["Idempotent-Replayed"] = "true"
        return Response(orjson.dumps(body), status_code=status, media_type=JSON, headers=headers)

    def gone(self) -> Response:
        return Response(status_code=204)


def of(request: Request) -> Caller:
    caller = request.scope[SCOPE_KEY]
    assert isinstance(caller, Caller)
    return caller


# Of an endpoint's parameter, which routes.mount fills in.
CallerOf = Annotated[Caller, "of the request"]


def known_id(prefix: str, text: str, noun: str) -> str:
    """The id, when it is well formed. Raises NotFound: what is no id names nothing."""
    if ids.decode(prefix, text) is None:
        raise unknown_id(noun)
    return text
