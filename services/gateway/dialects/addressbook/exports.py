"""Exports of the address book dialect."""

from dataclasses import replace

from starlette.responses import Response

from services.gateway.caller import CallerOf
from services.gateway.convert import exports as convert_exports
from services.gateway.dialects.addressbook import convert, schemas
from services.gateway.dialects.addressbook.route import TAG
from services.gateway.routers import exports as canonical
from services.gateway.routes import Routes
from services.gateway.schemas.exports import Export

routes = Routes(TAG)

NOTHING = schemas.AddressBookExportCreate()


@routes.add(
    "POST",
    "/exports/contacts",
    operation_id="addressBookExportContacts",
    summary="Write contacts to a file",
    scope=canonical.SCOPE,
    status=202,
    answer=Export,
)
async def export_contacts(caller: CallerOf, body: schemas.AddressBookExportCreate = NOTHING) -> Response:
    """`Location` tells how it is going. The file can be downloaded when it is completed, for 72 hours. Without a body:
    all contacts, as CSV."""
    client = caller.backends.exports
    found = (await caller.write(client, client.stub.CreateExport, convert.export(body))).export
    return caller.answer(
        convert_exports.export(found, prefix=caller.prefix), status=202, location=f"/exports/{found.id}"
    )


# Nothing of these has another name here.
SAME = {
    canonical.get_export: "addressBookGetExport",
    canonical.download_export: "addressBookDownloadExport",
}
routes.operations += [
    replace(one, operation_id=SAME[one.endpoint], tag=TAG)
    for one in canonical.routes.operations
    if one.endpoint in SAME
]
