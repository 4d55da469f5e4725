"""Filters of contacts, on their way to the contacts service."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from carillon.contacts.v1 import contacts_pb2 as pb
from services.gateway.convert import values
from services.gateway.schemas.contact_filters import ContactFilter, Validity
from services.gateway.schemas.fields import Channel

VALIDITIES = {"valid": pb.VALIDITY_VALID, "invalid": pb.VALIDITY_INVALID, "unknown": pb.VALIDITY_UNSPECIFIED}


def contact_filter(
    *,
    search: str | None = None,
    stage: str | None = None,
    country: str | None = None,
    gender: str | None = None,
    validity: Validity | None = None,
    channel: Channel | None = None,
    tag: str | None = None,
    list_id: str | None = None,
    phone: str | None = None,
    email: str | None = None,
    external_id: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    updated_after: datetime | None = None,
) -> pb.ListContactsRequest:
    """None does not narrow."""
    request = pb.ListContactsRequest(
        search=search or "",
        stage=stage,
        country=country,
        gender=gender,
        channel=values.CHANNELS.value(channel),
        tag=tag,
        list_id=list_id,
        phone=phone,
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


def of_body(body: ContactFilter) -> pb.ListContactsRequest:
    return contact_filter(**body.model_dump())
