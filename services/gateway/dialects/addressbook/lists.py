"""Contact lists of the address book dialect."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from carillon.contacts.v1 import lists_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf
from services.gateway.convert import lists as convert_lists
from services.gateway.dialects.addressbook import convert, pages, schemas
from services.gateway.dialects.addressbook.route import TAG
from services.gateway.routers import lists as canonical
from services.gateway.routers.lists import READ, WRITE, list_id
from services.gateway.routes import JSON_LIMIT_BYTES, Routes
from services.gateway.schemas.lists import EXAMPLE_LIST, ContactList, MembersAdded, MembersRemoved

routes = Routes(TAG)


@routes.add(
    "GET",
    "/contacts/list",
    operation_id="addressBookListLists",
    summary="List the contact lists, newest first",
    scope=READ,
    answer=schemas.AddressBookListPage,
)
async def list_lists(caller: CallerOf, page: pages.NumberedPage) -> Response:
    client = caller.backends.lists
    request = pb.ListListsRequest(page_size=page.per_page, skip=page.skipped, include_total=True)
    answer = await caller.read(client, client.stub.ListLists, request)
    data = [convert_lists.contact_list(one) for one in answer.lists]
    return caller.answer(pages.answer(page, data, skipped=answer.skipped, total=pages.total(answer)))


@routes.add(
    "POST",
    "/contacts/list",
    operation_id="addressBookCreateList",
    summary="Create a contact list",
    scope=WRITE,
    status=201,
    answer=ContactList,
)
async def create_list(caller: CallerOf, body: schemas.AddressBookListCreate) -> Response:
    client = caller.backends.lists
    request = pb.CreateListRequest(name=body.name, description=body.description)
    found = (await caller.write(client, client.stub.CreateList, request)).list
    created = caller.answer(convert_lists.contact_list(found), status=201, version=found.version)
    # A list by itself is no call of this dialect's.
    created.headers["Location"] = f"/v1/lists/{found.id}"
    return created


@routes.add(
    "POST",
    "/contacts/list/contacts",
    operation_id="addressBookAddToLists",
    summary="Put up to 1,000 contacts on up to 100 lists",
    scope=WRITE,
    answer=MembersAdded,
    reasons=[Reason.NOT_FOUND],
)
async def add_to_lists(caller: CallerOf, body: schemas.AddressBookListContacts) -> Response:
    """Who is on a list already stays on it. Contact ids that name nobody are reported; an unknown list is 404, and
    then nothing is written."""
    return await canonical.add(caller, body.list_ids, body.contact_ids)


@routes.add(
    "DELETE",
    "/contacts/list/contacts",
    operation_id="addressBookRemoveFromLists",
    summary="Take up to 1,000 contacts off up to 100 lists",
    scope=WRITE,
    answer=MembersRemoved,
    reasons=[Reason.NOT_FOUND],
    body_limit=JSON_LIMIT_BYTES,
)
async def remove_from_lists(caller: CallerOf, body: schemas.AddressBookListContacts) -> Response:
    """The contacts themselves stay. An unknown list is 404, and then nothing is written."""
    return await canonical.remove(caller, body.list_ids, body.contact_ids)


@routes.add(
    "GET",
    "/contacts/list/{listId}/contacts",
    operation_id="addressBookListMembers",
    summary="List the contacts on a list, newest first",
    scope=READ,
    answer=schemas.AddressBookContactPage,
    reasons=[Reason.NOT_FOUND],
)
async def list_members(
    caller: CallerOf, id: Annotated[str, Path(alias="listId", examples=[EXAMPLE_LIST])], page: pages.NumberedPage
) -> Response:
    client = caller.backends.lists
    request = pb.ListListMembersRequest(id=list_id(id), page_size=page.per_page, skip=page.skipped)
    answer = await caller.read(client, client.stub.ListListMembers, request)
    data = [convert.contact(one) for one in answer.contacts]
    return caller.answer(pages.answer(page, data, skipped=answer.skipped, total=pages.total(answer)))
