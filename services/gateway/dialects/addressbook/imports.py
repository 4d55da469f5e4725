"""Imports of the address book dialect: a file is uploaded, looked at, and imported when its mapping is confirmed."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from carillon.contacts.v1 import contacts_pb2
from chassis.errors import Reason
from services.gateway.caller import CallerOf
from services.gateway.dialects import ignored
from services.gateway.dialects.addressbook import convert, schemas
from services.gateway.dialects.addressbook.route import TAG
from services.gateway.routers.import_steps import held_parts, import_id
from services.gateway.routers.imports import outcome
from services.gateway.routes import Routes
from services.gateway.schemas.imports import Import, ImportSummary
from services.gateway.uploads import Upload, send

routes = Routes(TAG)

SCOPE = "contacts:write"
# The status of an import is no call of this dialect's.
IMPORTS = "/v1/imports"
BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary", "description": "CSV, XLSX or vCard"}},
            }
        }
    },
}
UPLOADS = (
    ("/contacts/upload", "addressBookUploadFile", "Upload a CSV or Excel file and see what it holds"),
    ("/contacts/upload/vcard", "addressBookUploadVcard", "Upload a vCard file and see what it holds"),
)
COMMITS = (
    ("/contacts/mapped/file", "addressBookImportFile", "Confirm the mapping of an uploaded file and import it"),
    ("/contacts/mapped/vcard", "addressBookImportVcard", "Confirm the mapping of uploaded vCards and import them"),
)


async def upload(caller: CallerOf, request: Request) -> Response:
    """Nothing is imported until the mapping is confirmed; without that the file is dropped after 72 hours."""

    async def parts(received: Upload) -> AsyncIterator[contacts_pb2.CreateImportRequest]:
        async for part in held_parts(received):
            if part.end:
                ignored.note(request.scope, [field.name for field in received.fields])
            yield part

    client = caller.backends.contacts
    answer = await send(caller, request, client=client, method=client.stub.CreateImport, fields=None, parts=parts)
    body = convert.upload(answer)
    created = caller.answer(body, status=201)
    created.headers["Location"] = f"{IMPORTS}/{body['import_id']}"
    return created


async def commit(caller: CallerOf, body: schemas.AddressBookImportCommit, request: Request) -> Response:
    """Columns are mapped as suggested unless `mapping` says otherwise. Waits up to 60 s for the end, then answers 202;
    with `Prefer: respond-async` it does not wait. Contacts that are there already are left as they are and counted in
    `duplicates`."""
    client = caller.backends.imports
    known = import_id(body.import_id)
    answer = await caller.write(client, client.stub.CommitImport, convert.commit(known, body))
    return await outcome(caller, request, getattr(answer, "import"), location=f"{IMPORTS}/{known}")


for path, operation_id, summary in UPLOADS:
    routes.add(
        "POST",
        path,
        operation_id=operation_id,
        summary=summary,
        scope=SCOPE,
        status=201,
        answer=schemas.AddressBookUpload,
        reasons=[Reason.FILE_EMPTY, Reason.FILE_UNREADABLE, Reason.UPLOAD_INCOMPLETE],
        upload=BODY,
    )(upload)
for path, operation_id, summary in COMMITS:
    routes.add(
        "POST",
        path,
        operation_id=operation_id,
        summary=summary,
        scope=SCOPE,
        answer=ImportSummary,
        others={202: (Import, "Not ended yet: see `Location`")},
        reasons=[Reason.NOT_FOUND, Reason.INVALID_STATE, Reason.UNKNOWN_COLUMNS, Reason.FILE_UNREADABLE],
    )(commit)
