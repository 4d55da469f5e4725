"""Static lists and their members. The same operations answer under /contacts/lists."""

from typing import Any

from starlette.responses import Response

from carillon.contacts.v1 import lists_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import contacts as convert_contacts
from services.gateway.convert import lists as convert
from services.gateway.convert.values import page
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import JSON_LIMIT_BYTES, Routes
from services.gateway.schemas import contacts as contact_schemas
from services.gateway.schemas import lists as schemas

routes = Routes("Lists")

READ, WRITE = "contacts:read", "contacts:write"


def list_id(text: str) -> str:
    return known_id("lst", text, "list")


@routes.add(
    "POST",
    "/lists",
    operation_id="createList",
    summary="Create a list",
    scope=WRITE,
    status=201,
    answer=schemas.ContactList,
)
async def create_list(caller: CallerOf, body: schemas.ListCreate) -> Response:
    client = caller.backends.lists
    request = pb.CreateListRequest(name=body.name, description=body.description)
    answer = await caller.write(client, client.stub.CreateList, request)
    found = answer.list
    return caller.answer(convert.contact_list(found), status=201, version=found.version, location=f"/lists/{found.id}")


@routes.add(
    "GET",
    "/lists",
    operation_id="listLists",
    summary="List the lists, newest first",
    scope=READ,
    answer=schemas.ListPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_lists(caller: CallerOf, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None) -> Response:
    client = caller.backends.lists
    request = pb.ListListsRequest(page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListLists, request)
    return caller.answer(page([convert.contact_list(one) for one in answer.lists], answer.next_cursor))


async def add(caller: Caller, list_ids: list[str], contact_ids: list[str]) -> Response:
    client = caller.backends.lists
    request = pb.AddListMembersRequest(list_ids=list_ids, contact_ids=contact_ids)
    return caller.answer(convert.added(await caller.write(client, client.stub.AddListMembers, request)))


async def remove(caller: Caller, list_ids: list[str], contact_ids: list[str]) -> Response:
    client = caller.backends.lists
    request = pb.RemoveListMembersRequest(list_ids=list_ids, contact_ids=contact_ids)
    return caller.answer(convert.removed(await caller.write(client, client.stub.RemoveListMembers, request)))


# Before the routes with {id}, which would swallow `members`.
@routes.add(
    "POST",
    "/lists/members",
    operation_id="addToLists",
    summary="Put up to 1,000 contacts on up to 100 lists",
    scope=WRITE,
    answer=schemas.MembersAdded,
    reasons=[Reason.NOT_FOUND],
)
async def add_to_lists(caller: CallerOf, body: schemas.ListsMembers) -> Response:
    """Who is on a list already stays on it. Contact ids that name nobody are reported; an unknown list is 404, and
    then nothing is written."""
    return await add(caller, body.list_ids, body.contact_ids)


@routes.add(
    "DELETE",
    "/lists/members",
    operation_id="removeFromLists",
    summary="Take up to 1,000 contacts off up to 100 lists",
    scope=WRITE,
    answer=schemas.MembersRemoved,
    reasons=[Reason.NOT_FOUND],
    body_limit=JSON_LIMIT_BYTES,
)
async def remove_from_lists(caller: CallerOf, body: schemas.ListsMembers) -> Response:
    """The contacts themselves stay. An unknown list is 404, and then nothing is written."""
    return await remove(caller, body.list_ids, body.contact_ids)


@routes.add(
    "GET",
    "/lists/{id}",
    operation_id="getList",
    summary="Get a list with its member count",
    scope=READ,
    answer=schemas.ContactList,
    reasons=[Reason.NOT_FOUND],
)
async def get_list(caller: CallerOf, id: str) -> Response:
    client = caller.backends.lists
    answer = await caller.read(client, client.stub.GetList, pb.GetListRequest(id=list_id(id)))
    return caller.answer(convert.contact_list(answer.list), version=answer.list.version)


async def update(caller: CallerOf, id: str, body: schemas.ListUpdate) -> Response:
    """Only the fields sent; a description of null clears it. `If-Match` is honoured."""
    fields: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    request = pb.UpdateListRequest(
        id=list_id(id),
        clear_description=fields.get("description", "") is None,
        if_version=caller.if_version,
        **fields,
    )
    client = caller.backends.lists
    answer = await caller.write(client, client.stub.UpdateList, request)
    return caller.answer(convert.contact_list(answer.list), version=answer.list.version)


for method, operation_id in (("PUT", "updateList"), ("PATCH", "patchList")):
    routes.add(
        method,
        "/lists/{id}",
        operation_id=operation_id,
        summary="Change the fields sent",
        scope=WRITE,
        answer=schemas.ContactList,
        reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH],
    )(update)


@routes.add(
    "DELETE",
    "/lists/{id}",
    operation_id="deleteList",
    summary="Delete a list; its members stay contacts",
    scope=WRITE,
    status=204,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH],
)
async def delete_list(caller: CallerOf, id: str) -> Response:
    """The list is gone at once. Of more than 1,000 members, `lists` still names it until the background got to them."""
    client = caller.backends.lists
    request = pb.DeleteListRequest(id=list_id(id), if_version=caller.if_version)
    await caller.write(client, client.stub.DeleteList, request)
    return caller.gone()


@routes.add(
    "GET",
    "/lists/{id}/members",
    operation_id="listListMembers",
    summary="List the contacts on a list",
    scope=READ,
    answer=contact_schemas.ContactPage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def list_members(
    caller: CallerOf, id: str, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    """Full contacts, the newest contact first, whenever it was put on the list."""
    client = caller.backends.lists
    request = pb.ListListMembersRequest(id=list_id(id), page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListListMembers, request)
    return caller.answer(page([convert_contacts.contact(one) for one in answer.contacts], answer.next_cursor))


@routes.add(
    "POST",
    "/lists/{id}/members",
    operation_id="addListMembers",
    summary="Put up to 1,000 contacts on a list",
    scope=WRITE,
    answer=schemas.MembersAdded,
    reasons=[Reason.NOT_FOUND],
)
async def add_members(caller: CallerOf, id: str, body: schemas.ListMembers) -> Response:
    """Who is on it already stays on it. Contact ids that name nobody are reported in `not_found`."""
    return await add(caller, [list_id(id)], body.contact_ids)


@routes.add(
    "DELETE",
    "/lists/{id}/members",
    operation_id="removeListMembers",
    summary="Take up to 1,000 contacts off a list",
    scope=WRITE,
    answer=schemas.MembersRemoved,
    reasons=[Reason.NOT_FOUND],
    body_limit=JSON_LIMIT_BYTES,
)
async def remove_members(caller: CallerOf, id: str, body: schemas.ListMembers) -> Response:
    """The contacts themselves stay."""
    return await remove(caller, [list_id(id)], body.contact_ids)
