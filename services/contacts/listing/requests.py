"""Reads what a list call asks for."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from google.protobuf.message import Message

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from formats import phones
from services.contacts import errors
from services.contacts.convert import CHANNEL_NAMES
from services.contacts.domain import emails, limits
from services.contacts.domain import search as domain_search
from services.contacts.domain.contact import EMAIL_CHANNELS, Validity
from services.contacts.domain.problems import invalid
from services.contacts.listing.filters import Filter
from services.contacts.listing.order import NEWEST, Order

ORDERS: Mapping[pb.ContactOrder.ValueType, Order] = {
    pb.CONTACT_ORDER_UNSPECIFIED: NEWEST,
    pb.CONTACT_ORDER_CREATED_AT: Order("id", descending=False),
    pb.CONTACT_ORDER_UPDATED_AT: Order("updated_at", descending=False),
    pb.CONTACT_ORDER_UPDATED_AT_DESC: Order("updated_at", descending=True),
    pb.CONTACT_ORDER_NAME: Order("sort_name", descending=False),
    pb.CONTACT_ORDER_NAME_DESC: Order("sort_name", descending=True),
}
VALIDITIES: Mapping[pb.Validity.ValueType, Validity] = {
    pb.VALIDITY_UNSPECIFIED: "unknown",
    pb.VALIDITY_VALID: "valid",
    pb.VALIDITY_INVALID: "invalid",
}
# No contact and no list has it.
NOBODY = UUID(int=0)


def read_order(request: pb.ListContactsRequest) -> Order:
    """Raises InvalidArgument."""
    order = ORDERS.get(request.order)
    if order is None:
        raise errors.invalid([invalid("sort", "The order is not known.")])
    return order


def read_filter(request: pb.ListContactsRequest) -> Filter:
    """A phone, an email or a list id that cannot be one matches nothing. Raises InvalidArgument."""
    phone, email, country = text(request, "phone"), text(request, "email"), text(request, "country")
    return Filter(
        search=read_search(request.search),
        stage=text(request, "stage"),
        country=None if country is None else country.upper(),
        gender=text(request, "gender"),
        tag=text(request, "tag"),
        list_id=ids.decode("lst", request.list_id) or NOBODY if request.HasField("list_id") else None,
        phone=None if phone is None else folded_key("phone", phone) or phone,
        email_normal=None if email is None else folded_key("email", email),
        external_id=text(request, "external_id"),
        phone_validity=VALIDITIES.get(request.phone_validity) if request.HasField("phone_validity") else None,
        email_validity=VALIDITIES.get(request.email_validity) if request.HasField("email_validity") else None,
        reached_by=read_channel(request.channel),
        created_after=time(request, "created_after"),
        created_before=time(request, "created_before"),
        updated_after=time(request, "updated_after"),
    )


def read_search(typed: str) -> str | None:
    if len(typed) > limits.SEARCH_CHARACTERS:
        raise errors.invalid([invalid("search", f"search has at most {limits.SEARCH_CHARACTERS} characters.")])
    # It would find everybody, which nobody means who changes or exports what a search finds.
    if typed and domain_search.parse(typed) is None:
        raise errors.invalid([invalid("search", "search has no letter and no digit.")])
    return typed or None


def read_channel(channel: pb.Channel.ValueType) -> Literal["phone", "email"] | None:
    if channel == pb.CHANNEL_UNSPECIFIED:
        return None
    name = CHANNEL_NAMES.get(channel)
    if name is None:
        raise errors.invalid([invalid("channel", "The channel is not known.")])
    return "email" if name in EMAIL_CHANNELS else "phone"


def text(request: Message, name: str) -> str | None:
    value: str | None = getattr(request, name) if request.HasField(name) else None
    if value is not None and "\0" in value:
        raise errors.invalid([invalid(name, f"{name} has a NUL character.")])
    return value


def time(request: Message, name: str) -> datetime | None:
    """Raises InvalidArgument outside the years 1 to 9999."""
    if not request.HasField(name):
        return None
    try:
        moment: datetime = getattr(request, name).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise errors.invalid([invalid(name, f"{name} is out of range.")]) from error
    return moment


def folded_key(key: str, value: str) -> str | None:
    """A key as it is stored; None where it cannot be one."""
    if "\0" in value:
        return None
    if key == "phone":
        number = phones.normalise(value)
        return None if number is None else number.e164
    return emails.fold(value.strip()) if key == "email" else value.strip()
