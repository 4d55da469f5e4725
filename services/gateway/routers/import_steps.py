"""Imports in two steps: upload, look, commit; and what can be done with any import."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from carillon.contacts.v1 import contacts_pb2, imports_pb2
from chassis.errors import Reason
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import imports as convert
from services.gateway.convert.values import page
from services.gateway.negotiation import JSON
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import imports as schemas
from services.gateway.uploads import Upload, send

routes = Routes("Imports")

CSV = re.compile(r"(?:^|,)\s*text/csv\s*(?:$|[,;])", re.IGNORECASE)
# Failed rows that are fetched at a time for a download.
ROWS_A_CALL = 1_000
BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary", "description": "CSV, XLSX or vCard"}},
                "additionalProperties": False,
            }
        }
    },
}


def import_id(text: str) -> str:
    return known_id("imp", text, "import")


@routes.add(
    "POST",
    "/imports",
    operation_id="createImport",
    summary="Upload a file to look at before it is imported",
    scope="contacts:write",
    status=201,
    answer=schemas.ImportDetail,
    reasons=[Reason.FILE_EMPTY, Reason.FILE_UNREADABLE, Reason.UPLOAD_INCOMPLETE],
    upload=BODY,
)
async def create_import(caller: CallerOf, request: Request) -> Response:
    """Nothing is imported until the commit; without one the file is dropped after 72 hours."""
    client = caller.backends.contacts
    answer = await send(
        caller, request, client=client, method=client.stub.CreateImport, fields=frozenset(), parts=held_parts
    )
    found = convert.with_preview(answer)
    return caller.answer(found, status=201, location=f"/imports/{found['id']}")


async def held_parts(upload: Upload) -> AsyncIterator[contacts_pb2.CreateImportRequest]:
    options = contacts_pb2.ImportOptions(
        hold=True, file_name=upload.file.file_name, content_type=upload.file.content_type
    )
    yield contacts_pb2.CreateImportRequest(options=options)
    async for chunk in upload.file_bytes():
        yield contacts_pb2.CreateImportRequest(chunk=chunk)
    yield contacts_pb2.CreateImportRequest(end=True)


@routes.add(
    "GET",
    "/imports",
    operation_id="listImports",
    summary="List imports, newest first",
    scope="contacts:read",
    answer=schemas.ImportPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_imports(caller: CallerOf, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None) -> Response:
    client = caller.backends.imports
    request = imports_pb2.ListImportsRequest(page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListImports, request)
    return caller.answer(page([convert.import_(one) for one in answer.imports], answer.next_cursor))


@routes.add(
    "GET",
    "/imports/{id}",
    operation_id="getImport",
    summary="Get an import and how far it is",
    scope="contacts:read",
    answer=schemas.ImportDetail,
    reasons=[Reason.NOT_FOUND],
)
async def get_import(caller: CallerOf, id: str) -> Response:
    client = caller.backends.contacts
    request = contacts_pb2.GetImportRequest(id=import_id(id))
    return caller.answer(convert.with_preview(await caller.read(client, client.stub.GetImport, request)))


@routes.add(
    "POST",
    "/imports/{id}/commit",
    operation_id="commitImport",
    summary="Begin an uploaded import",
    scope="contacts:write",
    status=202,
    answer=schemas.ImportDetail,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE, Reason.UNKNOWN_COLUMNS],
)
async def commit_import(caller: CallerOf, id: str, body: schemas.ImportCommit) -> Response:
    """Columns are mapped as the preview suggests unless `mapping` says otherwise."""
    client = caller.backends.imports
    known = import_id(id)
    answer = await caller.write(client, client.stub.CommitImport, convert.commit(known, body))
    return caller.answer(convert.with_preview(answer), status=202, location=f"/imports/{known}")


@routes.add(
    "POST",
    "/imports/{id}/cancel",
    operation_id="cancelImport",
    summary="Stop an import",
    scope="contacts:write",
    answer=schemas.Import,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE],
)
async def cancel_import(caller: CallerOf, id: str) -> Response:
    """Rows that were imported before stay, and are what it counts. Cancelling it again changes nothing."""
    client = caller.backends.imports
    request = imports_pb2.CancelImportRequest(id=import_id(id))
    answer = await caller.write(client, client.stub.CancelImport, request)
    return caller.answer(convert.import_(getattr(answer, "import")))  # a keyword in Python


@routes.add(
    "POST",
    "/imports/{id}/undo",
    operation_id="undoImport",
    summary="Undo an import",
    scope="contacts:write",
    status=202,
    answer=schemas.Import,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE],
)
async def undo_import(caller: CallerOf, id: str) -> Response:
    """Contacts that it made and that nobody touched since are deleted, in the background; the others are listed by
    the leftovers. Undoing it again changes nothing."""
    client = caller.backends.imports
    known = import_id(id)
    answer = await caller.write(client, client.stub.UndoImport, imports_pb2.UndoImportRequest(id=known))
    found = convert.import_(getattr(answer, "import"))  # a keyword in Python
    return caller.answer(found, status=202, location=f"/imports/{known}")


@routes.add(
    "GET",
    "/imports/{id}/leftovers",
    operation_id="listImportLeftovers",
    summary="List the contacts that an undo left as they are",
    scope="contacts:read",
    answer=schemas.ImportLeftoverPage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE, Reason.INVALID_CURSOR],
)
async def list_import_leftovers(
    caller: CallerOf, id: str, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    client = caller.backends.imports
    request = imports_pb2.ListImportLeftoversRequest(id=import_id(id), page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListImportLeftovers, request)
    return caller.answer(page([convert.leftover(one) for one in answer.leftovers], answer.next_cursor))


@routes.add(
    "GET",
    "/imports/{id}/errors",
    operation_id="listImportErrors",
    summary="List the rows that were not imported",
    scope="contacts:read",
    answer=schemas.ImportErrorPage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
    produces=(JSON, "text/csv"),
)
async def list_import_errors(
    caller: CallerOf,
    id: str,
    request: Request,
    format: Annotated[Literal["json", "csv"] | None, Query(description="Instead of an Accept header")] = None,
    limit: PageSize = DEFAULT_PAGE_SIZE,
    cursor: PageCursor = None,
) -> Response:
    """As `text/csv` all of them in one file: the columns of the upload and one that says what is wrong, which an
    import takes no notice of, so that the file can be mended and uploaded again."""
    known = import_id(id)
    if format == "csv" or (format is None and CSV.search(request.headers.get("accept", ""))):
        return await download(caller, known)
    asked = imports_pb2.ListImportErrorsRequest(id=known, page_size=limit, cursor=cursor or "")
    answer = await failed_rows(caller, asked)
    return caller.answer(page([convert.failed_row(row) for row in answer.rows], answer.next_cursor))


async def download(caller: Caller, known: str) -> Response:
    """The first page is fetched before the answer begins, so that an error is answered as one."""
    first = await failed_rows(caller, first_rows(known))

    async def pieces() -> AsyncIterator[bytes]:
        answer = first
        yield convert.csv_header(answer.titles) + convert.csv_rows(answer)
        while answer.next_cursor:
            request = first_rows(known)
            request.cursor = answer.next_cursor
            answer = await failed_rows(caller, request)
            yield convert.csv_rows(answer)

    headers = {"Content-Disposition": f'attachment; filename="{known}-errors.csv"'}
    return StreamingResponse(pieces(), media_type="text/csv; charset=utf-8", headers=headers)


def first_rows(known: str) -> imports_pb2.ListImportErrorsRequest:
    return imports_pb2.ListImportErrorsRequest(id=known, page_size=ROWS_A_CALL, with_cells=True)


async def failed_rows(
    caller: Caller, request: imports_pb2.ListImportErrorsRequest
) -> imports_pb2.ListImportErrorsResponse:
    client = caller.backends.imports
    return await caller.read(client, client.stub.ListImportErrors, request)
