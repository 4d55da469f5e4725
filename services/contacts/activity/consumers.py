"""The campaigns' message events, in two lanes: what became of each message, for the timelines of contacts.

Duplicates, delays and any order lead to the same rows: a stage that was told of stays, and the state is that of the
highest state_revision. Messages of contacts that are gone leave nothing.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.campaigns.v1 import campaigns_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.consumer import Consumer, Invalid, Received
from chassis.db import Database, WriteTx
from chassis.ids import AccountId
from chassis.nats import Nats
from services.contacts.activity import repository
from services.contacts.activity.convert import CAMPAIGN, RECIPIENT
from services.contacts.activity.record import Message
from services.contacts.convert import CHANNEL_NAMES
from services.contacts.domain.activity import STAGES
from services.contacts.domain.messaging import fold

LIVE = "contacts-messages-live"
BULK = "contacts-messages-bulk"
LIVE_EVENTS = 64
# Each up to 500 recipients: what is handled before the acknowledgements go out.
BULK_EVENTS = 8
# Most messages that one statement writes.
MAX_BATCH = 500

# A contact, None where the recipient was known by its address alone, and a message of its.
Told = tuple[UUID | None, Message]


def consumers(nats: Nats, db: Database) -> list[Consumer]:
    """The two consumers of `work`, to be run."""
    handler = MessageEvents(db)
    return [
        Consumer(nats, durable=LIVE, filters=["events.message.*.*"], handler=handler.handle, batch=LIVE_EVENTS),
        Consumer(nats, durable=BULK, filters=["events.message.*.*.bulk"], handler=handler.handle, batch=BULK_EVENTS),
    ]


class MessageEvents:
    """The handler of both lanes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def handle(self, account: AccountId, events: Sequence[Received]) -> None:
        """Raises Invalid for an event that breaks the contract of carillon.events.v1."""
        told: dict[UUID, Told] = {}
        for event in events:
            fold_in(told, decode(event))
            # Decoding 500 recipients takes milliseconds: let others in between.
            await asyncio.sleep(0)
        once = list(told.values())
        for start in range(0, len(once), MAX_BATCH):
            async with self._db.write(account) as tx:
                known = await known_contacts(tx, account, once[start : start + MAX_BATCH])
                if known:
                    await repository.record(tx, account, known)


async def known_contacts(tx: WriteTx, account: AccountId, told: Sequence[Told]) -> list[tuple[UUID, Message]]:
    """Recipients that were uploaded go to the contact that has the address, if there is one."""
    known = [(contact_id, message) for contact_id, message in told if contact_id is not None]
    unnamed = [message for contact_id, message in told if contact_id is None]
    for by in ("phone", "email"):
        mine = [message for message in unnamed if (message.channel == "email") == (by == "email")]
        if mine:
            addresses = {message.id: fold(message.address, by_email=by == "email") for message in mine}
            found = await repository.bearers(tx, account, list(addresses.values()), by=by)
            known += [(found[addresses[one.id]], one) for one in mine if addresses[one.id] in found]
    return known


def fold_in(kept: dict[UUID, Told], told: Iterable[Told]) -> None:
    """Each message once: one statement cannot write a row twice."""
    for contact_id, message in told:
        before = kept.get(message.id)
        kept[message.id] = (contact_id, message if before is None else merged(before[1], message))


def merged(first: Message, second: Message) -> Message:
    """The state of the higher revision, and the times of both."""
    newer, older = (second, first) if second.state_revision > first.state_revision else (first, second)
    for name in STAGES.values():
        if getattr(newer, name) is None:
            setattr(newer, name, getattr(older, name))
    return newer


def decode(event: Received) -> list[Told]:
    if event.type not in STAGES:
        # A kind of message event that is newer than this code.
        return []
    try:
        changed = events_pb2.MessagesChanged.FromString(event.data)
    except DecodeError as error:
        raise Invalid("the data does not parse") from error
    channel = CHANNEL_NAMES.get(changed.channel)
    campaign_id = ids.decode(CAMPAIGN, changed.campaign_id)
    if channel is None or campaign_id is None:
        raise Invalid("messages without a channel or a campaign")
    status, stage = event.type.removeprefix("message."), STAGES[event.type]
    told = []
    for recipient in changed.recipients:
        contact_id, message = message_of(recipient, campaign_id, channel, status=status)
        # A message that went on was sent, whether or not that event has come; one that failed may never have been.
        if status != "failed":
            for name in ("sent_at", "delivered_at"):
                if recipient.HasField(name):
                    at = getattr(recipient, name)
                    setattr(message, name, moment(at.seconds, at.nanos))
        # When the message came there: as the snapshot says, else when the event was made.
        if getattr(message, stage) is None:
            setattr(message, stage, event.time)
        told.append((contact_id, message))
    return told


def message_of(recipient: campaigns_pb2.Recipient, campaign_id: UUID, channel: str, *, status: str) -> Told:
    """With no times yet."""
    recipient_id = ids.decode(RECIPIENT, recipient.id)
    named = recipient.contact_id
    contact_id = ids.decode("cnt", named) if named else None
    if recipient_id is None or (named and contact_id is None):
        raise Invalid("a recipient without a recipient's id")
    message = Message(
        id=recipient_id,
        campaign_id=campaign_id,
        channel=channel,
        address=recipient.address,
        status=status,
        reason=recipient.reason,
        state_revision=recipient.state_revision,
    )
    return contact_id, message


@lru_cache(maxsize=64)
def moment(seconds: int, nanos: int) -> datetime:
    """The recipients of an event have few between them."""
    return Timestamp(seconds=seconds, nanos=nanos).ToDatetime(UTC)
