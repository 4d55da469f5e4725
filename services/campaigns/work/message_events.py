"""`message.*` events: what happened to recipients, in the bulk lane."""

from collections.abc import Iterator, Mapping, Sequence
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
    told: dict[str, events.MessagesChanged] = {}
    # What many have in common is made once, and copied. One statement settles all in one moment.
    ends: dict[tuple[object, ...], pb.Recipient] = {}
    for row in done:
        status = row["status"]
        if status not in TYPES:
            continue
        if status not in told:
            told[status] = of_campaign(sending.campaign_id, sending.channel)
        outcome = settled[row["id"]].outcome
        key = (status, outcome.reason, row["state_revision"])
        if key not in ends:
            ends[key] = convert.end(row, outcome)
        one = told[status].recipients.add()
        one.CopyFrom(ends[key])
        convert.attempted(one, rows[row["id"]], outcome)
    return make(sending.account, told)


def of_campaign(campaign_id: UUID, channel: str) -> events.MessagesChanged:
    """To be filled with recipients."""
    return events.MessagesChanged(
        campaign_id=ids.encode(convert.CAMPAIGN, campaign_id), channel=convert.CHANNELS[channel]
    )


def make(account: AccountId, told: Mapping[str, events.MessagesChanged]) -> list[Event]:
    """told: by the state that the recipients have come to."""
    return [
        Event(TYPES[status], account, part.SerializeToString(), bulk=True)
        for status, changed in told.items()
        for part in parts(changed)
    ]


def parts(changed: events.MessagesChanged) -> Iterator[events.MessagesChanged]:
    """Of at most 500 recipients and 512 KiB."""
    if len(changed.recipients) <= MAX_OBJECTS and changed.ByteSize() <= MAX_BYTES:
        yield changed
        return
    part = events.MessagesChanged(campaign_id=changed.campaign_id, channel=changed.channel)
    size = 0
    for recipient in changed.recipients:
        bytes_more = recipient.ByteSize()
        if part.recipients and (len(part.recipients) >= MAX_OBJECTS or size + bytes_more > MAX_BYTES):
            yield part
            part = events.MessagesChanged(campaign_id=changed.campaign_id, channel=changed.channel)
            size = 0
        part.recipients.append(recipient)
        size += bytes_more
    yield part
