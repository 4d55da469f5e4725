"""Exports: files made of what the account has."""

from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from carillon.campaigns.v1 import campaigns_pb2
from carillon.contacts.v1 import exports_pb2 as pb
from carillon.segments.v1 import segments_pb2
from chassis.errors import FailedPrecondition, Reason
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import exports as convert
from services.gateway.convert.values import page
from services.gateway.errors import refused_field
from services.gateway.problem import FieldCode
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import exports as schemas

routes = Routes("Exports")

SCOPE = "contacts:read"
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "vcf": "text/vcard; charset=utf-8",
}
# What a resource can be narrowed by; None is all but the rest.
FILTERS: dict[str, frozenset[str] | None] = {
    "contacts": None,
    "optouts": frozenset({"channel", "search"}),
    "segment_members": frozenset(),
    "recipients": frozenset({"status"}),
}
# Of whom it is, and the scope that reads them.
OWNERS = {"segment_members": ("segment_id", "segments:read"), "recipients": ("campaign_id", "campaigns:read")}


@routes.add(
    "POST",
    "/exports",
    operation_id="createExport",
    summary="Write contacts, opt-outs, members of a segment or recipients of a campaign to a file",
    scope=SCOPE,
    status=202,
    answer=schemas.Export,
    reasons=[Reason.NOT_FOUND],
)
async def create_export(caller: CallerOf, body: schemas.ExportCreate) -> Response:
    """`Location` tells how it is going. The file can be downloaded when it is completed, for 72 hours.

    CSV and XLSX of contacts have the columns that an import takes, and import to the same contacts; a card has
    room for less. Of opt-outs they also have `opted_out_channels`, which an import takes no notice of. Cells that a
    spreadsheet would calculate have an apostrophe in front, which an import takes off."""
    check_filter(body)
    await check_owner(caller, body)
    client = caller.backends.exports
    answer = await caller.write(client, client.stub.CreateExport, convert.request(body))
    found = answer.export
    return caller.answer(convert.export(found, prefix=caller.prefix), status=202, location=f"/exports/{found.id}")


@routes.add(
    "GET",
    "/exports",
    operation_id="listExports",
    summary="List exports, newest first",
    scope=SCOPE,
    answer=schemas.ExportPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_exports(caller: CallerOf, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None) -> Response:
    client = caller.backends.exports
    request = pb.ListExportsRequest(page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListExports, request)
    data = [convert.export(one, prefix=caller.prefix) for one in answer.exports]
    return caller.answer(page(data, answer.next_cursor))


@routes.add(
    "GET",
    "/exports/{id}",
    operation_id="getExport",
    summary="Get an export and how far it is",
    scope=SCOPE,
    answer=schemas.Export,
    reasons=[Reason.NOT_FOUND],
)
async def get_export(caller: CallerOf, id: str) -> Response:
    return caller.answer(convert.export(await get(caller, id), prefix=caller.prefix))


@routes.add(
    "GET",
    "/exports/{id}/download",
    operation_id="downloadExport",
    summary="Download the file of a completed export",
    scope=SCOPE,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE],
    produces=tuple(kind.partition(";")[0] for kind in MEDIA_TYPES.values()),
)
async def download_export(caller: CallerOf, id: str) -> Response:
    """The file as an attachment. A key that could not have asked for it does not get it."""
    found = await get(caller, id)
    _, scope = OWNERS.get(convert.RESOURCES.text(found.resource), ("", SCOPE))
    caller.principal.require(scope)
    if found.status != pb.EXPORT_STATUS_COMPLETED:
        status = convert.STATUSES.text(found.status)
        raise FailedPrecondition(Reason.INVALID_STATE, f"The export is {status}.", metadata={"status": status})
    return StreamingResponse(
        chunks(caller, found.id),
        media_type=MEDIA_TYPES[convert.FORMATS.text(found.format)],
        headers={
            "Content-Disposition": f'attachment; filename="{file_name(found)}"',
            # A stream that breaks off is noticed by it.
            "Content-Length": str(found.bytes),
        },
    )


def check_filter(body: schemas.ExportCreate) -> None:
    """A filter that is passed over would write down everything. Raises InvalidArgument."""
    known = FILTERS[body.resource]
    for name in sorted(body.filter.model_fields_set):
        if name not in known if known is not None else name == "status":
            raise refused_field(f"/filter/{name}", FieldCode.NOT_ALLOWED, f"{body.resource} are not filtered by it.")


async def check_owner(caller: Caller, body: schemas.ExportCreate) -> None:
    """Raises InvalidArgument, PermissionDenied, NotFound."""
    field, scope = OWNERS.get(body.resource, ("", ""))
    for name in ("segment_id", "campaign_id"):
        if (getattr(body, name) is not None) != (name == field):
            code = FieldCode.REQUIRED if name == field else FieldCode.NOT_ALLOWED
            raise refused_field(f"/{name}", code, f"{name} is given with its own resource, and only there.")
    if not field:
        return
    caller.principal.require(scope)
    if body.segment_id is not None:
        segments = caller.backends.segments
        wanted = known_id("seg", body.segment_id, "segment")
        await caller.read(segments, segments.stub.GetSegment, segments_pb2.GetSegmentRequest(id=wanted))
    elif body.campaign_id is not None:
        campaigns = caller.backends.campaigns
        wanted = known_id("cmp", body.campaign_id, "campaign")
        await caller.read(campaigns, campaigns.stub.GetCampaign, campaigns_pb2.GetCampaignRequest(id=wanted))


async def get(caller: Caller, public_id: str) -> pb.Export:
    client = caller.backends.exports
    request = pb.GetExportRequest(id=known_id("exp", public_id, "export"))
    answer = await caller.read(client, client.stub.GetExport, request)
    return answer.export


async def chunks(caller: Caller, public_id: str) -> AsyncIterator[bytes]:
    """One message of the stream at a time: gRPC holds the service back while the client does not read."""
    client = caller.backends.exports
    stream = client.stream_out(
        client.stub.DownloadExport,
        pb.DownloadExportRequest(id=public_id),
        call=caller.outgoing,
        timeout=caller.settings.upload_timeout_seconds,
    )
    async for message in stream:
        yield message.chunk


def file_name(found: pb.Export) -> str:
    """`contacts-20260301.csv`."""
    made = found.finished_at.ToDatetime()
    return f"{convert.RESOURCES.text(found.resource)}-{made:%Y%m%d}.{convert.FORMATS.text(found.format)}"
