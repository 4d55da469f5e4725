"""The filters of contacts that list calls take as query parameters."""

from typing import Annotated, Literal

from fastapi import Depends, Query

from carillon.contacts.v1 import contacts_pb2 as pb
from services.gateway.convert import contact_filters as convert
from services.gateway.schemas.contact_filters import CHANNEL, SEARCH, VALIDITY, Validity
from services.gateway.schemas.fields import Channel, Reference, ShortText, Text, Time

Sort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name"]
ORDERS: dict[Sort, pb.ContactOrder.ValueType] = {
    "created_at": pb.CONTACT_ORDER_CREATED_AT,
    "-created_at": pb.CONTACT_ORDER_UNSPECIFIED,
    "updated_at": pb.CONTACT_ORDER_UPDATED_AT,
    "-updated_at": pb.CONTACT_ORDER_UPDATED_AT_DESC,
    "name": pb.CONTACT_ORDER_NAME,
    "-name": pb.CONTACT_ORDER_NAME_DESC,
}
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
    return convert.contact_filter(
        search=search,
        stage=stage,
        country=country,
        gender=gender,
        validity=validity,
        channel=channel,
        tag=tag,
        list_id=list_id,
        phone=plus(phone),
        email=email,
        external_id=external_id,
        created_after=created_after,
        created_before=created_before,
        updated_after=updated_after,
    )


ContactFilter = Annotated[pb.ListContactsRequest, Depends(contact_filter)]
SortedBy = Annotated[Sort, Query(description=SORT)]
WithTotal = Annotated[bool, Query(description="Answer `total` and `total_is_estimate` too")]
