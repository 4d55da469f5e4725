"""How a campaign went, minute by minute."""

from datetime import UTC, datetime

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.call import Call
from chassis.db import Database
from chassis.paging import decode_cursor, encode_cursor, page_size
from services.campaigns import checks, convert, errors
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import timelines as queries

BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)


class Timelines:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, call: Call, request: pb.GetTimelineRequest) -> pb.GetTimelineResponse:
        campaign_id = checks.reference(convert.CAMPAIGN, "campaign", request.campaign_id)
        size, scope = page_size(request.page_size), f"{call.account}/timeline/{campaign_id}"
        after = BEFORE_ALL
        if request.cursor:
            (last,) = decode_cursor(request.cursor, scope, parts=1)
            after = datetime.fromisoformat(last)
        async with self._db.read(call.account) as tx:
            if await campaign_queries.get(tx, call.account, campaign_id) is None:
                raise errors.not_found("campaign", request.campaign_id)
            rows = await queries.page(tx, call.account, campaign_id, after=after, size=size + 1)
        more = len(rows) > size
        rows = rows[:size]
        return pb.GetTimelineResponse(
            minutes=[convert.minute(row) for row in rows],
            next_cursor=encode_cursor(scope, rows[-1]["minute"].isoformat()) if more else "",
        )
