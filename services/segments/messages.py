"""The events of messages, as rules on engagement need them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.campaigns.v1 import campaigns_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.consumer import Invalid, Received
from chassis.ids import AccountId
from services.segments.contact_facts import micros_of
from services.segments.domain.moments import moment
from services.segments.engagement import Engaged
from services.segments.evaluation import MAX_BATCH, Evaluator
from services.segments.lanes import Lanes

# Type of event → what it says when. Who clicks has opened.
STAGES = {
    "message.sent": "last_message_at",
    "message.delivered": "last_delivered_at",
    "message.opened": "last_opened_at",
    "message.clicked": "last_opened_at",
    "message.received": "last_replied_at",
}


class MessageEvents:
    def __init__(self, evaluator: Evaluator, lanes: Lanes) -> None:
        self._evaluator = evaluator
        self._lanes = lanes

    async def handle(self, account: AccountId, events: Sequence[Received]) -> None:
        """Raises Invalid for an event that breaks the contract of carillon.events.v1."""
        for bulk in (False, True):
            engaged: dict[UUID, Engaged] = {}
            for event in events:
                if event.bulk is bulk:
                    collect(event, engaged)
                    # Decoding 500 recipients takes milliseconds: let others in between.
                    await asyncio.sleep(0)
            # In one order, so that two batches with the same people wait for each other instead of deadlocking.
            people = [engaged[contact] for contact in sorted(engaged)]
            for start in range(0, len(people), MAX_BATCH):
                async with self._lanes.turn(bulk=bulk):
                    await self._evaluator.engage(account, people[start : start + MAX_BATCH], bulk=bulk)


def collect(event: Received, engaged: dict[UUID, Engaged]) -> None:
    """Add what the event says to what is known of each contact. Addresses that were uploaded are no contact's."""
    stage = STAGES.get(event.type)
    if stage is None:
        # What failed says nothing of engagement, and another kind is newer than this code.
        return
    try:
        changed = events_pb2.MessagesChanged.FromString(event.data)
    except DecodeError as error:
        raise Invalid("the data does not parse") from error
    for recipient in changed.recipients:
        if not recipient.contact_id:
            continue
        contact_id = ids.decode("cnt", recipient.contact_id)
        if contact_id is None:
            raise Invalid("a recipient without a contact's id")
        known = engaged.setdefault(contact_id, Engaged(contact_id))
        if event.type == "message.received":
            known.at(stage, micros(event.time))
            continue
        known.at(stage, moment_of(event, recipient))
        # A message that went on was sent, whether or not that event has come.
        if recipient.HasField("sent_at"):
            known.at("last_message_at", micros_of(recipient.sent_at))
        if recipient.HasField("delivered_at"):
            known.at("last_delivered_at", micros_of(recipient.delivered_at))
        if stage != "last_message_at" or recipient.HasField("delivered_at"):
            known.received.add(recipient.id)
        if changed.campaign_id:
            known.campaigns.add(changed.campaign_id)


def moment_of(event: Received, recipient: campaigns_pb2.Recipient) -> int:
    """As the snapshot says, else when the event was made."""
    said: Timestamp | None = None
    if event.type == "message.sent" and recipient.HasField("sent_at"):
        said = recipient.sent_at
    if event.type == "message.delivered" and recipient.HasField("delivered_at"):
        said = recipient.delivered_at
    return micros(event.time) if said is None else micros_of(said)


def micros(at: datetime) -> int:
    return moment(at.astimezone(UTC))
