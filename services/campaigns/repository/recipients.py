"""Queries on the ledger that callers' requests need; the engine's are in dispatch, freeze and receipts.

A page of one state is found by chunk_states: which chunks have any such recipients, and how many.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from services.campaigns.domain.recipient import Status

# The order in which they were added.
PAGE = """
SELECT * FROM recipients
WHERE account_id = $1 AND campaign_id = $2 AND (chunk, id) > ($3::integer, $4::uuid)
ORDER BY chunk, id LIMIT $5
"""
NUMBERED = """
SELECT * FROM recipients WHERE account_id = $1 AND campaign_id = $2 ORDER BY chunk, id OFFSET $3 LIMIT $4
"""
# The state's column stands for {status}, which is one of Status. The first of the chunks may have been paged through
# in part, so that those behind it alone must have enough.
CHUNKS = """
SELECT chunk FROM (
  SELECT chunk, coalesce(sum({status}) OVER (ORDER BY chunk ROWS UNBOUNDED PRECEDING)
    - first_value({status}) OVER (ORDER BY chunk), 0) - {status} AS before
  FROM chunk_states WHERE account_id = $1 AND campaign_id = $2 AND chunk >= $3 AND {status} > 0
) AS counted WHERE before < $4 ORDER BY chunk
"""
CHUNKS_BY_NUMBER = """
SELECT chunk, before FROM (
  SELECT chunk, {status} AS here, sum({status}) OVER (ORDER BY chunk ROWS UNBOUNDED PRECEDING) - {status} AS before
  FROM chunk_states WHERE account_id = $1 AND campaign_id = $2 AND {status} > 0
) AS counted WHERE before < $3::bigint + $4::bigint AND before + here > $3::bigint ORDER BY chunk
"""
OF_CHUNKS = """
SELECT * FROM recipients
WHERE account_id = $1 AND campaign_id = $2 AND chunk = ANY ($3::integer[]) AND status = $4
  AND (chunk, id) > ($5::integer, $6::uuid)
ORDER BY chunk, id OFFSET $7 LIMIT $8
"""
COUNT = """
SELECT coalesce(sum({status}), 0)::bigint FROM chunk_states WHERE account_id = $1 AND campaign_id = $2
"""
# Who is not under way; those that are get the outcome that their answer brings. $4, $5: the first and the last of the
# chunks, without which a planner that has no statistics would read the whole campaign. Locked lines stay where they
# are, and are found again by that: by their keys such a planner would compare each with each. One that somebody changed
# as it was to be locked is left to who settles the rest.
CANCEL = """
WITH picked AS (
  SELECT r.ctid FROM recipients AS r, unnest($3::integer[]) AS k (chunk)
  WHERE r.account_id = $1 AND r.campaign_id = $2 AND r.chunk BETWEEN $4 AND $5 AND r.chunk = k.chunk
    AND r.status = 'pending'
  ORDER BY r.chunk, r.id LIMIT $6 FOR UPDATE OF r
), skipped AS (
  UPDATE recipients AS r SET status = 'skipped', reason = 'cancelled', state_revision = state_revision + 1
  FROM picked WHERE r.ctid = picked.ctid AND r.account_id = $1 AND r.status = 'pending' AND r.unanswered_since IS NULL
  RETURNING 1
)
SELECT count(*) FROM skipped
"""

# Behind which place of (chunk, id) a page begins.
Place = tuple[int, UUID]
BEFORE_ALL: Place = (-1, UUID(int=0))


async def page(
    tx: ReadTx, account: UUID, campaign_id: UUID, *, status: Status | None, after: Place, size: int
) -> list[asyncpg.Record]:
    """In one snapshot."""
    if status is None:
        return await tx.fetch(PAGE, account, campaign_id, *after, size)
    rows = await tx.fetch(CHUNKS.format(status=status.value), account, campaign_id, after[0], size)
    chunks = [row["chunk"] for row in rows]
    return await of_chunks(tx, account, campaign_id, chunks, status=status, after=after, offset=0, size=size)


async def numbered_page(
    tx: ReadTx, account: UUID, campaign_id: UUID, *, status: Status | None, offset: int, size: int
) -> list[asyncpg.Record]:
    """In one snapshot."""
    if status is None:
        return await tx.fetch(NUMBERED, account, campaign_id, offset, size)
    rows = await tx.fetch(CHUNKS_BY_NUMBER.format(status=status.value), account, campaign_id, offset, size)
    chunks = [row["chunk"] for row in rows]
    left = offset - rows[0]["before"] if rows else 0
    return await of_chunks(tx, account, campaign_id, chunks, status=status, after=BEFORE_ALL, offset=left, size=size)


async def of_chunks(
    tx: ReadTx,
    account: UUID,
    campaign_id: UUID,
    chunks: Sequence[int],
    *,
    status: Status,
    after: Place,
    offset: int,
    size: int,
) -> list[asyncpg.Record]:
    if not chunks:
        return []
    return await tx.fetch(OF_CHUNKS, account, campaign_id, chunks, status.value, *after, offset, size)


async def count(tx: ReadTx, account: UUID, campaign_id: UUID, *, status: Status) -> int:
    return int(await tx.fetchval(COUNT.format(status=status.value), account, campaign_id))


async def cancel(tx: WriteTx, account: UUID, campaign_id: UUID, *, limit: int) -> int:
    """Skip up to limit of those that are pending; how many it were."""
    rows = await tx.fetch(CHUNKS.format(status=Status.PENDING.value), account, campaign_id, 0, limit)
    chunks = [row["chunk"] for row in rows]
    if not chunks:
        return 0
    return int(await tx.fetchval(CANCEL, account, campaign_id, chunks, min(chunks), max(chunks), limit))
