"""The filters of contacts that list calls take as query parameters."""

from datetime import datetime
from typing import Annotated, Literal, get_args

from fastapi import Depends, Query
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.contacts.v1 import contacts_pb2 as pb
from services.gateway.convert import values
from services.gateway.schemas.fields import Channel, Reference, ShortText, Text, Time

Verdict = Literal["valid", "invalid", "unknown"]
Validity = Literal[
    "valid",
    "invalid",
    "unknown",
    "phone:valid",
    "phone:invalid",
    "phone:unknown",
    "email:valid",
    "email:invalid",
    "email:unknown",
]
Sort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name"]
VALIDITIES = dict(
    zip(get_args(Verdict), (pb.VALIDITY_VALID, pb.VALIDITY_INVALID, pb.VALIDITY_UNSPECIFIED), strict=True)
)
ORDERS: dict[Sort, pb.ContactOrder.ValueType] = {
    "created_at": pb.CONTACT_ORDER_CREATED_AT,
    "-created_at": pb.CONTACT_ORDER_UNSPECIFIED,
    "updated_at": pb.CONTACT_ORDER_UPDATED_AT,
    "-updated_at": pb.CONTACT_ORDER_UPDATED_AT_DESC,
    "name": pb.CONTACT_ORDER_NAME,
    "-name": pb.CONTACT_ORDER_NAME_DESC,
}
SEARCH = (
    "Every word of it begins a word of the name or of the email, or begins or ends the phone's digits. Case and "
    "accents do not count; a phone may be typed as phones are written. May lag a write by a second."
)
VALIDITY = "Of the phone, or of the address named: `email:invalid`. `unknown` is also where there is no such address."
CHANNEL = (
    "Contacts that can be reached on it: `email` those with an email, the others those with a phone. What a contact "
    "says of the channel in its preferences does not count here."
)
SORT = "A minus in front turns it round. By name: in lower case, contacts without one first."

Exact = Annotated[ShortText | None, Query()]


def plus(phone: str | None) -> str | None:
    """`?phone=+1…` typed as it looks arrives with a blank, because + means one in a query."""
    return "+" + phone[1:] if phone is not None and phone.startswith(" ") else phone


def contact_filter(
    search: Annotated[ShortText | None, Query(description=SEARCH, examples=["joh 0123"])] = None,
    stage: Exact = None,
    country: Exact = None,
    gender: Exact = None,
    validity: Annotated[Validity | None, Query(description=VALIDITY)] = None,
    channel: Annotated[Channel | None, Query(description=CHANNEL)] = None,
    tag: Exact = None,
    list_id: Annotated[Reference | None, Query(description="Contacts on this list")] = None,
    phone: Exact = None,
    email: Annotated[Text | None, Query()] = None,
    external_id: Exact = None,
    created_after: Annotated[Time | None, Query(description="Exclusive")] = None,
    created_before: Annotated[Time | None, Query(description="Exclusive")] = None,
    updated_after: Annotated[Time | None, Query(description="Exclusive")] = None,
) -> pb.ListContactsRequest:
    request = pb.ListContactsRequest(
        search=search or "",
        stage=stage,
        country=country,
        gender=gender,
        channel=values.CHANNELS.value(channel),
        tag=tag,
        list_id=list_id,
        phone=plus(phone),
        email=email,
        external_id=external_id,
        created_after=timestamp(created_after),
        created_before=timestamp(created_before),
        updated_after=timestamp(updated_after),
    )
    if validity is not None:
        address, _, verdict = validity.rpartition(":")
        setattr(request, f"{address or 'phone'}_validity", VALIDITIES[verdict])
    return request


def timestamp(time: datetime | None) -> Timestamp | None:
    return None if time is None else values.timestamp(time)


ContactFilter = Annotated[pb.ListContactsRequest, Depends(contact_filter)]
SortedBy = Annotated[Sort, Query(description=SORT)]
WithTotal = Annotated[bool, Query(description="Answer `total` and `total_is_estimate` too")]
