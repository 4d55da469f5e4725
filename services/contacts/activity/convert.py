"""Between the records of a contact's past and the wire."""

import hashlib
from typing import Any
from uuid import UUID

from carillon.contacts.v1 import activity_pb2 as pb
from carillon.contacts.v1.contacts_pb2 import CHANNEL_UNSPECIFIED
from chassis import ids
from services.contacts.activity.record import RECEIVED, Entry, Message, Reply
from services.contacts.convert import CHANNELS, timestamp
from services.contacts.domain import metadata
from services.contacts.domain.activity import STAGES

ACTIVITY = "act"
# Of campaigns.
RECIPIENT = "rcp"
CAMPAIGN = "cmp"
RECEIVED_MESSAGE = "msg"


def entry_id(row: Entry) -> UUID:
    """Entries that are read from a message's row have no id of their own: made of the row's and the stage."""
    if row.stage == 0:
        return row.ref
    return UUID(bytes=hashlib.blake2b(row.ref.bytes + bytes([row.stage]), digest_size=16).digest())


def activity(row: Entry) -> pb.Activity:
    return pb.Activity(
        id=ids.encode(ACTIVITY, entry_id(row)),
        type=row.type,
        at=timestamp(row.at),
        channel=CHANNELS[row.channel] if row.channel else CHANNEL_UNSPECIFIED,
        text=row.text,
        data_json=metadata.dump({"reason": row.reason}) if row.reason else row.data,
        actor=row.actor,
        message_id=message_id(row),
        campaign_id=ids.encode(CAMPAIGN, row.campaign_id) if row.campaign_id is not None else "",
    )


def message_id(row: Entry) -> str:
    if row.type == RECEIVED:
        return ids.encode(RECEIVED_MESSAGE, row.ref)
    return ids.encode(RECIPIENT, row.ref) if row.stage else ""


def reply(row: Reply) -> pb.ContactMessage:
    return pb.ContactMessage(
        id=ids.encode(RECEIVED_MESSAGE, row.id),
        campaign_id="" if row.campaign_id is None else ids.encode(CAMPAIGN, row.campaign_id),
        channel=CHANNELS[row.channel],
        address=row.address,
        status="received",
        received_at=timestamp(row.at),
        text=row.text,
        to=row.to_address,
    )


def message(row: Message) -> pb.ContactMessage:
    times = {name: getattr(row, name) for name in STAGES.values()}
    known: dict[str, Any] = {name: timestamp(at) for name, at in times.items() if at is not None}
    return pb.ContactMessage(
        id=ids.encode(RECIPIENT, row.id),
        campaign_id=ids.encode(CAMPAIGN, row.campaign_id),
        channel=CHANNELS[row.channel],
        address=row.address,
        status=row.status,
        reason=row.reason,
        **known,
    )
