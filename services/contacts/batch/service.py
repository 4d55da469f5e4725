"""Many upserts in one transaction, with an outcome for each row."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from carillon.contacts.v1 import bulk_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database, WriteTx
from services.contacts import errors, events, repository, snapshot
from services.contacts.batch import convert
from services.contacts.batch.resolve import Batch, Pair, Refusal, Result, Row
from services.contacts.contention import contended
from services.contacts.domain.contact import Contact, changed_fields, fill
from services.contacts.domain.identity import pairs
from services.contacts.domain.problems import Refused
from services.contacts.imports import staging
from services.contacts.intake import read_patch, read_region

# What staging writes by itself; all others may be written by a row.
STAGED = ("id", "created_at", "updated_at", "version")
# A batch meets more others than a single write does.
ATTEMPTS = 10
PAUSE_SECONDS = 0.05
COLUMNS = tuple(name for name in repository.COLUMNS if name not in STAGED)


class Overtaken(Exception):
    """Somebody else wrote the same keys meanwhile; look anew."""


class BatchService:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def upsert(self, call: Call, given: Sequence[object], *, default_region: str) -> pb.UpsertBatchResponse:
        """given: from JSON, as convert.read_rows reads them. Raises InvalidArgument for a region that is none."""
        with errors.refusing():
            region = read_region(default_region)
        size = len(given)
        for _ in range(ATTEMPTS):
            rows = [read_row(row, region) for row in given]
            many = sum(isinstance(row, Row) for row in rows) > 1
            try:
                async with self._db.write(call) as tx:
                    results: list[Result | Refusal] = []
                    for start in range(0, len(rows), size):
                        if start:
                            await staging.clear(tx)
                        results += await write(tx, rows[start : start + size], bulk=many)
                    return await tx.reply(convert.answer(results))
            except asyncpg.UniqueViolationError:
                # A row takes a key that another one of the batch gives up: one statement cannot write both.
                size = 1
            except (Overtaken, asyncpg.DeadlockDetectedError):
                # Whoever waited has its turn first.
                await asyncio.sleep(random.uniform(0.0, PAUSE_SECONDS))
        raise contended()


def read_row(given: object, region: str | None) -> Row | Refusal:
    now = datetime.now(UTC)
    try:
        raw, clear = convert.raw_patch(given)
        read = read_patch(raw, clear=clear, region=region)
        contact = Contact(id=ids.new(), created_at=now, updated_at=now)
        fill(contact, read.sets)
    except Refused as refused:
        return Refusal(refused.problems)
    return Row(read, contact)


async def write(tx: WriteTx, rows: Sequence[Row | Refusal], *, bulk: bool) -> list[Result | Refusal]:
    """bulk: the lane of the events. Raises Overtaken, asyncpg's unique violation and deadlock."""
    wanted = {pair for row in rows if isinstance(row, Row) for pair in pairs(row.contact)}
    holders = await ask(tx, wanted)
    present = await lock(tx, holders)
    while True:
        batch = Batch(holders=holders, present=present)
        results = batch.resolve(rows)
        if not batch.unknown:
            break
        holders |= await ask(tx, batch.unknown)
    # In one order, so that batches of the same people wait for one another in turn and not in a circle.
    created, updated = sorted(batch.created(), key=pairs), batch.updated()
    told = changes(updated)
    if (created or updated) and await staging.upsert(tx, tx.account, created, updated, columns=COLUMNS):
        raise Overtaken
    tx.add_events(events.contacts_changed("contact.updated", tx.account, told, bulk=bulk))
    if created:
        told = snapshot.changes(created)
        tx.add_events(events.contacts_changed("contact.created", tx.account, told, bulk=bulk))
    return results


async def ask(tx: WriteTx, wanted: Iterable[Pair]) -> dict[Pair, UUID | None]:
    asked = list(wanted)
    return {**dict.fromkeys(asked), **await staging.holders(tx, tx.account, asked)}


async def lock(tx: WriteTx, holders: dict[Pair, UUID | None]) -> dict[UUID, Contact]:
    """The holders by their ids. Raises Overtaken where one is gone, or has other keys, by the time of the lock."""
    found = {pair: holder for pair, holder in holders.items() if holder is not None}
    locked = await repository.lock_many(tx, tx.account, found.values()) if found else []
    kept = {(pair, contact.id) for contact in locked for pair in pairs(contact)}
    if not kept.issuperset(found.items()):
        raise Overtaken
    return {contact.id: contact for contact in locked}


def changes(updated: Sequence[tuple[Contact, Contact]]) -> list[bytes]:
    """What is told of them; their moment is written too."""
    now = datetime.now(UTC)
    told: list[bytes] = []
    for before, after in updated:
        # What does not show, as a country that the phone says too, is written and not told of.
        if changed := changed_fields(before, after):
            after.updated_at = max(now, before.updated_at)
            told.append(snapshot.change(after, [*changed, "updated_at"]))
    return told
