"""The ledger as callers read it."""

from uuid import UUID

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.call import Call
from chassis.db import Database, ReadTx
from chassis.paging import decode_cursor, encode_cursor, page_size
from services.campaigns import checks, convert, errors
from services.campaigns.domain.recipient import Status
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import recipients as queries
from services.campaigns.repository.recipients import BEFORE_ALL

# Beyond, pages by number would count their way through the ledger.
MAX_NUMBERED = 100_000


class Recipients:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, call: Call, request: pb.ListRecipientsRequest) -> pb.ListRecipientsResponse:
        campaign_id = checks.reference(convert.CAMPAIGN, "campaign", request.campaign_id)
        size = page_size(request.per_page)
        if request.page < 0 or request.page * size > MAX_NUMBERED:
            raise errors.invalid("/page", f"page * per_page may reach {MAX_NUMBERED}; use the cursor beyond.")
        async with self._db.read(call.account, snapshot=True) as tx:
            campaign = await campaign_queries.get(tx, call.account, campaign_id)
            if campaign is None:
                raise errors.not_found("campaign", request.campaign_id)
            if request.page:
                return await numbered(tx, campaign, request, size)
            return await by_cursor(tx, campaign, request, size)


async def numbered(
    tx: ReadTx, campaign: asyncpg.Record, request: pb.ListRecipientsRequest, size: int
) -> pb.ListRecipientsResponse:
    account, campaign_id = campaign["account_id"], campaign["id"]
    status = wanted(request)
    offset = (request.page - 1) * size
    rows = await queries.numbered_page(tx, account, campaign_id, status=status, offset=offset, size=size)
    total = campaign["total"] if status is None else await queries.count(tx, account, campaign_id, status=status)
    return pb.ListRecipientsResponse(
        recipients=[convert.recipient(row) for row in rows],
        total=total,
        channel=convert.CHANNELS[campaign["channel"]],
    )


async def by_cursor(
    tx: ReadTx, campaign: asyncpg.Record, request: pb.ListRecipientsRequest, size: int
) -> pb.ListRecipientsResponse:
    account, campaign_id = campaign["account_id"], campaign["id"]
    status = wanted(request)
    scope = f"{account}/recipients/{campaign_id}/{status}"
    after = BEFORE_ALL
    if request.cursor:
        chunk, last = decode_cursor(request.cursor, scope, parts=2)
        after = (int(chunk), UUID(last))
    rows = await queries.page(tx, account, campaign_id, status=status, after=after, size=size + 1)
    more = len(rows) > size
    rows = rows[:size]
    return pb.ListRecipientsResponse(
        recipients=[convert.recipient(row) for row in rows],
        next_cursor=encode_cursor(scope, str(rows[-1]["chunk"]), str(rows[-1]["id"])) if more else "",
        channel=convert.CHANNELS[campaign["channel"]],
    )


def wanted(request: pb.ListRecipientsRequest) -> Status | None:
    """The state that is asked for; None: any."""
    name = convert.RECIPIENT_STATUS_NAMES.get(request.status)
    return None if name is None else Status(name)
