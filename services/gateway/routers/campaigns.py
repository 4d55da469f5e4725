"""Campaigns and their lifecycle."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import campaigns as convert
from services.gateway.convert.values import page
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import campaigns as schemas

routes = Routes("Campaigns")

READ, WRITE = "campaigns:read", "campaigns:write"


def campaign_id(text: str) -> str:
    return known_id("cmp", text, "campaign")


def show(caller: Caller, source: pb.Campaign, **more: Any) -> Response:
    return caller.answer(convert.campaign(source), version=source.version, **more)


@routes.add(
    "POST",
    "/campaigns",
    operation_id="createCampaign",
    summary="Create a campaign, as a draft",
    scope=WRITE,
    status=201,
    answer=schemas.Campaign,
    reasons=[Reason.SENDER_REQUIRED],
)
async def create_campaign(caller: CallerOf, body: schemas.CampaignCreate) -> Response:
    """To the members of `segment_id` or of `list_id`, to `contact_ids`, or without any of them to recipients that are
    uploaded. With `schedule_at` it starts by itself."""
    client = caller.backends.campaigns
    answer = await caller.write(client, client.stub.CreateCampaign, convert.new_campaign(body))
    return show(caller, answer.campaign, status=201, location=f"/campaigns/{answer.campaign.id}")


@routes.add(
    "GET",
    "/campaigns",
    operation_id="listCampaigns",
    summary="List campaigns, newest first",
    scope=READ,
    answer=schemas.CampaignPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_campaigns(
    caller: CallerOf,
    limit: PageSize = DEFAULT_PAGE_SIZE,
    cursor: PageCursor = None,
    status: Annotated[schemas.CampaignStatus | None, Query()] = None,
) -> Response:
    client = caller.backends.campaigns
    wanted = convert.CAMPAIGN_STATUSES.value(status)
    request = pb.ListCampaignsRequest(page_size=limit, cursor=cursor or "", status=wanted)
    answer = await caller.read(client, client.stub.ListCampaigns, request)
    return caller.answer(page([convert.campaign(one) for one in answer.campaigns], answer.next_cursor))


@routes.add(
    "GET",
    "/campaigns/{id}",
    operation_id="getCampaign",
    summary="Get a campaign with its stats",
    scope=READ,
    answer=schemas.Campaign,
    reasons=[Reason.NOT_FOUND],
)
async def get_campaign(caller: CallerOf, id: str) -> Response:
    """`total = sent + pending + skipped + uncertain`, always; `delivered + failed <= sent`."""
    client = caller.backends.campaigns
    answer = await caller.read(client, client.stub.GetCampaign, pb.GetCampaignRequest(id=campaign_id(id)))
    return show(caller, answer.campaign)


async def update(caller: CallerOf, id: str, body: schemas.CampaignUpdate) -> Response:
    """Only the fields sent, and only while it is a draft."""
    client = caller.backends.campaigns
    request = convert.campaign_update(campaign_id(id), body, caller.if_version)
    answer = await caller.write(client, client.stub.UpdateCampaign, request)
    return show(caller, answer.campaign)


for method, operation_id in (("PUT", "updateCampaign"), ("PATCH", "patchCampaign")):
    routes.add(
        method,
        "/campaigns/{id}",
        operation_id=operation_id,
        summary="Change the fields sent",
        scope=WRITE,
        answer=schemas.Campaign,
        reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, Reason.INVALID_STATE, Reason.SENDER_REQUIRED],
    )(update)


@routes.add(
    "DELETE",
    "/campaigns/{id}",
    operation_id="deleteCampaign",
    summary="Delete a campaign that is not running or paused",
    scope=WRITE,
    status=204,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, Reason.INVALID_STATE],
)
async def delete_campaign(caller: CallerOf, id: str) -> Response:
    client = caller.backends.campaigns
    request = pb.DeleteCampaignRequest(id=campaign_id(id), if_version=caller.if_version)
    await caller.write(client, client.stub.DeleteCampaign, request)
    return caller.gone()


def verb(path: str, *, summary: str, reasons: list[str] | None = None) -> Callable[..., Any]:
    return routes.add(
        "POST",
        f"/campaigns/{{id}}/{path}",
        operation_id=f"{path}Campaign",
        summary=summary,
        scope=WRITE,
        answer=schemas.Campaign,
        reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE, *(reasons or ())],
    )


@verb("start", summary="Start a draft, or go on with a paused one", reasons=[Reason.AUDIENCE_MISSING])
async def start_campaign(caller: CallerOf, id: str) -> Response:
    client = caller.backends.campaigns
    answer = await caller.write(client, client.stub.StartCampaign, pb.StartCampaignRequest(id=campaign_id(id)))
    return show(caller, answer.campaign)


@verb("pause", summary="Pause a running campaign, in effect within a second")
async def pause_campaign(caller: CallerOf, id: str) -> Response:
    client = caller.backends.campaigns
    answer = await caller.write(client, client.stub.PauseCampaign, pb.PauseCampaignRequest(id=campaign_id(id)))
    return show(caller, answer.campaign)


@verb("resume", summary="Go on with a paused campaign")
async def resume_campaign(caller: CallerOf, id: str) -> Response:
    client = caller.backends.campaigns
    answer = await caller.write(client, client.stub.ResumeCampaign, pb.ResumeCampaignRequest(id=campaign_id(id)))
    return show(caller, answer.campaign)


@verb("cancel", summary="Cancel for good; the pending are skipped")
async def cancel_campaign(caller: CallerOf, id: str) -> Response:
    client = caller.backends.campaigns
    answer = await caller.write(client, client.stub.CancelCampaign, pb.CancelCampaignRequest(id=campaign_id(id)))
    return show(caller, answer.campaign)


@routes.add(
    "POST",
    "/campaigns/{id}/clone",
    operation_id="cloneCampaign",
    summary="Make a draft like a campaign, whatever its state",
    scope=WRITE,
    status=201,
    answer=schemas.Campaign,
    reasons=[Reason.NOT_FOUND],
)
async def clone_campaign(caller: CallerOf, id: str) -> Response:
    """Named as the original and ` (copy)`, with its template, sender, audience and settings; without its schedule, and
    without uploaded recipients, who are to be uploaded again."""
    client = caller.backends.campaigns
    request = pb.CloneCampaignRequest(id=campaign_id(id))
    answer = await caller.write(client, client.stub.CloneCampaign, request)
    return show(caller, answer.campaign, status=201, location=f"/campaigns/{answer.campaign.id}")


@routes.add(
    "POST",
    "/campaigns/{id}/test",
    operation_id="testCampaign",
    summary="Send the message to up to 10 addresses now, beside the recipients and the figures",
    scope=WRITE,
    answer=schemas.CampaignTestAnswer,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE],
)
async def test_campaign(caller: CallerOf, id: str, body: schemas.CampaignTest) -> Response:
    """Of a draft with what its template says now. Whoever must not be messaged is `skipped`. Nothing is tried again."""
    client = caller.backends.campaigns
    request = convert.campaign_test(campaign_id(id), body)
    answer = await caller.write(client, client.stub.TestCampaign, request)
    return caller.answer({"results": [convert.trial_result(one, answer.channel) for one in answer.results]})
