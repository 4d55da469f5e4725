"""Imports of contacts from a file in one step."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.errors import CarillonError, Internal, InvalidArgument, Reason
from formats.records import FAILED_ON_OUR_SIDE
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import imports as convert
from services.gateway.edge import WAITS
from services.gateway.errors import refused_field
from services.gateway.multipart import Field
from services.gateway.problem import FieldCode
from services.gateway.routes import Routes
from services.gateway.schemas import imports as schemas
from services.gateway.schemas.fields import MAX_TAG_LENGTH, MAX_TAGS
from services.gateway.uploads import Upload, send

# Mounted before any route with {id}, which would swallow it.
first = Routes("Imports")

FIELDS = frozenset({"on_duplicate", "default_region", "tags", "list_id"})
ENDED = frozenset({pb.IMPORT_STATUS_COMPLETED, pb.IMPORT_STATUS_FAILED, pb.IMPORT_STATUS_CANCELLED})
FIRST_POLL_SECONDS = 0.03
LONGEST_POLL_SECONDS = 0.5
REGION = re.compile("[A-Za-z]{2}")
# RFC 7240.
ASYNC = re.compile(r"(?:^|[,\s])respond-async(?:$|[,;\s])", re.IGNORECASE)
BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "description": "CSV or XLSX with a header row, or vCard",
                    },
                    "on_duplicate": {"type": "string", "enum": ["skip", "update", "merge"], "default": "skip"},
                    "default_region": {"type": "string", "description": "ISO 3166-1 alpha-2, for national phones"},
                    "list_id": {"type": "string", "description": "Every contact of the file is put on this list"},
                    "tags": {"type": "string", "description": "Comma-separated; added to every contact of the file"},
                },
                "additionalProperties": False,
            }
        }
    },
}


@first.add(
    "POST",
    "/contacts/import",
    operation_id="importContacts",
    summary="Import contacts from a file in one step",
    scope="contacts:write",
    answer=schemas.ImportSummary,
    others={202: (schemas.Import, "Not ended yet: see `Location`")},
    reasons=[
        Reason.FILE_EMPTY,
        Reason.FILE_UNREADABLE,
        Reason.UNKNOWN_COLUMNS,
        Reason.UPLOAD_INCOMPLETE,
        Reason.NOT_FOUND,
    ],
    upload=BODY,
)
async def import_contacts(caller: CallerOf, request: Request) -> Response:
    """Waits up to 60 s for the end, then answers 202. With `Prefer: respond-async` it does not wait."""
    client = caller.backends.contacts
    answer = await send(
        caller, request, client=client, method=client.stub.CreateImport, fields=FIELDS, parts=import_parts
    )
    found = getattr(answer, "import")  # a keyword in Python
    return await outcome(caller, request, found, location=f"{caller.prefix}/imports/{found.id}")


async def outcome(caller: Caller, request: Request, found: pb.Import, *, location: str) -> Response:
    """What became of an import that was begun, or 202 and where it can be seen. Raises what made it fail."""
    respond_async = ASYNC.search(request.headers.get("prefer", "")) is not None
    if not respond_async:
        request.scope[WAITS] = True
        found = await ended(caller, found, stopping=request.app.state.stopping)
    if found.status == pb.IMPORT_STATUS_FAILED:
        raise failed(found)
    if found.status == pb.IMPORT_STATUS_COMPLETED and not respond_async:
        return caller.answer(convert.summary(found))
    accepted = caller.answer(convert.import_(found), status=202)
    accepted.headers["Location"] = location
    if respond_async:
        accepted.headers["Preference-Applied"] = "respond-async"
    return accepted


async def import_parts(upload: Upload) -> AsyncIterator[pb.CreateImportRequest]:
    """The options come last, because fields may stand behind the file."""
    check(upload.fields)
    async for chunk in upload.file_bytes():
        yield pb.CreateImportRequest(chunk=chunk)
    options = check(upload.fields)
    options.file_name = upload.file.file_name
    options.content_type = upload.file.content_type
    yield pb.CreateImportRequest(options=options)
    yield pb.CreateImportRequest(end=True)


def check(fields: list[Field]) -> pb.ImportOptions:
    """Raises InvalidArgument, naming the field."""
    options = pb.ImportOptions()
    for field in fields:
        if field.name == "on_duplicate":
            if field.value not in ("skip", "update", "merge"):
                raise refused_field("/on_duplicate", FieldCode.NOT_ALLOWED, "on_duplicate is skip, update or merge.")
            options.on_duplicate = convert.ON_DUPLICATE.value(field.value)
        elif field.name == "default_region":
            options.default_region = region(field.value)
        elif field.name == "list_id":
            options.list_ids.append(known_id("lst", field.value, "list"))
        else:
            options.tags.extend(tag.strip() for tag in field.value.split(",") if tag.strip())
    if len(options.tags) > MAX_TAGS or any(len(tag) > MAX_TAG_LENGTH for tag in options.tags):
        raise refused_field("/tags", FieldCode.TOO_LONG, f"At most {MAX_TAGS} tags of {MAX_TAG_LENGTH} characters.")
    return options


def region(value: str) -> str:
    if value and not REGION.fullmatch(value):
        raise refused_field("/default_region", FieldCode.INVALID_FORMAT, "default_region is a country code such as US.")
    return value


async def ended(caller: Caller, found: pb.Import, *, stopping: asyncio.Event) -> pb.Import:
    """The import once it has ended, or as it stands after `import_wait_seconds`, or when the gateway is to stop."""
    deadline = time.monotonic() + caller.settings.import_wait_seconds
    pause = FIRST_POLL_SECONDS
    while found.status not in ENDED and time.monotonic() < deadline and not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)
        pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
        found = await get(caller, found.id)
    return found


async def get(caller: Caller, import_id: str) -> Any:
    client = caller.backends.contacts
    answer = await caller.read(client, client.stub.GetImport, pb.GetImportRequest(id=import_id))
    return getattr(answer, "import")  # a keyword in Python


def failed(found: pb.Import) -> CarillonError:
    """The file turned out to be unreadable on the way, or we failed; rows before that point were imported."""
    if found.error == FAILED_ON_OUR_SIDE:
        return Internal(Reason.INTERNAL, found.error, metadata={"import_id": found.id})
    counts = {name: str(getattr(found, name)) for name in ("imported", "updated", "duplicates", "failed")}
    return InvalidArgument(
        Reason.FILE_UNREADABLE,
        found.error or "The file could not be read to its end.",
        metadata={"import_id": found.id, **counts},
    )
