"""One chunk of an import: everything that some thousand rows do, in one transaction with the progress they make."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from chassis.db import Database, WriteTx
from services.contacts import events, snapshot
from services.contacts import repository as contacts
from services.contacts.domain import identity
from services.contacts.domain.contact import Contact, changed_fields
from services.contacts.imports import repository, staging
from services.contacts.imports.repository import Lease, Progress
from services.contacts.imports.resolve import Chunk, Outcome
from services.contacts.imports.rows import Draft, Known, Read, RowReader, parted
from services.contacts.imports.way import Way
from services.contacts.lists import memberships

# How many contacts are worked on before other tasks get their turn.
SLICE = 250


@dataclass(slots=True)
class Prepared:
    """What a chunk of rows does if nobody has their keys, made before its turn. For one attempt, which changes it."""

    outcome: Outcome
    # The new contacts, as they are staged.
    pieces: list[bytes]


class Overtaken(Exception):
    """Somebody else wrote the same keys meanwhile; look anew."""


async def commit(
    db: Database,
    lease: Lease,
    *,
    reader: RowReader,
    outcomes: Sequence[Read],
    prepared: Prepared | None = None,
    records_done: int,
    bytes_done: int,
    way: Way,
    contended: bool = False,
    mostly_new: bool = False,
) -> Outcome:
    """outcomes: one a record. contended: others may take keys while the chunk runs.

    mostly_new: nobody is asked who has the keys, of which each row has one; the insert says which were taken.
    prepared: looked at where mostly_new.
    way: left while the database inserts, and taken behind that; the caller leaves it in the end.
    Raises LeaseLost, Overtaken, asyncpg's unique violation and deadlock.
    """
    drafts, faults = parted(outcomes)
    known = sum(isinstance(outcome, Known) for outcome in outcomes)
    async with db.across() as tx:
        ready = prepared if mostly_new else None
        if ready is None:
            outcome = await resolve(tx, lease, reader=reader, drafts=drafts, mostly_new=mostly_new)
        else:
            outcome = ready.outcome
        outcome.errors.extend(faults)
        outcome.duplicate_rows += known
        await write(
            tx,
            lease,
            outcome,
            columns=reader.columns,
            pieces=None if ready is None else ready.pieces,
            contended=contended or mostly_new,
            way=way,
        )
        progress = Progress(
            records_done=records_done,
            bytes_done=bytes_done,
            rows=len(drafts) + len(faults) + known,
            imported=outcome.imported_rows,
            updated=outcome.updated_rows,
            duplicates=outcome.duplicate_rows,
            failed=len(outcome.errors),
            first_contact_id=outcome.created[0].id if outcome.created else None,
            last_contact_id=outcome.created[-1].id if outcome.created else None,
        )
        await repository.add_errors(tx, lease, outcome.errors)
        await repository.add_progress(tx, lease, progress)
    return outcome


async def prepare(lease: Lease, reader: RowReader, outcomes: Sequence[Read], *, way: Way) -> Prepared:
    """For a plan that changes no contact which is there. outcomes: one a record."""
    drafts, _ = parted(outcomes)
    outcome = Chunk(
        holders={}, present={}, on_duplicate=lease.plan.on_duplicate, additions=lease.plan.additions, reader=reader
    ).resolve(drafts)
    pieces = []
    for piece in staging.new_pieces(outcome.created, columns=reader.columns):
        pieces.append(piece)
        await way.given()
    return Prepared(outcome, pieces)


async def resolve(
    tx: WriteTx, lease: Lease, *, reader: RowReader, drafts: Sequence[Draft], mostly_new: bool
) -> Outcome:
    holders: dict[tuple[identity.Key, str], UUID] = {}
    if not mostly_new:
        holders = await staging.holders(tx, lease.account, [pair for draft in drafts for pair in draft.keys])
    present: dict[UUID, Contact] = {}
    if lease.plan.writes_present and holders:
        locked = await contacts.lock_many(tx, lease.account, holders.values())
        present = {row.id: row for row in locked}
        kept = {(pair, row.id) for row in locked for pair in identity.pairs(row)}
        # Gone, or with other keys by the time of the lock.
        if not kept.issuperset(holders.items()):
            raise Overtaken
    additions = lease.plan.additions
    if additions.add_lists:
        there = await memberships.lock(tx, lease.account, additions.add_lists)
        additions = replace(additions, add_lists=tuple(one for one in additions.add_lists if one in there))
    chunk = Chunk(
        holders=holders,
        present=present,
        on_duplicate=lease.plan.on_duplicate,
        additions=additions,
        reader=reader,
    )
    return chunk.resolve(drafts)


async def write(
    tx: WriteTx,
    lease: Lease,
    outcome: Outcome,
    *,
    columns: tuple[str, ...],
    pieces: Iterable[bytes] | None,
    contended: bool,
    way: Way,
) -> None:
    """pieces: of the new contacts, where they are made already."""
    if outcome.updated:
        now = datetime.now(UTC)
        for before, after in outcome.updated:
            after.updated_at = max(now, before.updated_at)
        await staging.update(tx, lease.account, outcome.updated, columns=columns)
        await staging.note_updates(tx, lease.account, lease.import_id)
        joined = [
            (list_id, after.id)
            for before, after in outcome.updated
            for list_id in after.list_ids
            if list_id not in before.list_ids
        ]
        await memberships.add(tx, lease.account, joined, at=now)
        changes = await told(
            [(after, [*changed_fields(before, after), "updated_at"]) for before, after in outcome.updated]
        )
        tx.add_events(events.contacts_changed("contact.updated", lease.account, changes, bulk=True))
    if outcome.created:
        # The server takes and inserts them while the events are made here, and then others are read.
        lost, changes = await asyncio.gather(
            staging.insert(
                tx,
                lease.account,
                outcome.created,
                columns=columns,
                pieces=pieces,
                import_id=lease.import_id,
                contended=contended,
            ),
            told_of_new(outcome.created, way),
        )
        way.take()
        if lost:
            changes = drop_lost(lease, outcome, lost=lost, changes=changes)
        members = [(list_id, row.id) for row in outcome.created if row.id not in lost for list_id in row.list_ids]
        await memberships.add(tx, lease.account, members, at=datetime.now(UTC))
        tx.add_events(events.contacts_changed("contact.created", lease.account, changes, bulk=True))


def drop_lost(lease: Lease, outcome: Outcome, *, lost: set[UUID], changes: list[bytes]) -> list[bytes]:
    """Rows whose keys were taken are duplicates; where those change contacts, look anew."""
    if lease.plan.writes_present:
        raise Overtaken
    outcome.imported_rows -= len(lost)
    outcome.duplicate_rows += len(lost)
    return [change for row, change in zip(outcome.created, changes, strict=True) if row.id not in lost]


async def told_of_new(created: Sequence[Contact], way: Way) -> list[bytes]:
    """As `told`, of contacts that were not there; leaves the way to who reads."""
    made: list[bytes] = []
    for start in range(0, len(created), SLICE):
        await asyncio.sleep(0)
        made += snapshot.changes(created[start : start + SLICE])
    way.leave()
    return made


async def told(changes: Sequence[tuple[Contact, Sequence[str]]]) -> list[bytes]:
    """The changes as events carry them."""
    made: list[bytes] = []
    for start in range(0, len(changes), SLICE):
        made.extend(snapshot.change(row, changed) for row, changed in changes[start : start + SLICE])
        await asyncio.sleep(0)
    return made
