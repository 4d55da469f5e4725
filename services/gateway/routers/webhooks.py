"""Webhooks: where events are posted to. Deliveries are made by `carillon gateway work`."""

from datetime import timedelta
from uuid import UUID

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from chassis import ids, paging
from chassis.db import WriteTx
from chassis.errors import Reason
from services.gateway import own_writes
from services.gateway.caller import Caller, CallerOf
from services.gateway.convert import webhooks as convert
from services.gateway.convert.values import page
from services.gateway.errors import unknown_id
from services.gateway.own_writes import Written, database
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import webhooks as schemas
from services.gateway.webhooks import repository, service
from services.gateway.webhooks.service import PREFIX, Webhooks

routes = Routes("Webhooks")

# Whoever sets a webhook gets every kind of event: more than any scope of a noun.
READ, WRITE = "events:read", "admin"
SECRET = frozenset({"secret"})


def webhook_uuid(text: str) -> UUID:
    """Raises NotFound: what is no id names nothing."""
    found = ids.decode(PREFIX, text)
    if found is None:
        raise unknown_id("webhook")
    return found


def webhooks(request: Request) -> Webhooks:
    found: Webhooks = request.app.state.webhooks
    return found


@routes.add(
    "POST",
    "/webhooks",
    operation_id="createWebhook",
    summary="Create a webhook",
    scope=WRITE,
    status=201,
    answer=schemas.WebhookWithSecret,
)
async def create_webhook(caller: CallerOf, request: Request, body: schemas.WebhookCreate) -> Response:
    """Events from now on are posted to it, signed by Standard Webhooks. `secret` is shown this once."""

    async def create(tx: WriteTx) -> Written:
        made = await webhooks(request).create(
            tx, url=body.url, description=body.description, types=body.event_types, enabled=body.enabled
        )
        shown = convert.webhook(made.row) | {"secret": made.secret}
        return Written(shown, 201, made.row["version"], f"/webhooks/{shown['id']}", SECRET)

    return await own_writes.write(caller, database(request), "CreateWebhook", create)


@routes.add(
    "GET",
    "/webhooks",
    operation_id="listWebhooks",
    summary="List webhooks, newest first",
    scope=READ,
    answer=schemas.WebhookPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_webhooks(
    caller: CallerOf, request: Request, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    scope = f"webhooks {caller.principal.account}"
    before = read_cursor(cursor, scope)
    async with database(request).read(caller.principal.account) as tx:
        rows = await repository.page(tx, caller.principal.account, before=before, limit=limit + 1)
    return caller.answer(page([convert.webhook(row) for row in rows[:limit]], next_cursor(rows, limit, scope)))


def read_cursor(cursor: str | None, scope: str) -> UUID | None:
    """The id that the page before ended with. Raises InvalidArgument(INVALID_CURSOR)."""
    return ids.decode_suffix(paging.decode_cursor(cursor, scope, parts=1)[0]) if cursor else None


def next_cursor(rows: list[asyncpg.Record], limit: int, scope: str) -> str:
    """Empty where that was all. rows: one more than the page has, where there are more."""
    if len(rows) <= limit:
        return ""
    return paging.encode_cursor(scope, ids.encode("", rows[limit - 1]["id"])[1:])


@routes.add(
    "GET",
    "/webhooks/{id}",
    operation_id="getWebhook",
    summary="Get a webhook",
    scope=READ,
    answer=schemas.Webhook,
    reasons=[Reason.NOT_FOUND],
)
async def get_webhook(caller: CallerOf, request: Request, id: str) -> Response:
    async with database(request).read(caller.principal.account) as tx:
        row = await service.get(tx, caller.principal.account, webhook_uuid(id))
    return caller.answer(convert.webhook(row), version=row["version"])


async def update(caller: CallerOf, request: Request, id: str, body: schemas.WebhookUpdate) -> Response:
    """Only the fields sent. A disabled webhook gets no events; what waited for it goes out when it is enabled again,
    as far as events are kept."""
    webhook, changes, if_version = webhook_uuid(id), body.model_dump(exclude_unset=True), caller.if_version

    async def change(tx: WriteTx) -> Written:
        row = await webhooks(request).update(tx, webhook, changes=changes, if_version=if_version)
        return Written(convert.webhook(row), version=row["version"])

    return await own_writes.write(caller, database(request), "UpdateWebhook", change)


for method, operation_id in (("PUT", "updateWebhook"), ("PATCH", "patchWebhook")):
    routes.add(
        method,
        "/webhooks/{id}",
        operation_id=operation_id,
        summary="Change the fields sent",
        scope=WRITE,
        answer=schemas.Webhook,
        reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH],
    )(update)


@routes.add(
    "DELETE",
    "/webhooks/{id}",
    operation_id="deleteWebhook",
    summary="Delete a webhook with what waits for it and its attempts",
    scope=WRITE,
    status=204,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH],
)
async def delete_webhook(caller: CallerOf, request: Request, id: str) -> Response:
    async with database(request).write(own_writes.as_call(caller, "DeleteWebhook")) as tx:
        await webhooks(request).delete(tx, webhook_uuid(id), if_version=caller.if_version)
    return caller.gone()


@routes.add(
    "POST",
    "/webhooks/{id}/rotate-secret",
    operation_id="rotateWebhookSecret",
    summary="Make a new secret; the old one signs too for a while",
    scope=WRITE,
    answer=schemas.WebhookWithSecret,
    reasons=[Reason.NOT_FOUND],
)
async def rotate_secret(caller: CallerOf, request: Request, id: str, body: schemas.SecretRotation) -> Response:
    """Requests carry a signature by each of the two until the overlap is over. `secret` is shown this once."""
    webhook, overlap = webhook_uuid(id), timedelta(seconds=body.overlap_seconds)

    async def rotate(tx: WriteTx) -> Written:
        made = await webhooks(request).rotate(tx, webhook, overlap=overlap)
        return Written(convert.webhook(made.row) | {"secret": made.secret}, 200, made.row["version"], secrets=SECRET)

    return await own_writes.write(caller, database(request), "RotateWebhookSecret", rotate)


@routes.add(
    "POST",
    "/webhooks/{id}/test",
    operation_id="testWebhook",
    summary="Send a test event to it alone",
    scope=WRITE,
    status=202,
    answer=schemas.Queued,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE],
)
async def test_webhook(caller: CallerOf, request: Request, id: str) -> Response:
    """`webhook.test`, with no data; what came of it is among the attempts."""
    webhook = webhook_uuid(id)

    async def test(tx: WriteTx) -> Written:
        return queued(caller, id, await webhooks(request).test(tx, webhook))

    return await own_writes.write(caller, database(request), "TestWebhook", test)


def queued(caller: Caller, id: str, event_id: UUID) -> Written:
    return Written({"event_id": str(event_id)}, 202, location=f"/webhooks/{id}/attempts?event_id={event_id}")
