"""How a campaign went."""

from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf
from services.gateway.convert import campaigns as convert
from services.gateway.convert.values import page as cursor_page
from services.gateway.routers.campaigns import READ, campaign_id
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import campaigns as schemas

routes = Routes("Campaigns")


@routes.add(
    "GET",
    "/campaigns/{id}/timeline",
    operation_id="getTimeline",
    summary="Say what happened with the recipients, minute by minute",
    scope=READ,
    answer=schemas.Timeline,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def get_timeline(
    caller: CallerOf, id: str, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    """Oldest first; minutes in which nothing changed are left out. The sums over all minutes are the `stats`."""
    client = caller.backends.campaigns
    request = pb.GetTimelineRequest(campaign_id=campaign_id(id), page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.GetTimeline, request)
    return caller.answer(cursor_page([convert.minute(one) for one in answer.minutes], answer.next_cursor))
