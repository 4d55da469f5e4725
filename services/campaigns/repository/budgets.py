"""Queries on the budgets that senders and campaigns share between replicas."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx

ENSURE = """
INSERT INTO budgets (account_id, owner_id) SELECT $1, * FROM unnest($2::uuid[]) ON CONFLICT DO NOTHING
"""
# Rates are read where they are set, so that a change takes effect with the next block.
SELECT = """
SELECT b.owner_id, b.used_until, b.blocked_until, b.slowed_to, b.slowed_at, clock_timestamp() AS now,
  coalesce(s.rate_limit_per_second, c.rate_limit_per_second, 0) AS rate
FROM budgets AS b
LEFT JOIN senders AS s ON s.account_id = b.account_id AND s.id = b.owner_id
LEFT JOIN campaigns AS c ON c.account_id = b.account_id AND c.id = b.owner_id
WHERE b.account_id = $1 AND b.owner_id = ANY ($2::uuid[])
ORDER BY b.owner_id
"""
SPEND = """
UPDATE budgets AS b SET used_until = t.used_until
FROM unnest($2::uuid[], $3::timestamptz[]) AS t (owner_id, used_until)
WHERE b.account_id = $1 AND b.owner_id = t.owner_id
"""
BLOCK = """
UPDATE budgets SET blocked_until = greatest(blocked_until, now() + $3 * interval '1 s'),
  slowed_to = coalesce($4, slowed_to), slowed_at = CASE WHEN $4 IS NULL THEN slowed_at ELSE $5 END
WHERE account_id = $1 AND owner_id = $2
"""


async def ensure(tx: WriteTx, account: UUID, owners: Sequence[UUID]) -> None:
    await tx.execute(ENSURE, account, owners)


async def look(tx: ReadTx, account: UUID, owners: Sequence[UUID]) -> list[asyncpg.Record]:
    return await tx.fetch(SELECT, account, owners)


async def lock(tx: WriteTx, account: UUID, owners: Sequence[UUID]) -> list[asyncpg.Record]:
    return await tx.fetch(SELECT + " FOR UPDATE OF b", account, owners)


async def spend(tx: WriteTx, account: UUID, used_until: dict[UUID, datetime]) -> None:
    await tx.execute(SPEND, account, list(used_until), list(used_until.values()))


async def block(
    tx: WriteTx, account: UUID, owner: UUID, *, seconds: float, slowed_to: float | None, now: datetime
) -> None:
    """A provider's Retry-After. slowed_to: the pace from now on; None: as it is."""
    await tx.execute(BLOCK, account, owner, seconds, slowed_to, now)
