"""The queries on imports: making and reading them, leasing them, and what a chunk writes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.contacts.imports.plan import Plan
from services.contacts.imports.record import Import, RowError

COLUMNS = (
    "id, status, bytes_total, bytes_done, rows, imported, updated, duplicates, failed, error, created_at, finished_at"
)
ERRORS_SHOWN = 100
LEASE_SECONDS = 8

CREATE = f"""
INSERT INTO imports (account_id, id, file_id, status, plan, bytes_total, created_at)
VALUES ($1, $2, $3, 'queued', $4, $5, now()) RETURNING {COLUMNS}
"""
GET = f"SELECT {COLUMNS} FROM imports WHERE account_id = $1 AND id = $2"
ERRORS = f"""
SELECT row, code, reason, column_name FROM import_errors WHERE account_id = $1 AND import_id = $2
ORDER BY row LIMIT {ERRORS_SHOWN}
"""
ADD_ERRORS = """
INSERT INTO import_errors (account_id, import_id, row, code, reason, column_name)
SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[])
"""

# Over all accounts. A lease that ran out belongs to a worker that died or hangs; the generation shuts it out.
CLAIM = f"""
WITH free AS (
    SELECT account_id, id FROM imports
    WHERE status IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < now())
    ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE imports AS i
SET status = 'running', lease_generation = i.lease_generation + 1, attempts = i.attempts + 1,
    lease_until = now() + interval '{LEASE_SECONDS} seconds'
FROM free WHERE i.account_id = free.account_id AND i.id = free.id
RETURNING i.account_id, i.id, i.file_id, i.plan, i.records_done, i.lease_generation, i.attempts
"""
HEARTBEAT = f"""
UPDATE imports SET lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running' RETURNING true
"""
RELEASE = """
UPDATE imports SET lease_until = now() + make_interval(secs => $4), attempts = attempts - $5
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running'
"""
PROGRESS = f"""
UPDATE imports
SET records_done = $4, bytes_done = $5, rows = rows + $6, imported = imported + $7, updated = updated + $8,
    duplicates = duplicates + $9, failed = failed + $10, attempts = 0,
    lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running' RETURNING true
"""
FINISH = f"""
UPDATE imports
SET status = $4, error = $5, finished_at = now(), lease_until = NULL,
    bytes_done = CASE WHEN $4 = 'completed' THEN bytes_total ELSE bytes_done END
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running' RETURNING {COLUMNS}
"""


class LeaseLost(Exception):
    """Another worker has the import by now; nothing of this transaction may stay."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an import."""

    account: AccountId
    import_id: UUID
    file_id: UUID
    plan: Plan
    # Records that are dealt with already.
    records_done: int
    generation: int
    attempts: int

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


async def create(tx: WriteTx, import_id: UUID, *, file_id: UUID, plan: Plan, size: int) -> Import:
    row = await tx.fetchrow(CREATE, tx.account, import_id, file_id, json.dumps(plan.to_json()), size)
    assert row is not None
    return Import(*row)


async def get(tx: ReadTx, account: AccountId, import_id: UUID) -> Import | None:
    """With its first 100 errors."""
    row = await tx.fetchrow(GET, account, import_id)
    if row is None:
        return None
    found = Import(*row)
    found.errors = await errors(tx, account, import_id)
    return found


async def errors(tx: ReadTx, account: AccountId, import_id: UUID) -> list[RowError]:
    return [RowError(*row) for row in await tx.fetch(ERRORS, account, import_id)]


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
        )


async def claim(tx: WriteTx) -> Lease | None:
    """The oldest import that nobody works on."""
    row = await tx.fetchrow(CLAIM)
    return None if row is None else lease(row)


def lease(row: asyncpg.Record) -> Lease:
    return Lease(
        account=AccountId(row["account_id"]),
        import_id=row["id"],
        file_id=row["file_id"],
        plan=Plan.from_json(json.loads(row["plan"])),
        records_done=row["records_done"],
        generation=row["lease_generation"],
        attempts=row["attempts"],
    )


async def heartbeat(tx: WriteTx, held: Lease) -> None:
    """Raises LeaseLost."""
    if not await tx.fetchval(HEARTBEAT, *held.key):
        raise LeaseLost


async def release(tx: WriteTx, held: Lease, *, after_seconds: float, tried: bool) -> None:
    """Let another worker, or this one, take it up again. tried: it counts as an attempt."""
    await tx.execute(RELEASE, *held.key, after_seconds, 0 if tried else 1)


async def add_progress(tx: WriteTx, held: Lease, progress: Progress) -> None:
    """Raises LeaseLost."""
    counts = (progress.rows, progress.imported, progress.updated, progress.duplicates, progress.failed)
    if not await tx.fetchval(PROGRESS, *held.key, progress.records_done, progress.bytes_done, *counts):
        raise LeaseLost


async def finish(tx: WriteTx, held: Lease, *, error: str) -> Import:
    """error: empty where it completed. Raises LeaseLost."""
    row = await tx.fetchrow(FINISH, *held.key, "failed" if error else "completed", error)
    if row is None:
        raise LeaseLost
    finished = Import(*row)
    finished.errors = await errors(tx, held.account, held.import_id)
    return finished
