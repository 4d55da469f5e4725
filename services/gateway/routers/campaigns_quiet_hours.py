"""The hours in which none of the account's campaigns sends."""

from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from services.gateway.caller import CallerOf
from services.gateway.convert import campaigns_hours as convert
from services.gateway.errors import refused_field
from services.gateway.problem import FieldCode
from services.gateway.routers.campaigns import READ, WRITE
from services.gateway.routes import Routes
from services.gateway.schemas import campaigns as schemas

routes = Routes("Campaigns")


@routes.add(
    "GET",
    "/quiet-hours",
    operation_id="getQuietHours",
    summary="Get the hours in which no campaign sends",
    scope=READ,
    answer=schemas.QuietHours,
)
async def get_quiet_hours(caller: CallerOf) -> Response:
    """All null where there are none."""
    client = caller.backends.campaigns
    answer = await caller.read(client, client.stub.GetQuietHours, pb.GetQuietHoursRequest())
    return caller.answer(convert.quiet_hours(answer.quiet_hours if answer.HasField("quiet_hours") else None))


@routes.add(
    "PUT",
    "/quiet-hours",
    operation_id="setQuietHours",
    summary="Set the hours in which no campaign sends, or remove them",
    scope=WRITE,
    answer=schemas.QuietHours,
)
async def set_quiet_hours(caller: CallerOf, body: schemas.QuietHours) -> Response:
    """Every day by the recipient's clock; in effect also for campaigns that run. `start` and `end` null: none."""
    if (body.start is None) != (body.end is None):
        missing = "/start" if body.start is None else "/end"
        raise refused_field(missing, FieldCode.INVALID_VALUE, "start and end are given both, or both are null.")
    client = caller.backends.campaigns
    request = pb.SetQuietHoursRequest(quiet_hours=convert.new_quiet_hours(body))
    answer = await caller.write(client, client.stub.SetQuietHours, request)
    return caller.answer(convert.quiet_hours(answer.quiet_hours if answer.HasField("quiet_hours") else None))
