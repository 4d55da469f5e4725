"""The contacts' events, in two lanes that share nothing but the database: nobody's edit waits behind an import."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.message import DecodeError

from carillon.contacts.v1 import contacts_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.consumer import Consumer, Invalid, Received
from chassis.ids import AccountId
from chassis.nats import Nats
from services.segments import metrics
from services.segments.domain.rules import NOBODY, Facts
from services.segments.domain.text import fold, fold_or_none
from services.segments.evaluation import MAX_BATCH, Evaluator, highest_versions
from services.segments.projection import ContactVersion

LIVE = "segments-contacts-live"
BULK = "segments-contacts-bulk"
LIVE_EVENTS = 64
# Each up to 500 contacts: what is handled before the acknowledgements go out.
BULK_EVENTS = 8
# The longest that the bulk lane gives way at a time, so that a busy live lane does not starve it.
BULK_PATIENCE_SECONDS = 0.1
CHANGED = {"contact.created", "contact.updated"}
DELETED = "contact.deleted"


def consumers(nats: Nats, evaluator: Evaluator) -> list[Consumer]:
    """The two consumers of `work`, to be run."""
    handler = ContactEvents(evaluator)
    return [
        Consumer(nats, durable=LIVE, filters=["events.contact.*.*"], handler=handler.handle, batch=LIVE_EVENTS),
        Consumer(nats, durable=BULK, filters=["events.contact.*.*.bulk"], handler=handler.handle, batch=BULK_EVENTS),
    ]


class ContactEvents:
    """The handler of both lanes. A live batch goes first: the bulk lane starts no transaction beside it."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._live_batches = 0
        self._no_live = asyncio.Event()
        self._no_live.set()

    async def handle(self, account: AccountId, events: Sequence[Received]) -> None:
        """Raises Invalid for an event that breaks the contract of carillon.events.v1."""
        async for batch, contacts in batches(events):
            bulk = batch[0].bulk
            for start in range(0, len(contacts), MAX_BATCH):
                async with self._turn(bulk=bulk):
                    await self._evaluator.apply(account, contacts[start : start + MAX_BATCH], bulk=bulk)
            observe(batch)

    @asynccontextmanager
    async def _turn(self, *, bulk: bool) -> AsyncIterator[None]:
        if bulk:
            with suppress(TimeoutError):
                async with asyncio.timeout(BULK_PATIENCE_SECONDS):
                    await self._no_live.wait()
            yield
            return
        self._live_batches += 1
        self._no_live.clear()
        try:
            yield
        finally:
            self._live_batches -= 1
            if not self._live_batches:
                self._no_live.set()


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
    return ContactVersion(
        contact_id=contact_uuid(contact.id),
        public_id=contact.id,
        version=contact.version,
        facts=facts(contact),
        snapshot=contact.SerializeToString(),
        changed=None if created or not fields else frozenset(fields),
    )


def facts(contact: contacts_pb2.Contact) -> Facts:
    tags = contact.tags
    return Facts(
        name=fold_or_none(contact.name),
        phone=fold_or_none(contact.phone),
        email=fold_or_none(contact.email),
        tags=tuple([fold(tag) for tag in tags]) if tags else (),
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
