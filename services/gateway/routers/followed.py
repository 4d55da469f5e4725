"""What goes on in the background, followed by server-sent events: imports, exports, campaigns."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2
from carillon.contacts.v1 import contacts_pb2, exports_pb2
from chassis.errors import Reason
from services.gateway import progress
from services.gateway.caller import CallerOf, known_id
from services.gateway.convert import campaigns as convert_campaigns
from services.gateway.convert import exports as convert_exports
from services.gateway.convert import imports as convert_imports
from services.gateway.negotiation import EVENTS
from services.gateway.progress import Seen, seen
from services.gateway.routes import Routes

of_imports, of_exports, of_campaigns = Routes("Imports"), Routes("Exports"), Routes("Campaigns")

MOVING_IMPORTS = frozenset(
    {
        contacts_pb2.IMPORT_STATUS_UPLOADED,
        contacts_pb2.IMPORT_STATUS_QUEUED,
        contacts_pb2.IMPORT_STATUS_RUNNING,
        contacts_pb2.IMPORT_STATUS_UNDOING,
    }
)
MOVING_EXPORTS = frozenset({exports_pb2.EXPORT_STATUS_QUEUED, exports_pb2.EXPORT_STATUS_RUNNING})
ENDED_CAMPAIGNS = frozenset({campaigns_pb2.CAMPAIGN_STATUS_COMPLETED, campaigns_pb2.CAMPAIGN_STATUS_CANCELLED})


@of_imports.add(
    "GET",
    "/imports/{id}/events",
    operation_id="streamImport",
    summary="Follow an import by server-sent events",
    scope="contacts:read",
    reasons=[Reason.NOT_FOUND],
    produces=(EVENTS,),
)
async def stream_import(caller: CallerOf, id: str, request: Request) -> Response:
    """An event `progress` with the import, at first and whenever it changed; the last one, when it has ended, is
    `ended`."""
    client, known = caller.backends.contacts, known_id("imp", id, "import")

    async def look() -> Seen:
        answer = await caller.read(client, client.stub.GetImport, contacts_pb2.GetImportRequest(id=known))
        found: Any = getattr(answer, "import")  # a keyword in Python
        return seen(convert_imports.import_(found), moving=found.status in MOVING_IMPORTS)

    return await progress.stream(request, look)


@of_exports.add(
    "GET",
    "/exports/{id}/events",
    operation_id="streamExport",
    summary="Follow an export by server-sent events",
    scope="contacts:read",
    reasons=[Reason.NOT_FOUND],
    produces=(EVENTS,),
)
async def stream_export(caller: CallerOf, id: str, request: Request) -> Response:
    """An event `progress` with the export, at first and whenever it changed; the last one, when it has ended, is
    `ended`."""
    client, known = caller.backends.exports, known_id("exp", id, "export")

    async def look() -> Seen:
        answer = await caller.read(client, client.stub.GetExport, exports_pb2.GetExportRequest(id=known))
        body = convert_exports.export(answer.export, prefix=caller.prefix)
        return seen(body, moving=answer.export.status in MOVING_EXPORTS)

    return await progress.stream(request, look)


@of_campaigns.add(
    "GET",
    "/campaigns/{id}/events",
    operation_id="streamCampaign",
    summary="Follow a campaign by server-sent events",
    scope="campaigns:read",
    reasons=[Reason.NOT_FOUND],
    produces=(EVENTS,),
)
async def stream_campaign(caller: CallerOf, id: str, request: Request) -> Response:
    """An event `progress` with the campaign, at first and whenever it changed; the last one, when it is completed or
    cancelled, is `ended`. Receipts may move its figures afterwards."""
    client, known = caller.backends.campaigns, known_id("cmp", id, "campaign")

    async def look() -> Seen:
        answer = await caller.read(client, client.stub.GetCampaign, campaigns_pb2.GetCampaignRequest(id=known))
        body = convert_campaigns.campaign(answer.campaign)
        return seen(body, moving=answer.campaign.status not in ENDED_CAMPAIGNS)

    return await progress.stream(request, look)
