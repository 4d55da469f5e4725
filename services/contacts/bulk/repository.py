"""The queries on bulk jobs. A chunk's transaction holds the job's row, so that one worker at a time is on it."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.contacts.bulk.record import BulkJob
from services.contacts.domain.change import Change

COLUMNS = "id, status, changed, unchanged, failed, error, created_at, finished_at"
RETRY_SECONDS = 2
# Failures in a row after which a job is given up. One of a deleted list never is: nobody could ask for it again.
ATTEMPTS = 5

CREATE = f"""
INSERT INTO bulk_jobs (account_id, id, change, filter, of_list, traceparent, created_at, due_at)
VALUES ($1, $2, $3, $4, $5, $6, now(), now()) RETURNING {COLUMNS}
"""
# A job of a deleted list is nobody's to ask for.
GET = f"SELECT {COLUMNS} FROM bulk_jobs WHERE account_id = $1 AND id = $2 AND of_list IS NULL"
# Over all accounts, the one that has waited longest.
CLAIM = """
SELECT account_id, id, change, filter, of_list, done_to, traceparent FROM bulk_jobs
WHERE status IN ('queued', 'running') AND due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
PROGRESS = """
UPDATE bulk_jobs SET status = 'running', attempts = 0, due_at = clock_timestamp(), done_to = $3,
    changed = changed + $4, unchanged = unchanged + $5, failed = failed + $6
WHERE account_id = $1 AND id = $2
"""
FINISH = """
UPDATE bulk_jobs SET status = CASE WHEN $3 = '' THEN 'completed' ELSE 'failed' END, error = $3, finished_at = now()
WHERE account_id = $1 AND id = $2 AND status IN ('queued', 'running')
"""
PUT_BACK = f"""
UPDATE bulk_jobs SET attempts = attempts + 1,
    due_at = now() + least(attempts + 1, 30) * interval '{RETRY_SECONDS} seconds'
WHERE account_id = $1 AND id = $2 AND status IN ('queued', 'running') RETURNING attempts
"""
FORGET = "DELETE FROM bulk_jobs WHERE finished_at < now() - $1::interval"


@dataclass(frozen=True, slots=True)
class Claim:
    """A job, held until the transaction ends. Exactly one of filter and of_list is set."""

    account: AccountId
    id: UUID
    change: Change
    # A serialised ListContactsRequest.
    filter: bytes | None
    of_list: UUID | None
    # Contacts from this id upwards are dealt with.
    done_to: UUID | None
    traceparent: str


async def create(
    tx: WriteTx,
    job_id: UUID,
    *,
    change: Change,
    filter_: bytes | None = None,
    of_list: UUID | None = None,
    traceparent: str,
) -> BulkJob:
    stored = orjson.dumps(asdict(change), default=str).decode()
    row = await tx.fetchrow(CREATE, tx.account, job_id, stored, filter_, of_list, traceparent)
    assert row is not None
    return BulkJob(*row)


async def get(tx: ReadTx, account: AccountId, job_id: UUID) -> BulkJob | None:
    row = await tx.fetchrow(GET, account, job_id)
    return None if row is None else BulkJob(*row)


async def claim(tx: WriteTx) -> Claim | None:
    row = await tx.fetchrow(CLAIM)
    if row is None:
        return None
    return Claim(
        account=AccountId(row["account_id"]),
        id=row["id"],
        change=change_of(orjson.loads(row["change"])),
        filter=row["filter"],
        of_list=row["of_list"],
        done_to=row["done_to"],
        traceparent=row["traceparent"],
    )


def change_of(stored: dict[str, Any]) -> Change:
    return Change(
        tuple(stored["add_tags"]),
        tuple(stored["remove_tags"]),
        tuple(UUID(one) for one in stored["add_lists"]),
        tuple(UUID(one) for one in stored["remove_lists"]),
    )


async def add_progress(tx: WriteTx, held: Claim, *, done_to: UUID, changed: int, unchanged: int, failed: int) -> None:
    await tx.execute(PROGRESS, held.account, held.id, done_to, changed, unchanged, failed)


async def finish(tx: WriteTx, held: Claim, *, error: str = "") -> None:
    """error: empty where it completed."""
    await tx.execute(FINISH, held.account, held.id, error)


async def put_back(tx: WriteTx, held: Claim) -> bool:
    """Let it be tried again a little later; False where it was tried often enough."""
    attempts: int | None = await tx.fetchval(PUT_BACK, held.account, held.id)
    return held.of_list is not None or (attempts is not None and attempts < ATTEMPTS)


async def forget(tx: WriteTx, kept: timedelta) -> None:
    """Those of every account that ended long ago: a filter may name a person. For the work role."""
    await tx.execute(FORGET, kept)
