"""Contacts and their tags."""

from typing import Annotated, Literal

import orjson
from fastapi import Query
from starlette.responses import Response

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf, known_id
from services.gateway.convert import contacts as convert
from services.gateway.convert.values import page
from services.gateway.errors import refused_field
from services.gateway.problem import FieldCode
from services.gateway.routers.contact_filters import ORDERS, ContactFilter, SortedBy, WithTotal, plus
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, DefaultRegion, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import contacts as schemas
from services.gateway.schemas.fields import ShortText, Text

routes = Routes("Contacts")
# Mounted before any route with {id}, which would swallow them.
first = Routes("Contacts")

READ, WRITE = "contacts:read", "contacts:write"
WRITES = (
    Reason.INVALID_PHONE,
    Reason.INVALID_EMAIL,
    Reason.CONTACT_EXISTS,
    Reason.IDENTITY_CONFLICT,
    Reason.IDENTITY_REQUIRED,
)
CREATES = (*WRITES, Reason.OVERLOADED)
OnConflict = Annotated[Literal["refuse", "update"], Query(description="What to do when the contact is there already")]
Filter = Annotated[ShortText | None, Query()]


def contact_id(text: str) -> str:
    return known_id("cnt", text, "contact")


@routes.add(
    "POST",
    "/contacts",
    operation_id="createContact",
    summary="Create a contact",
    scope=WRITE,
    status=201,
    answer=schemas.Contact,
    others={200: (schemas.Contact, "With `on_conflict=update`: the existing contact, updated")},
    reasons=CREATES,
)
async def create_contact(
    caller: CallerOf,
    body: schemas.ContactCreate,
    on_conflict: OnConflict = "refuse",
    default_region: DefaultRegion = None,
) -> Response:
    """Phone, external id, and email where there is no phone, are unique in the account: a clash is 409
    `contact_exists` with `existing_id`, or an update with `on_conflict=update`."""
    request = pb.CreateContactRequest(
        contact=convert.patch(body),
        on_conflict=pb.ON_CONFLICT_UPDATE if on_conflict == "update" else pb.ON_CONFLICT_UNSPECIFIED,
        default_region=default_region or "",
    )
    client = caller.backends.contacts
    answer = await caller.write(client, client.stub.CreateContact, request)
    return caller.answer(
        convert.contact(answer.contact),
        status=201 if answer.created else 200,
        version=answer.contact.version,
        location=f"/contacts/{answer.contact.id}",
    )


@routes.add(
    "GET",
    "/contacts",
    operation_id="listContacts",
    summary="List and search contacts",
    scope=READ,
    answer=schemas.ContactPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_contacts(
    caller: CallerOf,
    wanted: ContactFilter,
    limit: PageSize = DEFAULT_PAGE_SIZE,
    cursor: PageCursor = None,
    sort: SortedBy = "-created_at",
    include_total: WithTotal = False,
) -> Response:
    """All filters given must hold. A cursor belongs to the filters and the sort of its first page. A total is exact
    where counting is quick, else an estimate and marked as one."""
    request = pb.ListContactsRequest(
        page_size=limit, cursor=cursor or "", order=ORDERS[sort], include_total=include_total, as_json=True
    )
    request.MergeFrom(wanted)
    client = caller.backends.contacts
    answer = await caller.read(client, client.stub.ListContacts, request)
    total = {"total": answer.total, "total_is_estimate": answer.total_is_estimate} if include_total else {}
    # A service of the version before does not know of JSON.
    data = (
        orjson.Fragment(answer.contacts_json) if answer.contacts_json else list(map(convert.contact, answer.contacts))
    )
    return caller.answer(page(data, answer.next_cursor, **total))


@first.add(
    "GET",
    "/contacts/lookup",
    operation_id="lookupContact",
    summary="Find one contact by phone, email or external id",
    scope=READ,
    answer=schemas.ContactMatch,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_PHONE, Reason.INVALID_EMAIL],
)
async def lookup_contact(
    caller: CallerOf,
    phone: Filter = None,
    email: Annotated[Text | None, Query()] = None,
    external_id: Filter = None,
) -> Response:
    """Exactly one key. Where several contacts share an email, the one updated last; `matches` says how many."""
    keys = {"phone": plus(phone), "email": email, "external_id": external_id}
    given = {name: key for name, key in keys.items() if key is not None}
    if len(given) != 1:
        raise refused_field("/phone", FieldCode.REQUIRED, "Give exactly one of phone, email and external_id.")
    client = caller.backends.contacts
    answer = await caller.read(client, client.stub.LookupContact, pb.LookupContactRequest(**given))
    body = {**convert.contact(answer.contact), "matches": answer.matches}
    return caller.answer(body, version=answer.contact.version)


@first.add(
    "POST",
    "/contacts/bulk-delete",
    operation_id="bulkDeleteContacts",
    summary="Delete up to 1,000 contacts by id",
    scope=WRITE,
    answer=schemas.BulkDeleteAnswer,
)
async def bulk_delete(caller: CallerOf, body: schemas.BulkDelete) -> Response:
    """Ids that name no contact are reported in `not_found`, and the others are deleted all the same."""
    client = caller.backends.contacts
    request = pb.BulkDeleteContactsRequest(ids=body.contact_ids)
    answer = await caller.write(client, client.stub.BulkDeleteContacts, request)
    return caller.answer({"deleted": answer.deleted, "not_found": list(answer.not_found)})


@routes.add(
    "GET",
    "/contacts/{id}",
    operation_id="getContact",
    summary="Get a contact",
    scope=READ,
    answer=schemas.Contact,
    reasons=[Reason.NOT_FOUND],
)
async def get_contact(caller: CallerOf, id: str) -> Response:
    client = caller.backends.contacts
    answer = await caller.read(client, client.stub.GetContact, pb.GetContactRequest(id=contact_id(id)))
    return caller.answer(convert.contact(answer.contact), version=answer.contact.version)


async def update(
    caller: CallerOf, id: str, body: schemas.ContactUpdate, default_region: DefaultRegion = None
) -> Response:
    """Only the fields sent; null clears one; `tags` replaces the set; `metadata` is merged by key. `If-Match` is
    honoured."""
    request = pb.UpdateContactRequest(
        id=contact_id(id),
        patch=convert.patch(body),
        if_version=caller.if_version,
        default_region=default_region or "",
    )
    client = caller.backends.contacts
    answer = await caller.write(client, client.stub.UpdateContact, request)
    return caller.answer(convert.contact(answer.contact), version=answer.contact.version)


for method, operation_id in (("PUT", "updateContact"), ("PATCH", "patchContact")):
    routes.add(
        method,
        "/contacts/{id}",
        operation_id=operation_id,
        summary="Change the fields sent",
        scope=WRITE,
        answer=schemas.Contact,
        reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, *WRITES],
    )(update)


@routes.add(
    "DELETE",
    "/contacts/{id}",
    operation_id="deleteContact",
    summary="Delete a contact and all its data",
    scope=WRITE,
    status=204,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH],
)
async def delete_contact(caller: CallerOf, id: str) -> Response:
    client = caller.backends.contacts
    request = pb.DeleteContactRequest(id=contact_id(id), if_version=caller.if_version)
    await caller.write(client, client.stub.DeleteContact, request)
    return caller.gone()


@routes.add(
    "GET",
    "/contacts/{id}/tags",
    operation_id="listContactTags",
    summary="List a contact's tags",
    scope=READ,
    answer=schemas.TagPage,
    reasons=[Reason.NOT_FOUND],
)
async def list_tags(caller: CallerOf, id: str) -> Response:
    """In the order in which they were added; always all of them on one page."""
    client = caller.backends.contacts
    answer = await caller.read(client, client.stub.GetContact, pb.GetContactRequest(id=contact_id(id)))
    return caller.answer(page(list(answer.contact.tags), ""), version=answer.contact.version)


@routes.add(
    "POST",
    "/contacts/{id}/tags",
    operation_id="addContactTags",
    summary="Add tags; those present already are ignored",
    scope=WRITE,
    answer=schemas.Contact,
    reasons=[Reason.NOT_FOUND],
)
async def add_tags(caller: CallerOf, id: str, body: schemas.TagsAdd) -> Response:
    client = caller.backends.contacts
    request = pb.AddTagsRequest(id=contact_id(id), tags=body.tags)
    answer = await caller.write(client, client.stub.AddTags, request)
    return caller.answer(convert.contact(answer.contact), version=answer.contact.version)


@routes.add(
    "DELETE",
    "/contacts/{id}/tags/{tag:path}",
    operation_id="removeContactTag",
    summary="Take one tag off",
    scope=WRITE,
    status=204,
    reasons=[Reason.NOT_FOUND],
)
async def remove_tag(caller: CallerOf, id: str, tag: ShortText) -> Response:
    """404 where the contact has no such tag."""
    client = caller.backends.contacts
    await caller.write(client, client.stub.RemoveTag, pb.RemoveTagRequest(id=contact_id(id), tag=tag))
    return caller.gone()
