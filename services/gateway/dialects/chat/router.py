"""The calls of the chat dialect."""

from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from carillon.contacts.v1 import activity_pb2, contacts_pb2, lists_pb2
from chassis.errors import InvalidArgument, Reason, Violation
from services.gateway.caller import CallerOf
from services.gateway.dialects.chat import convert, schemas
from services.gateway.dialects.chat.route import BASE
from services.gateway.errors import refused_field, unknown_id
from services.gateway.problem import FieldCode
from services.gateway.routers.contact_filters import plus
from services.gateway.routers.contacts import CREATES, READ, WRITE, WRITES, contact_id
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import JSON_LIMIT_BYTES, Routes
from services.gateway.schemas.fields import ShortText, Text

routes = Routes("Chat dialect")

ContactId = Annotated[str, Path(alias="contactId", examples=[schemas.EXAMPLE_CONTACT])]
PHONE = "With its country code; one of phoneNumber and email"


@routes.add(
    "GET",
    "/contacts",
    operation_id="chatGetContact",
    summary="Get a contact by phone number or email",
    scope=READ,
    answer=schemas.ChatContact,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_PHONE, Reason.INVALID_EMAIL],
)
async def get_contact(
    caller: CallerOf,
    phone: Annotated[ShortText | None, Query(alias="phoneNumber", description=PHONE, examples=["+1234567890"])] = None,
    email: Annotated[Text | None, Query()] = None,
) -> Response:
    """Where several contacts share an email, the one updated last."""
    given = {name: value for name, value in (("phone", plus(phone)), ("email", email)) if value}
    if len(given) != 1:
        raise refused_field("/phoneNumber", FieldCode.REQUIRED, "Give exactly one of phoneNumber and email.")
    client = caller.backends.contacts
    answer = await caller.read(client, client.stub.LookupContact, contacts_pb2.LookupContactRequest(**given))
    return caller.answer(convert.contact(answer.contact), version=answer.contact.version)


@routes.add(
    "POST",
    "/contacts",
    operation_id="chatCreateContact",
    summary="Create a contact with a phone number and what else is known",
    scope=WRITE,
    answer=schemas.ChatContact,
    reasons=CREATES,
)
async def create_contact(caller: CallerOf, body: schemas.ChatContactCreate) -> Response:
    """A phone number that is there already is 409 `contact_exists` with `existing_id`."""
    client = caller.backends.contacts
    request = contacts_pb2.CreateContactRequest(contact=convert.patch(body))
    answer = await caller.write(client, client.stub.CreateContact, request)
    return caller.answer(convert.contact(answer.contact), version=answer.contact.version)


@routes.add(
    "PUT",
    "/contacts/{contactId}",
    operation_id="chatUpdateContact",
    summary="Change the fields sent",
    scope=WRITE,
    answer=schemas.ChatContact,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, *WRITES],
)
async def update_contact(caller: CallerOf, id: ContactId, body: schemas.ChatContactUpdate) -> Response:
    client = caller.backends.contacts
    request = contacts_pb2.UpdateContactRequest(
        id=contact_id(id), patch=convert.patch(body), if_version=caller.if_version
    )
    answer = await caller.write(client, client.stub.UpdateContact, request)
    return caller.answer(convert.contact(answer.contact), version=answer.contact.version)


@routes.add(
    "POST",
    "/contacts/lists",
    operation_id="chatAddContactToList",
    summary="Put a contact on a list",
    scope=WRITE,
    answer=schemas.ChatMembership,
    reasons=[Reason.NOT_FOUND],
)
async def add_to_list(caller: CallerOf, body: schemas.ChatListMember) -> Response:
    """Who is on it already stays on it."""
    client = caller.backends.lists
    request = lists_pb2.AddListMembersRequest(list_ids=[body.list_id], contact_ids=[body.contact_id])
    answer = await caller.write(client, client.stub.AddListMembers, request)
    if answer.not_found:
        raise unknown_id("contact")
    for failure in answer.failed:
        violation = Violation("/contactId", failure.code, failure.detail)
        raise InvalidArgument(failure.code, failure.detail, violations=[violation])
    return caller.answer(convert.membership(body.contact_id, body.list_id, is_member=True, changed=answer.added > 0))


@routes.add(
    "DELETE",
    "/contacts/lists",
    operation_id="chatRemoveContactFromList",
    summary="Take a contact off a list",
    scope=WRITE,
    answer=schemas.ChatMembership,
    reasons=[Reason.NOT_FOUND],
    body_limit=JSON_LIMIT_BYTES,
)
async def remove_from_list(caller: CallerOf, body: schemas.ChatListMember) -> Response:
    """The contact itself stays."""
    client = caller.backends.lists
    request = lists_pb2.RemoveListMembersRequest(list_ids=[body.list_id], contact_ids=[body.contact_id])
    answer = await caller.write(client, client.stub.RemoveListMembers, request)
    if answer.not_found:
        raise unknown_id("contact")
    return caller.answer(convert.membership(body.contact_id, body.list_id, is_member=False, changed=answer.removed > 0))


@routes.add(
    "GET",
    "/contacts/tags/{contactId}",
    operation_id="chatListContactTags",
    summary="Get all tags of a contact",
    scope=READ,
    answer=list[str],
    reasons=[Reason.NOT_FOUND],
)
async def list_tags(caller: CallerOf, id: ContactId) -> Response:
    """In the order in which they were added."""
    client = caller.backends.contacts
    answer = await caller.read(client, client.stub.GetContact, contacts_pb2.GetContactRequest(id=contact_id(id)))
    return caller.answer(list(answer.contact.tags), version=answer.contact.version)


@routes.add(
    "GET",
    "/contacts/messages/{contactId}",
    operation_id="chatListContactMessages",
    summary="Get a contact's messages, newest first",
    scope=READ,
    answer=list[schemas.ChatMessage],
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def list_messages(
    caller: CallerOf, id: ContactId, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    """Where there are more, the header `Link` leads to them (`rel="next"`)."""
    client = caller.backends.activity
    request = activity_pb2.ListMessagesRequest(contact_id=contact_id(id), page_size=limit, cursor=cursor or "")
    found = await caller.read(client, client.stub.ListMessages, request)
    answer = caller.answer([convert.message(one) for one in found.messages])
    if found.next_cursor:
        sealed = caller.cursors.seal(caller.principal.account, found.next_cursor)
        more = f"{BASE}/contacts/messages/{id}?limit={limit}&cursor={sealed}"
        answer.headers["Link"] = f'<{more}>; rel="next"'
    return answer
