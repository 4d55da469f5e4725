"""Many contacts at once: upserts row by row, and one change to all, by their ids or by a filter."""

from typing import Annotated, Any

from starlette.responses import Response

from carillon.contacts.v1 import bulk_pb2 as pb
from chassis.errors import InvalidArgument, Reason
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import batch as convert_batch
from services.gateway.convert import bulk as convert
from services.gateway.errors import refused_field
from services.gateway.problem import FieldCode
from services.gateway.routers.parameters import DefaultRegion
from services.gateway.routes import Routes, Unread
from services.gateway.schemas import batch as batch_schemas
from services.gateway.schemas import bulk as schemas

# All literal paths: mounted before any route of a contact with {id}.
routes = Routes("Contacts")

BATCH_LIMIT_BYTES = 8 << 20
ACCEPTED: dict[int, tuple[Any, str]] = {
    202: (schemas.BulkJob, "The filter finds over 1,000 contacts: changed in the background, see `Location`")
}


@routes.add(
    "POST",
    "/contacts/bulk-tag",
    operation_id="bulkTagContacts",
    summary="Add and remove tags on many contacts",
    scope="contacts:write",
    answer=schemas.BulkOutcome,
    others=ACCEPTED,
)
async def bulk_tag(caller: CallerOf, body: schemas.BulkTag) -> Response:
    """Up to 1,000 by `contact_ids`, or all that the `filter` finds. A contact that would have more than 100 tags is
    left as it is, and the others are changed all the same."""
    return await change(caller, body, {"add_tags": body.add, "remove_tags": body.remove})


@routes.add(
    "POST",
    "/contacts/bulk-list",
    operation_id="bulkListContacts",
    summary="Put many contacts on lists, and take them off",
    scope="contacts:write",
    answer=schemas.BulkOutcome,
    others=ACCEPTED,
)
async def bulk_list(caller: CallerOf, body: schemas.BulkList) -> Response:
    """Up to 1,000 by `contact_ids`, or all that the `filter` finds. An unknown list is 422, and nothing is written."""
    return await change(caller, body, {"add_lists": body.add, "remove_lists": body.remove})


@routes.add(
    "POST",
    "/contacts/batch",
    operation_id="batchUpsertContacts",
    summary="Create or update up to 1,000 contacts",
    scope="contacts:write",
    answer=batch_schemas.BatchAnswer,
    body_limit=BATCH_LIMIT_BYTES,
)
async def batch_upsert(
    caller: CallerOf,
    body: Annotated[bytes, Unread(batch_schemas.ContactBatch)],
    default_region: DefaultRegion = None,
) -> Response:
    """Each row as a `POST /v1/contacts?on_conflict=update`, in their order and in one transaction; up to 8 MiB. A row
    that is refused says why in its result, and the others are written all the same."""
    client = caller.backends.bulk
    request = convert_batch.request(body, default_region or "")
    try:
        answer = await caller.write(client, client.stub.UpsertBatch, request)
    except InvalidArgument:
        convert_batch.check(body)
        raise
    return caller.answer(convert_batch.answer(body, answer))


async def change(caller: Caller, body: schemas.BulkTarget, changes: dict[str, Any]) -> Response:
    if (body.contact_ids is None) == (body.filter is None):
        raise refused_field("/contact_ids", FieldCode.REQUIRED, "Give exactly one of contact_ids and filter.")
    client = caller.backends.bulk
    request = pb.BulkChangeContactsRequest(**convert.target(body), **changes)
    answer = await caller.write(client, client.stub.BulkChangeContacts, request)
    if answer.WhichOneof("answer") == "job":
        return caller.answer(convert.job(answer.job), status=202, location=f"/bulk-jobs/{answer.job.id}")
    return caller.answer(convert.outcome(answer.outcome))


@routes.add(
    "GET",
    "/bulk-jobs/{id}",
    operation_id="getBulkJob",
    summary="Get a change that goes on in the background",
    scope="contacts:read",
    answer=schemas.BulkJob,
    reasons=[Reason.NOT_FOUND],
)
async def get_bulk_job(caller: CallerOf, id: str) -> Response:
    """It looks at the contacts that there are when it begins, newest first, and changes each once. Forgotten 72 hours
    after its end."""
    client = caller.backends.bulk
    request = pb.GetBulkJobRequest(id=known_id("job", id, "job"))
    answer = await caller.read(client, client.stub.GetBulkJob, request)
    return caller.answer(convert.job(answer.job))
