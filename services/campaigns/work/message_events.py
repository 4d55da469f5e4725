"""`message.*` events: what happened to recipients, in the bulk lane."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.events.v1 import events_pb2 as events
from chassis import ids
from chassis.ids import AccountId
from chassis.outbox import MAX_BYTES, MAX_OBJECTS, Event
from services.campaigns import convert
from services.campaigns.repository.dispatch import Settled
from services.campaigns.work.sending import Sending

# States that are told of.
TYPES = {
    "sent": "message.sent",
    "delivered": "message.delivered",
    "failed": "message.failed",
    "opened": "message.opened",
    "clicked": "message.clicked",
}


def of_outcomes(
    sending: Sending,
    rows: Mapping[UUID, asyncpg.Record],
    settled: Mapping[UUID, Settled],
    done: Sequence[asyncpg.Record],
) -> list[Event]:
    """rows: the recipients as they were before; done: id, status, sent_at and state_revision as they are now."""
    told: dict[str, list[pb.Recipient]] = {}
    for row in done:
        if row["status"] in TYPES:
            one = convert.attempted(rows[row["id"]], row, settled[row["id"]].outcome)
            told.setdefault(row["status"], []).append(one)
    return make(sending.account, sending.campaign_id, sending.channel, told)


def make(
    account: AccountId, campaign_id: UUID, channel: str, told: Mapping[str, Sequence[pb.Recipient]]
) -> list[Event]:
    """told: recipients by state."""
    return [
        Event(
            TYPES[status],
            account,
            events.MessagesChanged(
                campaign_id=ids.encode(convert.CAMPAIGN, campaign_id),
                channel=convert.CHANNELS[channel],
                recipients=part,
            ).SerializeToString(),
            bulk=True,
        )
        for status, recipients in told.items()
        for part in parts(recipients)
    ]


def parts(recipients: Sequence[pb.Recipient]) -> Iterator[Sequence[pb.Recipient]]:
    """Of at most 500 recipients and 512 KiB."""
    part: list[Any] = []
    size = 0
    for recipient in recipients:
        bytes_more = recipient.ByteSize()
        if part and (len(part) >= MAX_OBJECTS or size + bytes_more > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(recipient)
        size += bytes_more
    if part:
        yield part
