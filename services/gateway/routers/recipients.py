"""A campaign's recipients: uploaded, and listed from the ledger."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf
from services.gateway.convert import campaigns as convert
from services.gateway.convert.values import page as cursor_page
from services.gateway.convert.values import row_errors
from services.gateway.errors import refused_field
from services.gateway.problem import FieldCode
from services.gateway.routers.campaigns import READ, WRITE, campaign_id
from services.gateway.routers.imports import region
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import campaigns as schemas
from services.gateway.uploads import Upload, send

routes = Routes("Recipients")

FIELDS = frozenset({"default_region"})
DEFAULT_PER_PAGE = 50
MAX_OFFSET = 100_000
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
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "description": "CSV or XLSX with a column `phone` (or `email`); others become variables",
                    },
                },
                "additionalProperties": False,
            }
        }
    },
}
Page = Annotated[int | None, Query(ge=1, le=MAX_OFFSET, description="From 1; page × per_page up to 100,000")]
PerPage = Annotated[int | None, Query(ge=1, le=100)]


@routes.add(
    "POST",
    "/campaigns/{id}/recipients",
    operation_id="uploadRecipients",
    summary="Upload recipients",
    scope=WRITE,
    answer=schemas.RecipientsUploaded,
    reasons=[
        Reason.NOT_FOUND,
        Reason.INVALID_STATE,
        Reason.AUDIENCE_CONFLICT,
        Reason.FILE_EMPTY,
        Reason.FILE_UNREADABLE,
        Reason.UNKNOWN_COLUMNS,
        Reason.UPLOAD_INCOMPLETE,
    ],
    upload=BODY,
)
async def upload_recipients(caller: CallerOf, id: str, request: Request) -> Response:
    """To a draft without another audience. Duplicates and do-not-contact numbers are left out and counted. The whole
    file or nothing."""
    known = campaign_id(id)

    async def parts(upload: Upload) -> AsyncIterator[pb.UploadRecipientsRequest]:
        yield pb.UploadRecipientsRequest(options=options(known, upload))
        before = len(upload.fields)
        async for chunk in upload.file_bytes():
            yield pb.UploadRecipientsRequest(chunk=chunk)
        if len(upload.fields) > before:
            raise refused_field(
                "/default_region", FieldCode.INVALID_VALUE, "default_region must stand before the file."
            )
        yield pb.UploadRecipientsRequest(end=True)

    client = caller.backends.campaigns
    answer = await send(caller, request, client=client, method=client.stub.UploadRecipients, fields=FIELDS, parts=parts)
    return caller.answer(
        {
            "imported": answer.imported,
            "failed": answer.failed,
            "duplicates": answer.duplicates,
            "suppressed": answer.suppressed,
            "errors": row_errors(answer),
        }
    )


def options(campaign: str, upload: Upload) -> pb.UploadRecipientsOptions:
    return pb.UploadRecipientsOptions(
        campaign_id=campaign,
        default_region=region(upload.fields[-1].value) if upload.fields else "",
        file_name=upload.file.file_name,
        content_type=upload.file.content_type,
    )


@routes.add(
    "GET",
    "/campaigns/{id}/recipients",
    operation_id="listRecipients",
    summary="List recipients in the order they were added",
    scope=READ,
    answer=schemas.RecipientPage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def list_recipients(
    caller: CallerOf,
    id: str,
    page: Page = None,
    per_page: PerPage = None,
    status: Annotated[schemas.RecipientStatus | None, Query()] = None,
    limit: PageSize = DEFAULT_PAGE_SIZE,
    cursor: PageCursor = None,
) -> Response:
    """With `page` or `per_page` by number, and then with `total`; otherwise by cursor, which has no depth limit."""
    numbered = page is not None or per_page is not None
    if numbered and cursor is not None:
        raise refused_field("/cursor", FieldCode.INVALID_VALUE, "Page either by number or by cursor.")
    number, size = page or 1, per_page or DEFAULT_PER_PAGE
    if numbered and number * size > MAX_OFFSET:
        raise refused_field("/page", FieldCode.OUT_OF_RANGE, "page × per_page may reach 100,000; go on by cursor.")
    request = pb.ListRecipientsRequest(
        campaign_id=campaign_id(id),
        status=convert.RECIPIENT_STATUSES.value(status),
        page=number if numbered else 0,
        per_page=size if numbered else limit,
        cursor=cursor or "",
    )
    client = caller.backends.campaigns
    answer = await caller.read(client, client.stub.ListRecipients, request)
    data = [convert.recipient(one, answer.channel) for one in answer.recipients]
    if numbered:
        return caller.answer({"data": data, "total": answer.total, "page": number, "per_page": size})
    return caller.answer(cursor_page(data, answer.next_cursor))
