"""Exports: files made of what the account has."""

from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from carillon.contacts.v1 import exports_pb2 as pb
from chassis.errors import FailedPrecondition, Reason
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import exports as convert
from services.gateway.convert.values import page
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import exports as schemas

routes = Routes("Exports")

SCOPE = "contacts:read"
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}


@routes.add(
    "POST",
    "/exports",
    operation_id="createExport",
    summary="Write contacts to a file",
    scope=SCOPE,
    status=202,
    answer=schemas.Export,
)
async def create_export(caller: CallerOf, body: schemas.ExportCreate) -> Response:
    """`Location` tells how it is going. The file can be downloaded when it is completed, for 72 hours.

    A CSV has the columns that an import takes, and imports to the same contacts. Cells that a spreadsheet would
    calculate have an apostrophe in front, which an import takes off."""
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
)
async def download_export(caller: CallerOf, id: str) -> Response:
    """The file as an attachment."""
    found = await get(caller, id)
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
