"""The queries on imports: making and reading them, leasing them, and what a chunk writes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from chassis import ids
from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.contacts import errors as service_errors
from services.contacts.imports.plan import Plan
from services.contacts.imports.preview import Preview
from services.contacts.imports.record import Change, Import, RowError

COLUMNS = (
    "id, status, bytes_total, bytes_done, rows, imported, updated, duplicates, failed, error, created_at, finished_at,"
    " file_name, rows_total, duplicate_of, coalesce((plan ->> 'dry_run')::boolean, false),"
    " undo_deleted, undo_kept"
)
ERRORS_SHOWN = 100
LEASE_SECONDS = 8

# $2: below this one; null for the first page.
PAGE = f"""
SELECT {COLUMNS} FROM imports WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""
CREATE = f"""
INSERT INTO imports (account_id, id, file_id, status, plan, bytes_total, created_at, queued_at, file_name, sha256,
                     duplicate_of, rows_total, preview)
VALUES ($1, $2, $3, $4, $5, $6, now(), now(), $7, $8, $9, $10, $11) RETURNING {COLUMNS}
"""
GET = f"SELECT {COLUMNS} FROM imports WHERE account_id = $1 AND id = $2"
PLAN = "SELECT plan FROM imports WHERE account_id = $1 AND id = $2"
PREVIEW = "SELECT plan, preview FROM imports WHERE account_id = $1 AND id = $2 AND preview IS NOT NULL"
CHANGES = "SELECT changes FROM imports WHERE account_id = $1 AND id = $2"
SAME_BYTES = """
SELECT id FROM imports
WHERE account_id = $1 AND sha256 = $2 AND id <> $3 AND status IN ('queued', 'running', 'completed')
AND NOT coalesce((plan ->> 'dry_run')::boolean, false)
ORDER BY id DESC LIMIT 1
"""
LOCK = """
SELECT status, plan, sha256, EXISTS (SELECT FROM files AS f WHERE f.account_id = $1 AND f.id = i.file_id) AS has_file
FROM imports AS i WHERE account_id = $1 AND id = $2 FOR UPDATE
"""
BEGIN = f"""
UPDATE imports
SET status = 'queued', plan = $3, duplicate_of = $4, queued_at = now(), lease_until = NULL, attempts = 0,
    records_done = 0, bytes_done = 0, rows = 0, imported = 0, updated = 0, duplicates = 0, failed = 0, changes = NULL,
    error = '', finished_at = NULL, rows_total = rows_total + $5
WHERE account_id = $1 AND id = $2 RETURNING {COLUMNS}
"""
# A worker that has it finds its lease gone when it commits; nothing is counted that was not written.
CANCEL = f"""
UPDATE imports SET status = 'cancelled', finished_at = now(), lease_until = NULL
WHERE account_id = $1 AND id = $2 AND status IN ('uploaded', 'queued', 'running') RETURNING {COLUMNS}
"""
FORGET_ERRORS = "DELETE FROM import_errors WHERE account_id = $1 AND import_id = $2"
LISTS = "SELECT id FROM lists WHERE account_id = $1 AND id = ANY($2::uuid[])"
ERRORS = """
SELECT row, code, reason, column_name, cells FROM import_errors
WHERE account_id = $1 AND import_id = $2 AND row > $3 ORDER BY row LIMIT $4
"""
ADD_ERRORS = """
INSERT INTO import_errors (account_id, import_id, row, code, reason, column_name, cells)
SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
"""

# Over all accounts. The account with the fewest imports under way comes first, and of its imports the one that waits
# longest. A lease that ran out belongs to a worker that died or hangs; the generation shuts it out. An uploaded
# import is claimed to have its rows counted.
CLAIM = f"""
WITH free AS (
    SELECT account_id, id FROM imports AS w
    WHERE (status IN ('queued', 'running') OR (status = 'uploaded' AND rows_total IS NULL))
    AND (lease_until IS NULL OR lease_until < now())
    ORDER BY (
        SELECT count(*) FROM imports AS b
        WHERE b.account_id = w.account_id AND b.status IN ('uploaded', 'running') AND b.lease_until >= now()
    ), queued_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE imports AS i
SET status = CASE WHEN status = 'queued' THEN 'running' ELSE status END,
    lease_generation = i.lease_generation + 1, attempts = i.attempts + 1,
    lease_until = now() + interval '{LEASE_SECONDS} seconds'
FROM free WHERE i.account_id = free.account_id AND i.id = free.id
RETURNING i.account_id, i.id, i.status, i.file_id, i.plan, i.records_done, i.lease_generation, i.attempts,
    i.duplicate_of IS NOT NULL AS again
"""
# Does an account wait that has nothing under way?
STARVING = """
SELECT EXISTS (
    SELECT FROM imports AS w
    WHERE w.account_id <> $1 AND w.status IN ('queued', 'running') AND (w.lease_until IS NULL OR w.lease_until < now())
    AND NOT EXISTS (
        SELECT FROM imports AS b
        WHERE b.account_id = w.account_id AND b.status = 'running' AND b.lease_until >= now()
    )
)
"""
HEARTBEAT = f"""
UPDATE imports SET lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status IN ('uploaded', 'running') RETURNING true
"""
RELEASE = """
UPDATE imports SET lease_until = now() + make_interval(secs => $4), attempts = attempts - $5, queued_at = now()
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status IN ('uploaded', 'running')
"""
COUNTED = """
UPDATE imports SET rows_total = $4, lease_until = NULL, attempts = 0
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'uploaded'
"""
PROGRESS = f"""
UPDATE imports
SET records_done = $4, bytes_done = $5, rows = rows + $6, imported = imported + $7, updated = updated + $8,
    duplicates = duplicates + $9, failed = failed + $10, attempts = 0, queued_at = now(),
    first_contact_id = coalesce(first_contact_id, $11), last_contact_id = coalesce($12, last_contact_id),
    lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running' RETURNING true
"""
FINISH = f"""
UPDATE imports
SET status = $4, error = $5, finished_at = now(), lease_until = NULL,
    bytes_done = CASE WHEN $4 = 'completed' THEN bytes_total ELSE bytes_done END,
    rows_total = CASE WHEN $4 = 'completed' THEN rows ELSE rows_total END
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status IN ('uploaded', 'running') RETURNING {COLUMNS}
"""


class LeaseLost(Exception):
    """Another worker has the import by now; nothing of this transaction may stay."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an import."""

    account: AccountId
    import_id: UUID
    # `uploaded`: its rows are to be counted; `running`: to be imported.
    status: str
    file_id: UUID
    plan: Plan
    # Records that are dealt with already.
    records_done: int
    generation: int
    attempts: int
    # The account has imported these very bytes before.
    again: bool

    @property
    def key(self) -> tuple[AccountId, UUID, int]:
        return self.account, self.import_id, self.generation


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a chunk got, and its counts."""

    records_done: int
    bytes_done: int
    rows: int
    imported: int
    updated: int
    duplicates: int
    failed: int
    # Of the contacts made; None where there were none.
    first_contact_id: UUID | None
    last_contact_id: UUID | None


@dataclass(frozen=True, slots=True)
class New:
    """An import that is to be, of a stored file."""

    id: UUID
    file_id: UUID
    plan: Plan
    size: int
    sha256: bytes
    file_name: str
    # Waits to be committed then, instead of being queued.
    preview: Preview | None


@dataclass(frozen=True, slots=True)
class Locked:
    """An import, held until the transaction ends."""

    status: str
    plan: Plan
    sha256: bytes | None
    has_file: bool


async def create(tx: WriteTx, new: New) -> Import:
    row = await tx.fetchrow(
        CREATE,
        tx.account,
        new.id,
        new.file_id,
        "queued" if new.preview is None else "uploaded",
        json.dumps(new.plan.to_json()),
        new.size,
        new.file_name,
        new.sha256,
        await tx.fetchval(SAME_BYTES, tx.account, new.sha256, new.id),
        None if new.preview is None else new.preview.rows_total,
        None if new.preview is None else json.dumps(new.preview.to_json()),
    )
    assert row is not None
    return Import(*row)


async def check_lists(tx: WriteTx, list_ids: Iterable[str]) -> None:
    """Raises NotFound for one that is not there."""
    wanted = {UUID(list_id) for list_id in list_ids}
    missing = wanted - {row[0] for row in await tx.fetch(LISTS, tx.account, list(wanted))} if wanted else wanted
    if missing:
        raise service_errors.not_found("list", ids.encode("lst", min(missing)))


async def lock(tx: WriteTx, account: AccountId, import_id: UUID) -> Locked | None:
    row = await tx.fetchrow(LOCK, account, import_id)
    if row is None:
        return None
    return Locked(row["status"], Plan.from_json(json.loads(row["plan"])), row["sha256"], row["has_file"])


async def begin(tx: WriteTx, account: AccountId, import_id: UUID, *, plan: Plan, before: Locked) -> Import:
    """Queue a locked import, from the beginning."""
    await tx.execute(FORGET_ERRORS, account, import_id)
    duplicate_of = await tx.fetchval(SAME_BYTES, account, before.sha256, import_id)
    more = before.plan.skipped_records - plan.skipped_records
    row = await tx.fetchrow(BEGIN, account, import_id, json.dumps(plan.to_json()), duplicate_of, more)
    assert row is not None
    return Import(*row)


async def cancel(tx: WriteTx, account: AccountId, import_id: UUID) -> Import | None:
    """None where there is none, or it has ended."""
    row = await tx.fetchrow(CANCEL, account, import_id)
    return None if row is None else Import(*row)


async def page(tx: ReadTx, account: AccountId, *, before: UUID | None, limit: int) -> list[Import]:
    """Newest first, from below the id `before`; without their errors."""
    return [Import(*row) for row in await tx.fetch(PAGE, account, before, limit)]


async def get(tx: ReadTx, account: AccountId, import_id: UUID) -> Import | None:
    """With its first 100 errors."""
    row = await tx.fetchrow(GET, account, import_id)
    if row is None:
        return None
    found = Import(*row)
    found.errors = await errors(tx, account, import_id)
    return found


async def preview(tx: ReadTx, account: AccountId, import_id: UUID) -> tuple[Plan, dict[str, Any]] | None:
    """With its plan, as stored; None for an import that was not held, or whose file is gone."""
    row = await tx.fetchrow(PREVIEW, account, import_id)
    return None if row is None else (Plan.from_json(json.loads(row["plan"])), json.loads(row["preview"]))


async def changes(tx: ReadTx, account: AccountId, import_id: UUID) -> list[Change]:
    """Of a dry run, while the file is kept."""
    stored = await tx.fetchval(CHANGES, account, import_id)
    return [] if stored is None else [Change(**change) for change in json.loads(stored)]


async def plan(tx: ReadTx, account: AccountId, import_id: UUID) -> Plan | None:
    stored = await tx.fetchval(PLAN, account, import_id)
    return None if stored is None else Plan.from_json(json.loads(stored))


async def errors(
    tx: ReadTx, account: AccountId, import_id: UUID, *, after: int = 0, limit: int = ERRORS_SHOWN
) -> list[RowError]:
    """In the order of the file, behind the row `after`."""
    rows = await tx.fetch(ERRORS, account, import_id, after, limit)
    return [
        RowError(
            row=row["row"],
            code=row["code"],
            reason=row["reason"],
            column=row["column_name"],
            cells=None if row["cells"] is None else json.loads(row["cells"]),
        )
        for row in rows
    ]


async def add_errors(tx: WriteTx, lease: Lease, faults: Sequence[RowError]) -> None:
    if faults:
        await tx.execute(
            ADD_ERRORS,
            lease.account,
            lease.import_id,
            [fault.row for fault in faults],
            [fault.code for fault in faults],
            [fault.reason for fault in faults],
            [fault.column for fault in faults],
            [None if fault.cells is None else cells_text(fault.cells) for fault in faults],
        )


def cells_text(cells: Sequence[str]) -> str:
    """ASCII, because a text of Postgres holds neither NUL nor a lone surrogate."""
    return json.dumps([cell.replace("\0", "") for cell in cells])


async def claim(tx: WriteTx) -> Lease | None:
    """The import whose turn it is, of those that nobody works on."""
    row = await tx.fetchrow(CLAIM)
    return None if row is None else lease(row)


def lease(row: asyncpg.Record) -> Lease:
    return Lease(
        account=AccountId(row["account_id"]),
        import_id=row["id"],
        status=row["status"],
        file_id=row["file_id"],
        plan=Plan.from_json(json.loads(row["plan"])),
        records_done=row["records_done"],
        generation=row["lease_generation"],
        attempts=row["attempts"],
        again=row["again"],
    )


async def heartbeat(tx: WriteTx, held: Lease) -> None:
    """Raises LeaseLost."""
    if not await tx.fetchval(HEARTBEAT, *held.key):
        raise LeaseLost


async def release(tx: WriteTx, held: Lease, *, after_seconds: float, tried: bool) -> None:
    """Let another worker, or this one, take it up again. tried: it counts as an attempt."""
    await tx.execute(RELEASE, *held.key, after_seconds, 0 if tried else 1)


async def starving(tx: ReadTx, held: Lease) -> bool:
    """True where another account waits and has no import under way."""
    waiting: bool = await tx.fetchval(STARVING, held.account)
    return waiting


async def counted(tx: WriteTx, held: Lease, rows_total: int) -> None:
    """Where it was committed or cancelled meanwhile, nothing."""
    await tx.execute(COUNTED, *held.key, rows_total)


async def add_progress(tx: WriteTx, held: Lease, progress: Progress) -> None:
    """Raises LeaseLost."""
    counts = (progress.rows, progress.imported, progress.updated, progress.duplicates, progress.failed)
    made = (progress.first_contact_id, progress.last_contact_id)
    if not await tx.fetchval(PROGRESS, *held.key, progress.records_done, progress.bytes_done, *counts, *made):
        raise LeaseLost


async def finish(tx: WriteTx, held: Lease, *, error: str) -> Import:
    """error: empty where it completed. Raises LeaseLost."""
    row = await tx.fetchrow(FINISH, *held.key, "failed" if error else "completed", error)
    if row is None:
        raise LeaseLost
    finished = Import(*row)
    finished.errors = await errors(tx, held.account, held.import_id)
    return finished
