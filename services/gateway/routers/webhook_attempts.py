"""What became of the deliveries to a webhook, and doing one again."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from chassis import ids
from chassis.db import WriteTx
from chassis.errors import Reason
from services.gateway import own_writes
from services.gateway.caller import CallerOf
from services.gateway.convert import webhooks as convert
from services.gateway.convert.values import page
from services.gateway.errors import unknown_id
from services.gateway.own_writes import Written, database
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routers.webhooks import (
    READ,
    WRITE,
    next_cursor,
    queued,
    read_cursor,
    webhook_uuid,
    webhooks,
)
from services.gateway.routes import Routes
from services.gateway.schemas import webhooks as schemas
from services.gateway.webhooks import repository, service

routes = Routes("Webhooks")

Outcome = Annotated[Literal["delivered", "failed", "gone"] | None, Query(description="Only those that ended so")]
EventId = Annotated[UUID | None, Query(description="Only those of the event", examples=[schemas.EXAMPLE_EVENT])]


@routes.add(
    "GET",
    "/webhooks/{id}/attempts",
    operation_id="listWebhookAttempts",
    summary="List attempts to deliver, newest first",
    scope=READ,
    answer=schemas.AttemptPage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def list_attempts(
    caller: CallerOf,
    request: Request,
    id: str,
    outcome: Outcome = None,
    event_id: EventId = None,
    limit: PageSize = DEFAULT_PAGE_SIZE,
    cursor: PageCursor = None,
) -> Response:
    """They are kept for 72 hours, or what the operator set."""
    account, webhook = caller.principal.account, webhook_uuid(id)
    scope = f"attempts {account} {webhook} {outcome} {event_id}"
    before = read_cursor(cursor, scope)
    async with database(request).read(account) as tx:
        await service.get(tx, account, webhook)
        rows = await repository.attempts(
            tx, account, webhook, before=before, outcome=outcome, event_id=event_id, limit=limit + 1
        )
    return caller.answer(page([convert.attempt(row) for row in rows[:limit]], next_cursor(rows, limit, scope)))


@routes.add(
    "POST",
    "/webhooks/{id}/attempts/{attempt_id}/replay",
    operation_id="replayWebhookAttempt",
    summary="Deliver the event of an attempt once more",
    scope=WRITE,
    status=202,
    answer=schemas.Queued,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE],
)
async def replay_attempt(caller: CallerOf, request: Request, id: str, attempt_id: str) -> Response:
    """At once, whatever else waits, under the same event id; if it fails, by the schedule from its beginning."""
    webhook, attempt = webhook_uuid(id), ids.decode(service.ATTEMPT_PREFIX, attempt_id)
    if attempt is None:
        raise unknown_id("attempt")

    async def replay(tx: WriteTx) -> Written:
        return queued(caller, id, await webhooks(request).replay(tx, webhook, attempt))

    return await own_writes.write(caller, database(request), "ReplayWebhookAttempt", replay)
