"""Whom a campaign is for, counted: before the start, and ever after."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf, known_id
from services.gateway.convert import campaigns as convert
from services.gateway.routers.campaigns import READ, campaign_id
from services.gateway.routes import Routes
from services.gateway.schemas import campaigns as schemas
from services.gateway.schemas.fields import Reference

routes = Routes("Campaigns")


@routes.add(
    "GET",
    "/campaigns/{id}/audience",
    operation_id="getAudience",
    summary="Say who became a recipient and who did not, counted by reason",
    scope=READ,
    answer=schemas.Audience,
    reasons=[Reason.NOT_FOUND],
)
async def get_audience(
    caller: CallerOf,
    id: str,
    contact_id: Annotated[
        Reference | None, Query(description="Also say why this contact did or did not get it")
    ] = None,
) -> Response:
    """`matched = excluded + no_address + invalid + opted_out + dnc + duplicate + final`, always. Of a draft that names
    a segment, a list or contacts nothing is counted before the start; `estimate` looks ahead."""
    client = caller.backends.campaigns
    contact = None if contact_id is None else known_id("cnt", contact_id, "contact")
    request = pb.GetAudienceRequest(campaign_id=campaign_id(id), contact_id=contact or "")
    answer = await caller.read(client, client.stub.GetAudience, request)
    return caller.answer(convert.audience(answer, contact))


@routes.add(
    "POST",
    "/campaigns/{id}/estimate",
    operation_id="estimateCampaign",
    summary="Count whom a draft would be sent to if it started now",
    scope=READ,
    answer=schemas.AudienceEstimate,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE, Reason.AUDIENCE_MISSING],
    keeps_answer=True,
)
async def estimate_campaign(caller: CallerOf, id: str) -> Response:
    """Writes nothing. Exact up to 20,000 contacts; beyond that reckoned from the first 20,000, and `estimate` is
    true."""
    client = caller.backends.campaigns
    request = pb.EstimateAudienceRequest(campaign_id=campaign_id(id))
    answer = await caller.write(client, client.stub.EstimateAudience, request)
    return caller.answer(convert.funnel(answer.funnel) | {"estimate": answer.estimate})
