"""A contact's timeline and messages."""

from starlette.responses import Response

from carillon.contacts.v1 import activity_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf
from services.gateway.convert import activity as convert
from services.gateway.convert.values import page
from services.gateway.routers.contacts import READ, WRITE, contact_id
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import activity as schemas

routes = Routes("Activity")


@routes.add(
    "GET",
    "/contacts/{id}/activity",
    operation_id="listContactActivity",
    summary="Read a contact's timeline, newest first",
    scope=READ,
    answer=schemas.ActivityPage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def list_activity(
    caller: CallerOf, id: str, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    """Messages with each stage of their way, opt-ins and opt-outs, and what was added. A message's entries may show
    a moment after it was sent."""
    client = caller.backends.activity
    request = pb.ListActivityRequest(contact_id=contact_id(id), page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListActivity, request)
    return caller.answer(page([convert.activity(one) for one in answer.activity], answer.next_cursor))


@routes.add(
    "POST",
    "/contacts/{id}/activity",
    operation_id="addContactActivity",
    summary="Add an entry to a contact's timeline",
    scope=WRITE,
    status=201,
    answer=schemas.Activity,
    reasons=[Reason.NOT_FOUND],
)
async def add_activity(caller: CallerOf, id: str, body: schemas.ActivityCreate) -> Response:
    """What happened elsewhere: an agent's note, a call, a deal."""
    client = caller.backends.activity
    request = convert.new_activity(contact_id(id), body, actor=caller.principal.key_id)
    answer = await caller.write(client, client.stub.AddActivity, request)
    return caller.answer(convert.activity(answer.activity), status=201, location=f"/contacts/{id}/activity")


@routes.add(
    "GET",
    "/contacts/{id}/messages",
    operation_id="listContactMessages",
    summary="List a contact's messages with their latest status, newest first",
    scope=READ,
    answer=schemas.MessagePage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def list_messages(
    caller: CallerOf, id: str, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    """In the order in which they were made for the contact. An id is that of the campaign's recipient."""
    client = caller.backends.activity
    request = pb.ListMessagesRequest(contact_id=contact_id(id), page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListMessages, request)
    return caller.answer(page([convert.message(one) for one in answer.messages], answer.next_cursor))
