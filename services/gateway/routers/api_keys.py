"""API keys of the account, for its admin."""

from datetime import timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from carillon.accounts.v1.accounts_pb2 import NewApiKey
from chassis import ids
from chassis.db import WriteTx
from chassis.errors import Reason
from services.gateway import own_writes
from services.gateway.caller import CallerOf
from services.gateway.convert import api_keys as convert
from services.gateway.convert.values import page
from services.gateway.errors import unknown_id
from services.gateway.keyring import Keyring
from services.gateway.own_writes import Written, database
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import api_keys as schemas

routes = Routes("API keys")

ADMIN = "admin"


def key_id(text: str) -> UUID:
    known = ids.decode("key", text)
    if known is None:
        raise unknown_id("API key")
    return known


def keyring(request: Request) -> Keyring:
    found: Keyring = request.app.state.keyring
    return found


@routes.add(
    "POST",
    "/api-keys",
    operation_id="createApiKey",
    summary="Make an API key, which is shown this once",
    scope=ADMIN,
    status=201,
    answer=schemas.NewApiKey,
)
async def create_api_key(caller: CallerOf, request: Request, body: schemas.ApiKeyCreate) -> Response:
    """Stored as a digest: who loses it makes another. A test key makes test keys only."""

    async def create(tx: WriteTx) -> Written:
        made = await keyring(request).create(
            tx,
            caller.principal,
            request_id=caller.request_id,
            name=body.name,
            scopes=body.scopes,
            mode=body.mode,
            expires_at=body.expires_at,
            rate_limit=body.rate_limit_per_second,
        )
        return written(made)

    return await own_writes.write(caller, database(request), "api-keys.create", create, read=read)


def written(made: NewApiKey) -> Written:
    location = f"/api-keys/{made.api_key.id}"
    return Written(convert.new_api_key(made), 201, location=location, message=NewApiKey(api_key=made.api_key))


def read(kept: bytes) -> Written:
    return written(NewApiKey.FromString(kept))


@routes.add(
    "GET",
    "/api-keys",
    operation_id="listApiKeys",
    summary="List API keys, newest first",
    scope=ADMIN,
    answer=schemas.ApiKeyPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_api_keys(
    caller: CallerOf, request: Request, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    """Without those that were revoked."""
    found, more = await keyring(request).page(caller.principal.account, limit=limit, cursor=cursor or "")
    return caller.answer(page([convert.api_key(one) for one in found], more))


@routes.add(
    "GET",
    "/api-keys/{id}",
    operation_id="getApiKey",
    summary="Get an API key, without the key itself",
    scope=ADMIN,
    answer=schemas.ApiKey,
    reasons=[Reason.NOT_FOUND],
)
async def get_api_key(caller: CallerOf, request: Request, id: str) -> Response:
    return caller.answer(convert.api_key(await keyring(request).get(caller.principal.account, key_id(id))))


@routes.add(
    "DELETE",
    "/api-keys/{id}",
    operation_id="revokeApiKey",
    summary="Revoke an API key, in effect everywhere within 5 seconds",
    scope=ADMIN,
    status=204,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE],
)
async def revoke_api_key(caller: CallerOf, request: Request, id: str) -> Response:
    """Any but the one that asks for it."""
    await keyring(request).revoke(own_writes.as_call(caller, "api-keys.revoke"), caller.principal, key_id(id))
    return caller.gone()


@routes.add(
    "POST",
    "/api-keys/{id}/rotate",
    operation_id="rotateApiKey",
    summary="Make a key in place of another, which goes on for a while",
    scope=ADMIN,
    status=201,
    answer=schemas.NewApiKey,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE],
)
async def rotate_api_key(
    caller: CallerOf, request: Request, id: str, body: schemas.ApiKeyRotate | None = None
) -> Response:
    """The new key has the old one's name, scopes, mode, limit and expiry. The old one expires when `overlap_seconds`
    are over, or earlier where it would have anyway. A key that rotates itself goes on for 5 minutes at least."""
    old, overlap = key_id(id), timedelta(seconds=(body or schemas.ApiKeyRotate()).overlap_seconds)

    async def rotate(tx: WriteTx) -> Written:
        return written(
            await keyring(request).rotate(tx, caller.principal, old, overlap=overlap, request_id=caller.request_id)
        )

    answer = await own_writes.write(caller, database(request), "api-keys.rotate", rotate, read=read)
    keyring(request).forget(old)
    return answer


@routes.add(
    "GET",
    "/api-keys/{id}/audit",
    operation_id="auditApiKey",
    summary="Who made and ended an API key, and how much it is used",
    scope=ADMIN,
    answer=schemas.ApiKeyAudit,
    reasons=[Reason.NOT_FOUND],
)
async def audit_api_key(caller: CallerOf, request: Request, id: str) -> Response:
    """Of a revoked key too."""
    changes, uses = await keyring(request).audit(caller.principal.account, key_id(id))
    return caller.answer(convert.audit(changes, uses))
