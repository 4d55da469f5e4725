"""The account's do-not-contact list."""

from starlette.responses import Response

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf, known_id
from services.gateway.convert import contacts as convert
from services.gateway.convert.values import page
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, DefaultRegion, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import suppressions as schemas

routes = Routes("Suppressions")


@routes.add(
    "POST",
    "/suppressions",
    operation_id="createSuppression",
    summary="Put a phone or an email on the do-not-contact list",
    scope="contacts:write",
    status=201,
    answer=schemas.Suppression,
    reasons=[Reason.INVALID_PHONE, Reason.INVALID_EMAIL, Reason.SUPPRESSION_EXISTS],
)
async def create_suppression(
    caller: CallerOf, body: schemas.SuppressionCreate, default_region: DefaultRegion = None
) -> Response:
    client = caller.backends.contacts
    request = convert.new_suppression(body, default_region or "")
    answer = await caller.write(client, client.stub.CreateSuppression, request)
    found = answer.suppression
    return caller.answer(convert.suppression(found), status=201, location=f"/suppressions/{found.id}")


@routes.add(
    "GET",
    "/suppressions",
    operation_id="listSuppressions",
    summary="List the do-not-contact list, newest first",
    scope="contacts:read",
    answer=schemas.SuppressionPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_suppressions(
    caller: CallerOf, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    client = caller.backends.contacts
    request = pb.ListSuppressionsRequest(page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListSuppressions, request)
    return caller.answer(page([convert.suppression(one) for one in answer.suppressions], answer.next_cursor))


@routes.add(
    "DELETE",
    "/suppressions/{id}",
    operation_id="deleteSuppression",
    summary="Take an entry off the do-not-contact list",
    scope="contacts:write",
    status=204,
    reasons=[Reason.NOT_FOUND],
)
async def delete_suppression(caller: CallerOf, id: str) -> Response:
    client = caller.backends.contacts
    request = pb.DeleteSuppressionRequest(id=suppression_id(id))
    await caller.write(client, client.stub.DeleteSuppression, request)
    return caller.gone()


def suppression_id(text: str) -> str:
    return known_id("sup", text, "suppression")
