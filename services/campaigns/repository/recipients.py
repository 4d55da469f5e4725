"""Queries on the ledger that callers' requests need; the engine's are in dispatch, freeze and receipts."""

from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx

# The order in which they were added. Two parameters for the cursor: null for the first page.
PAGE = """
SELECT * FROM recipients
WHERE account_id = $1 AND campaign_id = $2 AND ($3::text IS NULL OR status = $3)
  AND (chunk, id) > ($4::integer, $5::uuid)
ORDER BY chunk, id LIMIT $6
"""
NUMBERED = """
SELECT * FROM recipients
WHERE account_id = $1 AND campaign_id = $2 AND ($3::text IS NULL OR status = $3)
ORDER BY chunk, id OFFSET $4 LIMIT $5
"""
COUNT = "SELECT count(*) FROM recipients WHERE account_id = $1 AND campaign_id = $2 AND status = $3"
# Who is not under way; those that are get the outcome that their answer brings.
CANCEL = """
WITH picked AS (
  SELECT chunk, id FROM recipients WHERE account_id = $1 AND campaign_id = $2 AND status = 'pending'
  ORDER BY chunk, id LIMIT $3 FOR UPDATE
), skipped AS (
  UPDATE recipients AS r SET status = 'skipped', reason = 'cancelled', state_revision = state_revision + 1
  FROM picked WHERE r.account_id = $1 AND r.campaign_id = $2 AND r.chunk = picked.chunk AND r.id = picked.id
    AND r.status = 'pending' AND r.unanswered_since IS NULL
  RETURNING 1
)
SELECT count(*) FROM skipped
"""


async def page(
    tx: ReadTx, account: UUID, campaign_id: UUID, *, status: str | None, after: tuple[int, UUID], size: int
) -> list[asyncpg.Record]:
    return await tx.fetch(PAGE, account, campaign_id, status, *after, size)


async def numbered_page(
    tx: ReadTx, account: UUID, campaign_id: UUID, *, status: str | None, offset: int, size: int
) -> list[asyncpg.Record]:
    return await tx.fetch(NUMBERED, account, campaign_id, status, offset, size)


async def count(tx: ReadTx, account: UUID, campaign_id: UUID, *, status: str) -> int:
    return int(await tx.fetchval(COUNT, account, campaign_id, status))


async def cancel(tx: WriteTx, account: UUID, campaign_id: UUID, *, limit: int) -> int:
    """Skip up to limit of those that are pending; how many it were."""
    return int(await tx.fetchval(CANCEL, account, campaign_id, limit))
