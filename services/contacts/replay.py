"""Tells anew of contacts as they are, and of those that are gone, for subscribers that missed what JetStream lost.

What is still in the outbox needs none of this: the relay publishes it again by itself when it finds that the stream is
younger. This is for what the outbox no longer has. The events are those of a bulk change that does not say what it
changed, at the versions that the contacts have: to who has them already they say nothing new.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import asyncpg

from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.db import Database
from chassis.ids import AccountId
from chassis.outbox import MAX_OBJECTS, Event
from services.contacts import convert, events, repository, snapshot

# Events that wait in the bulk lane: beyond it the replay waits too, so that imports are not told of after all of it.
MAX_WAITING = 32
POLL_SECONDS = 0.1
# Of all accounts up to $1, in order, behind ($2, $3).
CONTACTS = f"""
SELECT {repository.SELECTED}, c.account_id FROM contacts AS c
WHERE c.account_id <= $1 AND (c.account_id, c.id) > ($2, $3) AND ($4::timestamptz IS NULL OR c.updated_at >= $4)
ORDER BY c.account_id, c.id LIMIT $5
"""
TOMBSTONES = """
SELECT contact_id AS id, version, deleted_at, account_id FROM tombstones
WHERE account_id <= $1 AND (account_id, contact_id) > ($2, $3) AND ($4::timestamptz IS NULL OR deleted_at >= $4)
ORDER BY account_id, contact_id LIMIT $5
"""
WAITING = """
SELECT count(*) FROM (
    SELECT FROM outbox WHERE published_at IS NULL AND bulk AND account_id IS NOT NULL LIMIT $1) AS waiting
"""


async def replay(
    db: Database, *, account: AccountId | None, since: datetime | None, paced: bool = True
) -> AsyncIterator[int]:
    """How many contacts and tombstones were told of, after each transaction. May be stopped, and repeated.

    account: of all accounts where it is None. since: only what was written or deleted from then on.
    paced: waits for the relay.
    """
    told = 0
    for query, events_of in ((TOMBSTONES, deletions), (CONTACTS, changes)):
        async for rows in told_of(db, query, events_of, account=account, since=since, paced=paced):
            told += rows
            yield told


async def told_of(
    db: Database,
    query: str,
    events_of: Callable[[AccountId, Sequence[asyncpg.Record]], list[Event]],
    *,
    account: AccountId | None,
    since: datetime | None,
    paced: bool,
) -> AsyncIterator[int]:
    """Rows read and told of, transaction by transaction."""
    last, place = account or ids.HIGHEST, (account or ids.LOWEST, ids.LOWEST)
    while True:
        if paced:
            await room(db)
        async with db.across() as tx:
            rows = await tx.fetch(query, last, *place, since, MAX_OBJECTS)
            for owner, group in groupby(rows, itemgetter("account_id")):
                tx.add_events(events_of(AccountId(owner), list(group)))
        if not rows:
            return
        place = (rows[-1]["account_id"], rows[-1]["id"])
        yield len(rows)


async def room(db: Database) -> None:
    """Waits until the relay has published most of what is there."""
    while True:
        async with db.across() as tx:
            if await tx.fetchval(WAITING, MAX_WAITING) < MAX_WAITING:
                return
        await asyncio.sleep(POLL_SECONDS)


def changes(account: AccountId, rows: Sequence[asyncpg.Record]) -> list[Event]:
    told = (snapshot.change(repository.contact(row)) for row in rows)
    return events.contacts_changed("contact.updated", account, told, bulk=True)


def deletions(account: AccountId, rows: Sequence[asyncpg.Record]) -> list[Event]:
    """Without the addresses that the contacts had: nobody knows them any more."""
    told = [
        events_pb2.ContactDeletion(
            id=ids.encode("cnt", row["id"]), version=row["version"], deleted_at=convert.timestamp(row["deleted_at"])
        )
        for row in rows
    ]
    data = events_pb2.ContactsDeleted(deletions=told).SerializeToString()
    return [Event("contact.deleted", account, data, bulk=True)]
