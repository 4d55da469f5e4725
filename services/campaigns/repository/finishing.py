"""Queries of the ends: completing, settling the cancelled, removing the deleted; and of starting what is due."""

from datetime import datetime
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx

HAS_OPEN_CHUNK = "SELECT EXISTS (SELECT FROM chunks WHERE account_id = $1 AND campaign_id = $2 AND NOT done)"
FINISHED = """
SELECT c.account_id, c.id FROM campaigns AS c
WHERE c.status = 'running' AND NOT c.freezing AND c.deleted_at IS NULL AND NOT EXISTS (
  SELECT FROM chunks AS k WHERE k.account_id = c.account_id AND k.campaign_id = c.id AND NOT k.done)
ORDER BY c.id LIMIT 100
"""
UNSETTLED = """
SELECT account_id, id FROM campaigns WHERE status = 'cancelled' AND NOT settled AND deleted_at IS NULL
ORDER BY id LIMIT 100
"""
# Chunks that nobody works on, taken away from whoever comes back to them.
CLOSE_CHUNKS = """
UPDATE chunks AS k SET done = true, lease_generation = k.lease_generation + 1
FROM (
  SELECT chunk FROM chunks WHERE account_id = $1 AND campaign_id = $2 AND NOT done AND lease_until < now()
  ORDER BY chunk LIMIT $3 FOR UPDATE SKIP LOCKED
) AS picked
WHERE k.account_id = $1 AND k.campaign_id = $2 AND k.chunk = picked.chunk
RETURNING k.chunk
"""
# Whoever was attempted without an answer may have the message. $4, $5: the first and the last of the chunks, without
# which a planner that has no statistics would read the whole campaign.
CLOSE_RECIPIENTS = """
UPDATE recipients AS r SET state_revision = r.state_revision + 1,
  status = CASE WHEN r.unanswered_since IS NULL THEN 'skipped' ELSE 'uncertain' END,
  reason = CASE WHEN r.unanswered_since IS NULL THEN 'cancelled' ELSE 'no_answer' END
FROM unnest($3::integer[]) AS k (chunk)
WHERE r.account_id = $1 AND r.campaign_id = $2 AND r.chunk BETWEEN $4 AND $5 AND r.chunk = k.chunk
  AND r.status IN ('pending', 'claimed')
RETURNING r.status
"""
SETTLED = "UPDATE campaigns SET settled = true WHERE account_id = $1 AND id = $2"
DUE = """
SELECT account_id, id FROM campaigns
WHERE status = 'draft' AND status_reason = '' AND schedule_at <= now() AND deleted_at IS NULL
ORDER BY schedule_at LIMIT 100
"""
HOLD = """
UPDATE campaigns SET status_reason = $3, version = version + 1, updated_at = now() WHERE account_id = $1 AND id = $2
"""
# Paused because their provider failed, and due to be tried again.
BROKEN = """
SELECT c.account_id, c.id FROM campaigns AS c
JOIN runs AS r ON r.account_id = c.account_id AND r.campaign_id = c.id
WHERE c.status = 'paused' AND c.status_reason = 'provider_unavailable' AND c.deleted_at IS NULL
  AND r.resume_at <= now()
ORDER BY r.resume_at LIMIT 100
"""
IS_BREAK_OVER = "SELECT resume_at <= now() FROM runs WHERE account_id = $1 AND campaign_id = $2"
# Held until the commit: two that remove one campaign would each see only a part of its chunks.
DELETED = """
SELECT account_id, id, sender_id FROM campaigns WHERE deleted_at IS NOT NULL
ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
DELETE_CHUNKS = """
DELETE FROM chunks WHERE account_id = $1 AND campaign_id = $2 AND chunk IN (
  SELECT chunk FROM chunks WHERE account_id = $1 AND campaign_id = $2 ORDER BY chunk LIMIT $3)
RETURNING chunk
"""
DELETE_RECIPIENTS = """
DELETE FROM recipients AS r USING unnest($3::integer[]) AS k (chunk)
WHERE r.account_id = $1 AND r.campaign_id = $2 AND r.chunk BETWEEN $4 AND $5 AND r.chunk = k.chunk
RETURNING r.provider_message_id
"""
DELETE_NAMES = """
DELETE FROM provider_messages WHERE account_id = $1 AND sender_id = $2 AND provider_message_id = ANY ($3::text[])
"""
# Of what has no chunks: the few rows that are left. Nothing may outlive the campaign.
DELETE_REST = [
    "DELETE FROM recipients WHERE account_id = $1 AND campaign_id = $2",
    "DELETE FROM exclusions WHERE account_id = $1 AND campaign_id = $2",
    "DELETE FROM excluded_addresses WHERE account_id = $1 AND campaign_id = $2",
    "DELETE FROM upload_funnels WHERE account_id = $1 AND campaign_id = $2",
    "DELETE FROM budgets WHERE account_id = $1 AND owner_id = $2",
    "DELETE FROM runs WHERE account_id = $1 AND campaign_id = $2",
    "DELETE FROM chunk_states WHERE account_id = $1 AND campaign_id = $2",
    "DELETE FROM campaign_minutes WHERE account_id = $1 AND campaign_id = $2",
    "DELETE FROM campaign_stats WHERE account_id = $1 AND campaign_id = $2",
    "DELETE FROM campaigns WHERE account_id = $1 AND id = $2",
]


async def has_open_chunk(tx: ReadTx, account: UUID, campaign_id: UUID) -> bool:
    return bool(await tx.fetchval(HAS_OPEN_CHUNK, account, campaign_id))


async def finished(tx: ReadTx) -> list[asyncpg.Record]:
    return await tx.fetch(FINISHED)


async def unsettled(tx: ReadTx) -> list[asyncpg.Record]:
    return await tx.fetch(UNSETTLED)


async def close_chunks(tx: WriteTx, account: UUID, campaign_id: UUID, *, limit: int) -> list[str]:
    """The states that the recipients of up to limit chunks of a cancelled campaign ended in."""
    chunks = [row["chunk"] for row in await tx.fetch(CLOSE_CHUNKS, account, campaign_id, limit)]
    if not chunks:
        return []
    return [
        row["status"]
        for row in await tx.fetch(CLOSE_RECIPIENTS, account, campaign_id, chunks, min(chunks), max(chunks))
    ]


async def set_settled(tx: WriteTx, account: UUID, campaign_id: UUID) -> None:
    await tx.execute(SETTLED, account, campaign_id)


async def now(tx: ReadTx) -> datetime:
    """The database's clock: one for all replicas."""
    found = await tx.fetchval("SELECT now()")
    assert isinstance(found, datetime)
    return found


async def due(tx: ReadTx) -> list[asyncpg.Record]:
    return await tx.fetch(DUE)


async def hold(tx: WriteTx, account: UUID, campaign_id: UUID, *, reason: str) -> None:
    await tx.execute(HOLD, account, campaign_id, reason)


async def broken(tx: ReadTx) -> list[asyncpg.Record]:
    return await tx.fetch(BROKEN)


async def is_break_over(tx: ReadTx, account: UUID, campaign_id: UUID) -> bool:
    return bool(await tx.fetchval(IS_BREAK_OVER, account, campaign_id))


async def deleted(tx: WriteTx) -> asyncpg.Record | None:
    return await tx.fetchrow(DELETED)


async def remove_some(tx: WriteTx, campaign: asyncpg.Record, *, limit: int) -> bool:
    """Remove up to limit chunks of the ledger; False where none was left."""
    account, campaign_id = campaign["account_id"], campaign["id"]
    chunks = [row["chunk"] for row in await tx.fetch(DELETE_CHUNKS, account, campaign_id, limit)]
    if not chunks:
        return False
    rows = await tx.fetch(DELETE_RECIPIENTS, account, campaign_id, chunks, min(chunks), max(chunks))
    names = [row["provider_message_id"] for row in rows if row["provider_message_id"]]
    if names:
        await tx.execute(DELETE_NAMES, account, campaign["sender_id"], names)
    return True


async def remove_rest(tx: WriteTx, account: UUID, campaign_id: UUID) -> None:
    for statement in DELETE_REST:
        await tx.execute(statement, account, campaign_id)
