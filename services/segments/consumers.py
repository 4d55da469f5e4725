"""The events that this service follows: the contacts' in two lanes (lanes.py), and those of messages."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.message import DecodeError
from nats.errors import Error
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.consumer import Consumer, Invalid, Received
from chassis.haste import Pace
from chassis.ids import AccountId
from chassis.nats import EVENTS, Nats
from services.segments import metrics
from services.segments.contact_facts import NOBODY, facts_of
from services.segments.evaluation import MAX_BATCH, Evaluator, highest_versions
from services.segments.lanes import Lanes
from services.segments.messages import MessageEvents
from services.segments.projection import ContactVersion

LIVE = "segments-contacts-live"
BULK = "segments-contacts-bulk"
MESSAGES = "segments-messages"
# One change each, usually: what comes together is written together.
LIVE_EVENTS = 256
# Each up to 500 contacts: what is handled before the acknowledgements go out.
BULK_EVENTS = 16
# Transactions of one lane at a time: one is prepared, or matched, while Postgres is at another.
AT_ONCE = 2
# Handled within seconds.
FEW_EVENTS = 200
CHANGED = {"contact.created", "contact.updated"}
DELETED = "contact.deleted"


def consumers(nats: Nats, evaluator: Evaluator, lanes: Lanes, pace: Pace) -> list[Consumer]:
    """Those of `work`, to be run. pace: of the contacts' bulk events."""
    contacts = ContactEvents(evaluator, lanes).handle
    messages = MessageEvents(evaluator, lanes).handle
    of_messages = ["events.message.*.*", "events.message.*.*.bulk"]
    return [
        Consumer(nats, durable=LIVE, filters=["events.contact.*.*"], handler=contacts, batch=LIVE_EVENTS),
        Consumer(
            nats, durable=BULK, filters=["events.contact.*.*.bulk"], handler=contacts, batch=BULK_EVENTS, pace=pace
        ),
        Consumer(nats, durable=MESSAGES, filters=of_messages, handler=messages, batch=BULK_EVENTS),
    ]


async def behind(nats: Nats) -> bool:
    """Whether events of contacts wait in number, or nobody can say."""
    for durable in (LIVE, BULK):
        try:
            info = await nats.jetstream.consumer_info(EVENTS, durable)
        except NotFoundError:
            # Wiped: nothing waits that will come.
            continue
        except (Error, JetStreamError, TimeoutError):
            return True
        if (info.num_pending or 0) + (info.num_ack_pending or 0) > FEW_EVENTS:
            return True
    return False


class ContactEvents:
    """The handler of both lanes."""

    def __init__(self, evaluator: Evaluator, lanes: Lanes) -> None:
        self._evaluator = evaluator
        self._lanes = lanes

    async def handle(self, account: AccountId, events: Sequence[Received]) -> None:
        """Raises Invalid for an event that breaks the contract of carillon.events.v1."""
        slots = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                async for batch, contacts in batches(events):
                    await slots.acquire()
                    group.create_task(self._apply(account, batch, contacts, slots))
        except ExceptionGroup as errors:
            # Any of them says what the consumer is to do. By `except*` it would be a group again, before Python 3.11.4.
            raise errors.exceptions[0] from errors

    async def _apply(
        self,
        account: AccountId,
        batch: Sequence[Received],
        contacts: Sequence[ContactVersion],
        slots: asyncio.Semaphore,
    ) -> None:
        try:
            bulk = batch[0].bulk
            for start in range(0, len(contacts), MAX_BATCH):
                async with self._lanes.turn(bulk=bulk):
                    await self._evaluator.apply(account, contacts[start : start + MAX_BATCH], bulk=bulk)
            observe(batch)
        finally:
            slots.release()


async def batches(events: Sequence[Received]) -> AsyncIterator[tuple[list[Received], list[ContactVersion]]]:
    """Groups of events with their contacts, each contact once: as many as fill a transaction."""
    group: list[Received] = []
    contacts: list[ContactVersion] = []
    for event in events:
        decoded = decode(event)
        if group and len(contacts) + len(decoded) > MAX_BATCH:
            yield group, highest_versions(contacts)
            group, contacts = [], []
        group.append(event)
        contacts += decoded
        # Decoding 500 contacts takes milliseconds: let the other lane in between.
        await asyncio.sleep(0)
    if group:
        yield group, highest_versions(contacts)


def observe(events: Sequence[Received]) -> None:
    now = datetime.now(UTC)
    for event in events:
        metrics.FRESHNESS.labels("bulk" if event.bulk else "live").observe((now - event.time).total_seconds())


def decode(event: Received) -> list[ContactVersion]:
    try:
        if event.type in CHANGED:
            changes = events_pb2.ContactsChanged.FromString(event.data).changes
            return [changed(change, created=event.type == "contact.created") for change in changes]
        if event.type == DELETED:
            return [deleted(deletion) for deletion in events_pb2.ContactsDeleted.FromString(event.data).deletions]
    except DecodeError as error:
        raise Invalid("the data does not parse") from error
    # A kind of contact event that is newer than this code.
    return []


def changed(change: events_pb2.ContactChange, *, created: bool) -> ContactVersion:
    contact, fields = change.contact, change.changed_fields
    try:
        facts = facts_of(contact)
    except (ValueError, AttributeError) as error:
        raise Invalid("a contact's custom data is no JSON object") from error
    return ContactVersion(
        contact_id=contact_uuid(contact.id),
        public_id=contact.id,
        version=contact.version,
        facts=facts,
        snapshot=contact.SerializeToString(),
        changed=None if created or not fields else frozenset(fields),
    )


def deleted(deletion: events_pb2.ContactDeletion) -> ContactVersion:
    return ContactVersion(
        contact_id=contact_uuid(deletion.id),
        public_id=deletion.id,
        version=deletion.version,
        facts=NOBODY,
        snapshot=None,
        changed=None,
    )


def contact_uuid(public_id: str) -> UUID:
    contact_id = ids.decode("cnt", public_id)
    if contact_id is None:
        raise Invalid("a contact without a contact's id")
    return contact_id
