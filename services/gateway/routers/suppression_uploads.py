"""Files of addresses for the do-not-contact list."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from carillon.contacts.v1 import suppression_uploads_pb2 as pb
from chassis.errors import Reason
from formats.contact_json import CHANNELS as CHANNEL_NAMES
from services.gateway.caller import CallerOf
from services.gateway.convert.values import CHANNELS, row_errors
from services.gateway.errors import refused_field
from services.gateway.multipart import Field
from services.gateway.problem import FieldCode
from services.gateway.routers.imports import region
from services.gateway.routes import Routes
from services.gateway.schemas import suppressions as schemas
from services.gateway.schemas.fields import MAX_NAME_LENGTH
from services.gateway.uploads import Upload, send

routes = Routes("Suppressions")

FIELDS = frozenset({"default_region", "channels", "reason"})
BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "default_region": {
                        "type": "string",
                        "description": "ISO 3166-1 alpha-2, for national phones; before the file",
                    },
                    "channels": {
                        "type": "string",
                        "description": "Comma-separated; every channel when absent; before the file",
                    },
                    "reason": {"type": "string", "description": "Of rows without a reason; before the file"},
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "description": "CSV or XLSX with a column `phone`, `email` or both, and perhaps `reason`",
                    },
                },
                "additionalProperties": False,
            }
        }
    },
}


@routes.add(
    "POST",
    "/suppressions/import",
    operation_id="importSuppressions",
    summary="Put the phones and emails of a file on the do-not-contact list",
    scope="contacts:write",
    answer=schemas.SuppressionsImported,
    reasons=[Reason.FILE_EMPTY, Reason.FILE_UNREADABLE, Reason.UNKNOWN_COLUMNS, Reason.UPLOAD_INCOMPLETE],
    upload=BODY,
)
async def import_suppressions(caller: CallerOf, request: Request) -> Response:
    """Bad rows are named and left out; of a file that cannot be read to its end, nothing is kept. What is on the list
    for some channels is widened to those given, and never narrowed."""
    client = caller.backends.suppression_uploads
    answer = await send(
        caller, request, client=client, method=client.stub.UploadSuppressions, fields=FIELDS, parts=parts
    )
    return caller.answer(
        {
            "imported": answer.imported,
            "updated": answer.updated,
            "failed": answer.failed,
            "duplicates": answer.duplicates,
            "errors": row_errors(answer),
        }
    )


async def parts(upload: Upload) -> AsyncIterator[pb.UploadSuppressionsRequest]:
    yield pb.UploadSuppressionsRequest(options=options(upload.fields))
    before = len(upload.fields)
    async for chunk in upload.file_bytes():
        yield pb.UploadSuppressionsRequest(chunk=chunk)
    if len(upload.fields) > before:
        name = upload.fields[before].name
        raise refused_field(f"/{name}", FieldCode.INVALID_VALUE, f"{name} must stand before the file.")
    yield pb.UploadSuppressionsRequest(end=True)


def options(fields: list[Field]) -> pb.UploadSuppressionsOptions:
    """Raises InvalidArgument, naming the field."""
    found = pb.UploadSuppressionsOptions()
    for field in fields:
        if field.name == "default_region":
            found.default_region = region(field.value)
        elif field.name == "channels":
            names = [name.strip().lower() for name in field.value.split(",") if name.strip()]
            if not set(names) <= set(CHANNEL_NAMES):
                raise refused_field("/channels", FieldCode.NOT_ALLOWED, f"Channels are {', '.join(CHANNEL_NAMES)}.")
            found.channels.extend(CHANNELS.value(name) for name in names)
        elif len(field.value) > MAX_NAME_LENGTH:
            raise refused_field("/reason", FieldCode.TOO_LONG, f"reason has at most {MAX_NAME_LENGTH} characters.")
        else:
            found.reason = field.value
    return found
