"""Senders: from where and through whom messages go."""

from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import campaigns as campaigns_convert
from services.gateway.convert import senders as convert
from services.gateway.convert.values import page
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import senders as schemas
from services.gateway.schemas.campaigns import CampaignTestResult

routes = Routes("Senders")

READ, WRITE = "campaigns:read", "campaigns:write"


def sender_id(text: str) -> str:
    return known_id("sender", text, "sender")


def show(caller: Caller, source: pb.Sender) -> dict[str, object]:
    return convert.sender(source, caller.settings.public_url)


@routes.add(
    "POST",
    "/senders",
    operation_id="createSender",
    summary="Create a sender",
    scope=WRITE,
    status=201,
    answer=schemas.Sender,
)
async def create_sender(caller: CallerOf, body: schemas.SenderCreate) -> Response:
    """`secrets` are encrypted at rest and never read back."""
    client = caller.backends.campaigns
    answer = await caller.write(client, client.stub.CreateSender, convert.new_sender(body))
    found = answer.sender
    return caller.answer(show(caller, found), status=201, version=found.version, location=f"/senders/{found.id}")


@routes.add(
    "GET",
    "/senders",
    operation_id="listSenders",
    summary="List senders, newest first",
    scope=READ,
    answer=schemas.SenderPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_senders(caller: CallerOf, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None) -> Response:
    client = caller.backends.campaigns
    request = pb.ListSendersRequest(page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListSenders, request)
    return caller.answer(page([show(caller, one) for one in answer.senders], answer.next_cursor))


@routes.add(
    "GET",
    "/senders/{id}",
    operation_id="getSender",
    summary="Get a sender",
    scope=READ,
    answer=schemas.Sender,
    reasons=[Reason.NOT_FOUND],
)
async def get_sender(caller: CallerOf, id: str) -> Response:
    client = caller.backends.campaigns
    answer = await caller.read(client, client.stub.GetSender, pb.GetSenderRequest(id=sender_id(id)))
    return caller.answer(show(caller, answer.sender), version=answer.sender.version)


async def update(caller: CallerOf, id: str, body: schemas.SenderUpdate) -> Response:
    """Only the fields sent; `settings` and `secrets` are replaced as a whole."""
    client = caller.backends.campaigns
    request = convert.sender_update(sender_id(id), body, caller.if_version)
    answer = await caller.write(client, client.stub.UpdateSender, request)
    return caller.answer(show(caller, answer.sender), version=answer.sender.version)


for method, operation_id in (("PUT", "updateSender"), ("PATCH", "patchSender")):
    routes.add(
        method,
        "/senders/{id}",
        operation_id=operation_id,
        summary="Change the fields sent",
        scope=WRITE,
        answer=schemas.Sender,
        reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH],
    )(update)


@routes.add(
    "DELETE",
    "/senders/{id}",
    operation_id="deleteSender",
    summary="Delete a sender",
    scope=WRITE,
    status=204,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, Reason.RESOURCE_IN_USE],
)
async def delete_sender(caller: CallerOf, id: str) -> Response:
    client = caller.backends.campaigns
    request = pb.DeleteSenderRequest(id=sender_id(id), if_version=caller.if_version)
    await caller.write(client, client.stub.DeleteSender, request)
    return caller.gone()


@routes.add(
    "POST",
    "/senders/{id}/test",
    operation_id="testSender",
    summary="Send a text to one address now, through the sender",
    scope=WRITE,
    answer=CampaignTestResult,
    reasons=[Reason.NOT_FOUND],
)
async def test_sender(caller: CallerOf, id: str, body: schemas.SenderTest) -> Response:
    """Whoever must not be messaged is `skipped`. Nothing is tried again."""
    client = caller.backends.campaigns
    request = pb.TestSenderRequest(id=sender_id(id), to=body.to, text=body.text)
    answer = await caller.write(client, client.stub.TestSender, request)
    return caller.answer(campaigns_convert.trial_result(answer.result, answer.channel))
