"""Keeps the search index up with the contacts' own events, in two lanes: nobody's edit waits behind an import.

The bulk lane gives way while an import runs: both would share the processors, and the file's own row count is what
somebody waits for. It does so for LONG_PATIENCE_SECONDS after an event; for PATIENCE_SECONDS where an import has ended
since, because somebody waits for its words then and events are taken in their order. Two consumers share the lane: one
makes words while the database stores those of the other. Who else follows the bulk events gives way to them.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from google.protobuf.message import DecodeError

from carillon.events.v1 import events_pb2
from chassis import haste, ids
from chassis.consumer import Consumer, Invalid, Received
from chassis.db import Database
from chassis.ids import AccountId
from chassis.nats import Nats, Poker
from services.contacts.domain import search
from services.contacts.search import entries
from services.contacts.search.entries import Entry

LIVE = "contacts-search-live"
BULK = "contacts-search-bulk"
LIVE_EVENTS = 256
# Each up to 500 contacts; together they fill a transaction.
BULK_EVENTS = 8
CHANGED = {"contact.created", "contact.updated"}
DELETED = "contact.deleted"
BULK_CONSUMERS = 2
PATIENCE_SECONDS = 20.0
LONG_PATIENCE_SECONDS = 600.0
POLL_SECONDS = 0.25
# Of any account. $1: when the event was made.
IMPORTING = """
SELECT EXISTS (SELECT FROM imports WHERE account_id IS NOT NULL AND status = 'running' AND lease_until > now()),
    EXISTS (SELECT FROM imports WHERE account_id IS NOT NULL AND finished_at > $1)
"""
# Of the wire's Contact: what words are made of.
READ_FIELDS = {"phone", "email", "first_name", "last_name", "name"}


def consumers(nats: Nats, db: Database) -> list[Consumer]:
    """The consumers of `work`, to be run."""
    indexer = SearchIndexer(db, hasten=Poker(nats, haste.TOPIC))
    return [
        Consumer(nats, durable=LIVE, filters=["events.contact.*.*"], handler=indexer.handle, batch=LIVE_EVENTS),
        *(
            Consumer(nats, durable=BULK, filters=["events.contact.*.*.bulk"], handler=indexer.handle, batch=BULK_EVENTS)
            for _ in range(BULK_CONSUMERS)
        ),
    ]


class SearchIndexer:
    def __init__(self, db: Database, *, hasten: Callable[[], None] = lambda: None) -> None:
        """hasten: called while words of an import are stored."""
        self._db = db
        self._hasten = hasten

    async def handle(self, account: AccountId, events: Sequence[Received]) -> None:
        """Raises Invalid for an event that breaks the contract of carillon.events.v1."""
        awaited = events[0].bulk and await self._give_way(events[0].time)
        newest: dict[UUID, Entry] = {}
        gone: dict[UUID, int] = {}
        for event in events:
            for contact_id, version, entry in decode(event):
                if entry is None:
                    gone[contact_id] = version
                elif contact_id not in newest or newest[contact_id].version < version:
                    newest[contact_id] = entry
            # Decoding 500 contacts takes milliseconds: let others in between.
            await asyncio.sleep(0)
        # A transaction each: entries are locked in the order of ids, so that nobody waits in a circle.
        if newest:
            if awaited:
                self._hasten()
            async with self._db.write(account) as tx:
                await entries.keep(tx, account, list(newest.values()))
        if gone:
            async with self._db.write(account) as tx:
                await entries.forget(tx, account, list(gone.items()))

    async def _give_way(self, since: datetime) -> bool:
        """since: when the event was made. Whether an import has ended since, whose words somebody waits for."""
        while (waited := datetime.now(UTC) - since) < timedelta(seconds=LONG_PATIENCE_SECONDS):
            async with self._db.across() as tx:
                row = await tx.fetchrow(IMPORTING, since)
            assert row is not None
            importing, ended = row
            if not importing or (ended and waited >= timedelta(seconds=PATIENCE_SECONDS)):
                return bool(ended)
            await asyncio.sleep(POLL_SECONDS)
        return False


def decode(event: Received) -> Iterator[tuple[UUID, int, Entry | None]]:
    """Contact, version, what to keep of it: None where it is deleted."""
    try:
        if event.type in CHANGED:
            for change in events_pb2.ContactsChanged.FromString(event.data).changes:
                if not change.changed_fields or not READ_FIELDS.isdisjoint(change.changed_fields):
                    yield changed(change)
        elif event.type == DELETED:
            for deletion in events_pb2.ContactsDeleted.FromString(event.data).deletions:
                yield contact_uuid(deletion.id), deletion.version, None
    except DecodeError as error:
        raise Invalid("the data does not parse") from error


def changed(change: events_pb2.ContactChange) -> tuple[UUID, int, Entry]:
    contact = change.contact
    contact_id = contact_uuid(contact.id)
    text = search.kept_text(
        first_name=contact.first_name, last_name=contact.last_name, email=contact.email, phone=contact.phone
    )
    return contact_id, contact.version, Entry(contact_id, contact.version, text)


def contact_uuid(public_id: str) -> UUID:
    contact_id = ids.decode("cnt", public_id)
    if contact_id is None:
        raise Invalid("a contact without a contact's id")
    return contact_id
