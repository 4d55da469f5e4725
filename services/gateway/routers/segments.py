"""Segments and their members. The same operations answer under /contacts/segments."""

from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from carillon.segments.v1 import segments_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import segments as convert
from services.gateway.convert.values import page
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import segments as schemas
from services.gateway.schemas.fields import Reference
from services.gateway.schemas.lists import EXAMPLE_CONTACT
from services.gateway.schemas.rules import PARTS

routes = Routes("Segments")
of_contact = Routes("Segments")

READ, WRITE = "segments:read", "segments:write"
AskedContact = Annotated[Reference, Query(description="The contact in question", examples=[EXAMPLE_CONTACT])]


def segment_id(text: str) -> str:
    return known_id("seg", text, "segment")


@routes.add(
    "POST",
    "/segments",
    operation_id="createSegment",
    summary="Create a segment",
    scope=WRITE,
    status=201,
    answer=schemas.Segment,
    reasons=[Reason.INVALID_RULE],
)
async def create_segment(caller: CallerOf, body: schemas.SegmentCreate) -> Response:
    """Its `status` is `building` until every contact has been looked at once. Faults of the rule are pointed at."""
    client = caller.backends.segments
    request = pb.CreateSegmentRequest(name=body.name, rule_json=convert.rule_json(body))
    answer = await caller.write(client, client.stub.CreateSegment, request)
    found = answer.segment
    return caller.answer(convert.segment(found), status=201, version=found.version, location=f"/segments/{found.id}")


@routes.add(
    "GET",
    "/segments",
    operation_id="listSegments",
    summary="List segments, newest first",
    scope=READ,
    answer=schemas.SegmentPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_segments(caller: CallerOf, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None) -> Response:
    client = caller.backends.segments
    request = pb.ListSegmentsRequest(page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListSegments, request)
    return caller.answer(page([convert.segment(one) for one in answer.segments], answer.next_cursor))


@routes.add(
    "POST",
    "/segments/preview",
    operation_id="previewSegment",
    summary="Say whom a rule would hold, without keeping it",
    scope=READ,
    answer=schemas.SegmentPreviewAnswer,
    reasons=[Reason.INVALID_RULE],
    keeps_answer=True,
)
async def preview_segment(caller: CallerOf, body: schemas.SegmentPreview) -> Response:
    """The count, and ten of them. Nothing is stored but the answer, where there is an Idempotency-Key."""
    client = caller.backends.segments
    request = pb.PreviewSegmentRequest(rule_json=convert.rule_json(body))
    return caller.answer(convert.preview(await caller.read(client, client.stub.PreviewSegment, request)))


@routes.add(
    "GET",
    "/segments/{id}",
    operation_id="getSegment",
    summary="Get a segment with its member count",
    scope=READ,
    answer=schemas.Segment,
    reasons=[Reason.NOT_FOUND],
)
async def get_segment(caller: CallerOf, id: str) -> Response:
    client = caller.backends.segments
    answer = await caller.read(client, client.stub.GetSegment, pb.GetSegmentRequest(id=segment_id(id)))
    return caller.answer(convert.segment(answer.segment), version=answer.segment.version)


async def update(caller: CallerOf, id: str, body: schemas.SegmentUpdate) -> Response:
    """Only the fields sent. While a new rule is worked in, the old membership is served."""
    fields: dict[str, Any] = {}
    if "name" in body.model_fields_set:
        fields["name"] = body.name
    if body.model_fields_set.intersection(PARTS):
        fields["rule_json"] = convert.rule_json(body)
    client = caller.backends.segments
    request = pb.UpdateSegmentRequest(id=segment_id(id), if_version=caller.if_version, **fields)
    answer = await caller.write(client, client.stub.UpdateSegment, request)
    return caller.answer(convert.segment(answer.segment), version=answer.segment.version)


for method, operation_id in (("PUT", "updateSegment"), ("PATCH", "patchSegment")):
    routes.add(
        method,
        "/segments/{id}",
        operation_id=operation_id,
        summary="Change the fields sent",
        scope=WRITE,
        answer=schemas.Segment,
        reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, Reason.INVALID_RULE],
    )(update)


@routes.add(
    "DELETE",
    "/segments/{id}",
    operation_id="deleteSegment",
    summary="Delete a segment; contacts are not touched",
    scope=WRITE,
    status=204,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, Reason.SEGMENT_IN_USE],
)
async def delete_segment(caller: CallerOf, id: str) -> Response:
    client = caller.backends.segments
    request = pb.DeleteSegmentRequest(id=segment_id(id), if_version=caller.if_version)
    await caller.write(client, client.stub.DeleteSegment, request)
    return caller.gone()


@routes.add(
    "GET",
    "/segments/{id}/members",
    operation_id="listSegmentMembers",
    summary="List the contacts in a segment",
    scope=READ,
    answer=schemas.MemberPage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def list_members(
    caller: CallerOf, id: str, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    """`revision` matches the positions of the segment's events: a copy that starts here goes on with later ones."""
    client = caller.backends.segments
    request = pb.ListMembersRequest(segment_id=segment_id(id), page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListMembers, request)
    data = [convert.member(one) for one in answer.members]
    return caller.answer(page(data, answer.next_cursor, revision=answer.revision))


@routes.add(
    "GET",
    "/segments/{id}/explain",
    operation_id="explainMembership",
    summary="Say why a contact is in a segment or is not",
    scope=READ,
    answer=schemas.MembershipExplanation,
    reasons=[Reason.NOT_FOUND],
)
async def explain_membership(caller: CallerOf, id: str, contact_id: AskedContact) -> Response:
    """Condition by condition: whether it holds, what the contact has, and when that changes by the clock alone."""
    client = caller.backends.segments
    request = pb.ExplainMembershipRequest(segment_id=segment_id(id), contact_id=known_id("cnt", contact_id, "contact"))
    answer = await caller.read(client, client.stub.ExplainMembership, request)
    return caller.answer(convert.explanation(request, answer))


@of_contact.add(
    "GET",
    "/contacts/{id}/segments",
    operation_id="listContactSegments",
    summary="List the segments that a contact is in",
    scope=READ,
    answer=schemas.SegmentPage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def list_contact_segments(
    caller: CallerOf, id: str, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    contact_id = known_id("cnt", id, "contact")
    await must_exist(caller, contact_id)
    client = caller.backends.segments
    request = pb.ListContactSegmentsRequest(contact_id=contact_id, page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListContactSegments, request)
    return caller.answer(page([convert.segment(one) for one in answer.segments], answer.next_cursor))


async def must_exist(caller: Caller, contact_id: str) -> None:
    """The segments service says of an unknown contact that it is in none; the public contract says 404."""
    client = caller.backends.contacts
    await caller.read(client, client.stub.GetContact, contacts_pb.GetContactRequest(id=contact_id))
