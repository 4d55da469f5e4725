"""Contacts of the address book dialect."""

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query
from starlette.responses import Response

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf
from services.gateway.dialects.addressbook import convert, pages, schemas
from services.gateway.dialects.addressbook.route import TAG
from services.gateway.routers import contacts as canonical
from services.gateway.routers.contact_filters import plus
from services.gateway.routers.contacts import CREATES, READ, WRITE, WRITES, contact_id
from services.gateway.routes import JSON_LIMIT_BYTES, Routes
from services.gateway.schemas.contact_filters import CHANNEL, SEARCH, VALIDITY, Validity
from services.gateway.schemas.contacts import BulkDeleteAnswer
from services.gateway.schemas.fields import Channel, ShortText, Text

routes = Routes(TAG)

Exact = Annotated[ShortText | None, Query()]


async def filter_of_query(
    name: Annotated[ShortText | None, Query(description=SEARCH)] = None,
    phone: Exact = None,
    email: Annotated[Text | None, Query()] = None,
    gender: Exact = None,
    validity: Annotated[Validity | None, Query(description=VALIDITY)] = None,
    channel: Annotated[Channel | None, Query(description=CHANNEL)] = None,
) -> pb.ListContactsRequest:
    wanted = schemas.AddressBookFilter(
        name=name, phone=plus(phone), email=email, gender=gender, validity=validity, channel=channel
    )
    return convert.contact_filter(wanted)


@routes.add(
    "GET",
    "/contacts",
    operation_id="addressBookListContacts",
    summary="Search and filter contacts, newest first",
    scope=READ,
    answer=schemas.AddressBookContactPage,
)
async def list_contacts(
    caller: CallerOf,
    page: pages.NumberedPage,
    wanted: Annotated[pb.ListContactsRequest, Depends(filter_of_query)],
) -> Response:
    """All filters given must hold."""
    client = caller.backends.contacts
    request = pb.ListContactsRequest(page_size=page.per_page, skip=page.skipped, include_total=True)
    request.MergeFrom(wanted)
    answer = await caller.read(client, client.stub.ListContacts, request)
    data = [convert.contact(one) for one in answer.contacts]
    return caller.answer(
        pages.answer(page, data, skipped=answer.skipped, total=answer.total, total_is_estimate=answer.total_is_estimate)
    )


@routes.add(
    "POST",
    "/contacts",
    operation_id="addressBookCreateContact",
    summary="Create a contact",
    scope=WRITE,
    status=201,
    answer=schemas.AddressBookContact,
    reasons=CREATES,
)
async def create_contact(caller: CallerOf, body: schemas.AddressBookContactFields) -> Response:
    """At least a phone, or an email. One that is there already is 409 `contact_exists` with `existing_id`."""
    client = caller.backends.contacts
    answer = await caller.write(client, client.stub.CreateContact, pb.CreateContactRequest(contact=convert.patch(body)))
    found = answer.contact
    return caller.answer(convert.contact(found), status=201, version=found.version, location=f"/contacts/{found.id}")


@routes.add(
    "DELETE",
    "/contacts",
    operation_id="addressBookDeleteContacts",
    summary="Delete one or more contacts by id, up to 1,000",
    scope=WRITE,
    answer=BulkDeleteAnswer,
    body_limit=JSON_LIMIT_BYTES,
)
async def delete_contacts(caller: CallerOf, body: schemas.AddressBookDelete) -> Response:
    """Ids that name no contact are reported in `not_found`, and the others are deleted all the same."""
    client = caller.backends.contacts
    request = pb.BulkDeleteContactsRequest(ids=body.ids)
    answer = await caller.write(client, client.stub.BulkDeleteContacts, request)
    return caller.answer({"deleted": answer.deleted, "not_found": list(answer.not_found)})


@routes.add(
    "GET",
    "/contacts/{id}",
    operation_id="addressBookGetContact",
    summary="Get a contact",
    scope=READ,
    answer=schemas.AddressBookContact,
    reasons=[Reason.NOT_FOUND],
)
async def get_contact(caller: CallerOf, id: str) -> Response:
    client = caller.backends.contacts
    answer = await caller.read(client, client.stub.GetContact, pb.GetContactRequest(id=contact_id(id)))
    return caller.answer(convert.contact(answer.contact), version=answer.contact.version)


@routes.add(
    "PUT",
    "/contacts/{id}",
    operation_id="addressBookUpdateContact",
    summary="Change the fields sent",
    scope=WRITE,
    answer=schemas.AddressBookContact,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH, *WRITES],
)
async def update_contact(caller: CallerOf, id: str, body: schemas.AddressBookContactFields) -> Response:
    client = caller.backends.contacts
    request = pb.UpdateContactRequest(id=contact_id(id), patch=convert.patch(body), if_version=caller.if_version)
    answer = await caller.write(client, client.stub.UpdateContact, request)
    return caller.answer(convert.contact(answer.contact), version=answer.contact.version)


# Nothing of it has another name here.
(delete_one,) = (one for one in canonical.routes.operations if one.endpoint is canonical.delete_contact)
routes.operations.append(replace(delete_one, operation_id="addressBookDeleteContact", tag=TAG))
