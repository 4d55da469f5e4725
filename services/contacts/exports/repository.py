"""The queries on exports: making and reading them, leasing them, and what a piece of the file writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg

from carillon.contacts.v1 import exports_pb2 as pb
from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.contacts.exports.record import Export, Format, Resource

COLUMNS = "id, resource, format, status, rows, bytes, error, created_at, finished_at, expires_at"
LEASE_SECONDS = 8

CREATE = f"""
INSERT INTO exports (account_id, id, resource, format, request, file_id, traceparent, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now()) RETURNING {COLUMNS}
"""
GET = f"SELECT {COLUMNS} FROM exports WHERE account_id = $1 AND id = $2"
PAGE = f"""
SELECT {COLUMNS} FROM exports WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""
CHUNK = """
SELECT c.data FROM exports AS e JOIN file_chunks AS c ON c.account_id = $1 AND c.file_id = e.file_id AND c.seq = $3
WHERE e.account_id = $1 AND e.id = $2 AND e.status = 'completed'
"""

# Over all accounts. A lease that ran out belongs to a worker that died or hangs; the generation shuts it out.
CLAIM = f"""
WITH free AS (
    SELECT account_id, id FROM exports
    WHERE status IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < now())
    ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE exports AS e
SET status = 'running', lease_generation = e.lease_generation + 1, attempts = e.attempts + 1,
    lease_until = now() + interval '{LEASE_SECONDS} seconds'
FROM free WHERE e.account_id = free.account_id AND e.id = free.id
RETURNING e.account_id, e.id, e.resource, e.format, e.request, e.file_id, e.position, e.chunks, e.lease_generation,
    e.attempts, e.traceparent
"""
HEARTBEAT = f"""
UPDATE exports SET lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running' RETURNING true
"""
RELEASE = """
UPDATE exports SET lease_until = now() + make_interval(secs => $4), attempts = attempts - $5
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running'
"""
PROGRESS = f"""
UPDATE exports SET position = $4, chunks = chunks + $5, rows = rows + $6, bytes = bytes + $7,
    attempts = CASE WHEN $8 THEN 0 ELSE attempts END,
    lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running' RETURNING chunks - $5
"""
BEGIN_ANEW = """
WITH anew AS (
    UPDATE exports SET position = '', chunks = 0, rows = 0, bytes = 0
    WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running' RETURNING account_id, file_id
), emptied AS (
    DELETE FROM file_chunks AS c USING anew WHERE c.account_id = anew.account_id AND c.file_id = anew.file_id
), blank AS (
    UPDATE files AS f SET bytes = 0, touched_at = now() FROM anew
    WHERE f.account_id = anew.account_id AND f.id = anew.file_id
)
SELECT true FROM anew
"""
STORE = """
WITH file AS (
    INSERT INTO files (account_id, id, touched_at, bytes) VALUES ($1, $2, now(), $5)
    ON CONFLICT (account_id, id) DO UPDATE SET touched_at = now(), bytes = files.bytes + excluded.bytes
)
INSERT INTO file_chunks (account_id, file_id, seq, data)
SELECT $1, $2, $3 + at - 1, data FROM unnest($4::bytea[]) WITH ORDINALITY AS piece(data, at)
"""
# A failed one keeps no file.
FINISH = """
WITH ended AS (
    UPDATE exports SET status = $4, error = $5, finished_at = now(), expires_at = now() + $6::interval,
        lease_until = NULL
    WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running'
    RETURNING account_id, file_id, status
), whole AS (
    UPDATE files AS f SET complete = true, touched_at = now() FROM ended
    WHERE ended.status = 'completed' AND f.account_id = ended.account_id AND f.id = ended.file_id
), dropped AS (
    DELETE FROM files AS f USING ended
    WHERE ended.status = 'failed' AND f.account_id = ended.account_id AND f.id = ended.file_id
), emptied AS (
    DELETE FROM file_chunks AS c USING ended
    WHERE ended.status = 'failed' AND c.account_id = ended.account_id AND c.file_id = ended.file_id
)
SELECT true FROM ended
"""
FORGET = """
WITH gone AS (
    DELETE FROM exports WHERE expires_at < now() RETURNING account_id, file_id
), dropped AS (
    DELETE FROM files AS f USING gone WHERE f.account_id = gone.account_id AND f.id = gone.file_id
)
DELETE FROM file_chunks AS c USING gone WHERE c.account_id = gone.account_id AND c.file_id = gone.file_id
"""


class LeaseLost(Exception):
    """Another worker has the export by now; nothing of this transaction may stay."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an export."""

    account: AccountId
    export_id: UUID
    resource: Resource
    format: Format
    request: pb.CreateExportRequest
    file_id: UUID
    # Behind what is stored already; empty at the beginning. What it means is the content's to say.
    position: str
    # How many pieces of the file are stored.
    chunks: int
    generation: int
    attempts: int
    traceparent: str

    @property
    def key(self) -> tuple[AccountId, UUID, int]:
        return self.account, self.export_id, self.generation


async def create(
    tx: WriteTx,
    export_id: UUID,
    *,
    resource: Resource,
    format_: Format,
    request: pb.CreateExportRequest,
    file_id: UUID,
    traceparent: str,
) -> Export:
    asked = request.SerializeToString()
    row = await tx.fetchrow(CREATE, tx.account, export_id, resource, format_, asked, file_id, traceparent)
    assert row is not None
    return Export(*row)


async def get(tx: ReadTx, account: AccountId, export_id: UUID) -> Export | None:
    row = await tx.fetchrow(GET, account, export_id)
    return None if row is None else Export(*row)


async def page(tx: ReadTx, account: AccountId, *, before: UUID | None, limit: int) -> list[Export]:
    """Newest first, from below the id `before`."""
    return [Export(*row) for row in await tx.fetch(PAGE, account, before, limit)]


async def chunk(tx: ReadTx, account: AccountId, export_id: UUID, *, seq: int) -> bytes | None:
    """A piece of a completed export's file, from 0; None behind the last."""
    data: bytes | None = await tx.fetchval(CHUNK, account, export_id, seq)
    return data


async def claim(tx: WriteTx) -> Lease | None:
    """The oldest export that nobody works on."""
    row = await tx.fetchrow(CLAIM)
    return None if row is None else lease(row)


def lease(row: asyncpg.Record) -> Lease:
    return Lease(
        account=AccountId(row["account_id"]),
        export_id=row["id"],
        resource=row["resource"],
        format=row["format"],
        request=pb.CreateExportRequest.FromString(row["request"]),
        file_id=row["file_id"],
        position=row["position"],
        chunks=row["chunks"],
        generation=row["lease_generation"],
        attempts=row["attempts"],
        traceparent=row["traceparent"],
    )


async def heartbeat(tx: WriteTx, held: Lease) -> None:
    """Raises LeaseLost."""
    if not await tx.fetchval(HEARTBEAT, *held.key):
        raise LeaseLost


async def release(tx: WriteTx, held: Lease, *, after_seconds: float, tried: bool) -> None:
    """Let another worker, or this one, take it up again. tried: it counts as an attempt."""
    await tx.execute(RELEASE, *held.key, after_seconds, 0 if tried else 1)


async def store(tx: WriteTx, held: Lease, pieces: Sequence[bytes], *, rows: int, position: str | None) -> None:
    """More of the file, and where to go on behind it; None is at the beginning. Raises LeaseLost."""
    size = sum(map(len, pieces))
    resumable = position is not None
    first = await tx.fetchval(PROGRESS, *held.key, position or "", len(pieces), rows, size, resumable)
    if first is None:
        raise LeaseLost
    await tx.execute(STORE, held.account, held.file_id, first, pieces, size)


async def begin_anew(tx: WriteTx, held: Lease) -> None:
    """Drop what a killed worker stored. Raises LeaseLost."""
    if not await tx.fetchval(BEGIN_ANEW, *held.key):
        raise LeaseLost


async def finish(tx: WriteTx, held: Lease, *, error: str, kept: timedelta) -> None:
    """error: empty where it completed. Raises LeaseLost."""
    if not await tx.fetchval(FINISH, *held.key, "failed" if error else "completed", error, kept):
        raise LeaseLost


async def forget(tx: WriteTx) -> None:
    """Those of every account that have had their time, with their files. For the work role."""
    await tx.execute(FORGET)
