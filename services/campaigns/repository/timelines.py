"""Queries on the stats minute by minute, and those that hold the numbers against the ledger."""

from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from services.campaigns.domain.stats import TIMED, Stats

PAGE = """
SELECT * FROM campaign_minutes WHERE account_id = $1 AND campaign_id = $2 AND minute > $3 ORDER BY minute LIMIT $4
"""
SUMS = f"""
SELECT {", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in TIMED)}
FROM campaign_minutes WHERE account_id = $1 AND campaign_id = $2
"""
ADD = f"""
INSERT INTO campaign_minutes AS m (account_id, campaign_id, minute, {", ".join(TIMED)})
VALUES ($1, $2, date_trunc('minute', now()), {", ".join(f"${at}" for at in range(3, 3 + len(TIMED)))})
ON CONFLICT (account_id, campaign_id, minute) DO UPDATE SET
  {", ".join(f"{name} = m.{name} + excluded.{name}" for name in TIMED)}
"""
LOCK_STATS = "SELECT * FROM campaign_stats WHERE account_id = $1 AND campaign_id = $2 FOR UPDATE"
SET_STATS = """
UPDATE campaign_stats SET total = $3, sent = $4, delivered = $5, failed = $6, pending = $7, skipped = $8,
  uncertain = $9, opened = $10, clicked = $11
WHERE account_id = $1 AND campaign_id = $2
"""
# Chunks whose states are not what the ledger holds; those without recipients have none.
WRONG_CHUNKS = """
WITH counted AS (
  SELECT chunk, status, count(*) AS n FROM recipients WHERE account_id = $1 AND campaign_id = $2 GROUP BY 1, 2
), stored AS (
  SELECT s.chunk, k.status, k.n FROM chunk_states AS s CROSS JOIN LATERAL (VALUES ('pending', s.pending),
    ('claimed', s.claimed), ('sent', s.sent), ('delivered', s.delivered), ('opened', s.opened),
    ('clicked', s.clicked), ('failed', s.failed), ('skipped', s.skipped), ('uncertain', s.uncertain)
  ) AS k (status, n) WHERE s.account_id = $1 AND s.campaign_id = $2 AND k.n <> 0
)
SELECT DISTINCT chunk FROM counted FULL JOIN stored USING (chunk, status) WHERE counted.n IS DISTINCT FROM stored.n
ORDER BY chunk
"""
# Who changes recipients of a chunk holds its row, or waits for it before the change can be seen.
HOLD_CHUNKS = """
INSERT INTO chunk_states AS s (account_id, campaign_id, chunk)
SELECT $1, $2, chunk FROM unnest($3::integer[]) AS k (chunk) ORDER BY chunk
ON CONFLICT (account_id, campaign_id, chunk) DO UPDATE SET pending = s.pending
"""
FIX_CHUNKS = """
INSERT INTO chunk_states (account_id, campaign_id, chunk, pending, claimed, sent, delivered, opened, clicked, failed,
  skipped, uncertain)
SELECT $1, $2, k.chunk, count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'claimed'),
  count(*) FILTER (WHERE status = 'sent'), count(*) FILTER (WHERE status = 'delivered'),
  count(*) FILTER (WHERE status = 'opened'), count(*) FILTER (WHERE status = 'clicked'),
  count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'skipped'),
  count(*) FILTER (WHERE status = 'uncertain')
FROM unnest($3::integer[]) AS k (chunk)
LEFT JOIN recipients AS r ON r.account_id = $1 AND r.campaign_id = $2 AND r.chunk = k.chunk
GROUP BY k.chunk ORDER BY k.chunk
ON CONFLICT (account_id, campaign_id, chunk) DO UPDATE SET pending = excluded.pending, claimed = excluded.claimed,
  sent = excluded.sent, delivered = excluded.delivered, opened = excluded.opened, clicked = excluded.clicked,
  failed = excluded.failed, skipped = excluded.skipped, uncertain = excluded.uncertain
"""
# Whose turn it is: not looked at for the longest. Taken by saying that it was looked at.
CLAIM = """
UPDATE campaign_stats AS s SET reconciled_at = now() FROM (
  SELECT account_id, campaign_id FROM campaign_stats WHERE reconciled_at < now() - $1::interval
  ORDER BY reconciled_at LIMIT 1 FOR UPDATE SKIP LOCKED
) AS due
WHERE s.account_id = due.account_id AND s.campaign_id = due.campaign_id RETURNING s.account_id, s.campaign_id
"""
ALL = """
SELECT account_id, campaign_id FROM campaign_stats
WHERE ($1::uuid IS NULL OR account_id = $1) AND ($2::uuid IS NULL OR (account_id, campaign_id) > ($2, $3))
ORDER BY account_id, campaign_id LIMIT 100
"""


async def page(tx: ReadTx, account: UUID, campaign_id: UUID, *, after: datetime, size: int) -> list[asyncpg.Record]:
    """Oldest first."""
    return await tx.fetch(PAGE, account, campaign_id, after, size)


async def sums(tx: ReadTx, account: UUID, campaign_id: UUID) -> asyncpg.Record:
    row = await tx.fetchrow(SUMS, account, campaign_id)
    assert row is not None
    return row


async def add(tx: WriteTx, account: UUID, campaign_id: UUID, numbers: list[int]) -> None:
    """To the current minute; in the order of TIMED."""
    await tx.execute(ADD, account, campaign_id, *numbers)


async def lock_stats(tx: WriteTx, account: UUID, campaign_id: UUID) -> asyncpg.Record | None:
    """Nobody who changes the ledger can commit until the end of this transaction, since the stats come last."""
    return await tx.fetchrow(LOCK_STATS, account, campaign_id)


async def set_stats(tx: WriteTx, account: UUID, campaign_id: UUID, stats: Stats) -> None:
    await tx.execute(SET_STATS, account, campaign_id, *stats.values())


async def wrong_chunks(tx: ReadTx, account: UUID, campaign_id: UUID) -> list[int]:
    return [row["chunk"] for row in await tx.fetch(WRONG_CHUNKS, account, campaign_id)]


async def fix_chunks(tx: WriteTx, account: UUID, campaign_id: UUID, chunks: list[int]) -> None:
    """Apart from what holds the stats: those are locked behind the chunks."""
    await tx.execute(HOLD_CHUNKS, account, campaign_id, chunks)
    await tx.execute(FIX_CHUNKS, account, campaign_id, chunks)


async def claim(tx: WriteTx, *, interval: timedelta) -> asyncpg.Record | None:
    return await tx.fetchrow(CLAIM, interval)


async def some(tx: ReadTx, account: UUID | None, after: tuple[UUID, UUID] | None) -> list[asyncpg.Record]:
    """Up to 100 campaigns behind the one given, of the account or of all."""
    return await tx.fetch(ALL, account, *(after or (None, None)))
