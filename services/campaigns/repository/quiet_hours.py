"""Queries on an account's quiet hours."""

from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from services.campaigns.domain.hours import QuietHours

GET = "SELECT start_minute, end_minute, timezone FROM quiet_hours WHERE account_id = $1"
SET = """
INSERT INTO quiet_hours (account_id, start_minute, end_minute, timezone) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id) DO UPDATE SET start_minute = excluded.start_minute, end_minute = excluded.end_minute,
  timezone = excluded.timezone
"""
CLEAR = "DELETE FROM quiet_hours WHERE account_id = $1"
# Chunks that wait for an hour which is another by now. Those that wait for a provider lose a few seconds.
LOOK_AGAIN = "UPDATE chunks SET due_at = 'epoch' WHERE account_id = $1 AND NOT done AND due_at > now()"


async def get(tx: ReadTx, account: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(GET, account)


async def put(tx: WriteTx, quiet: QuietHours | None) -> None:
    """None: there are none."""
    if quiet is None:
        await tx.execute(CLEAR, tx.account)
    else:
        await tx.execute(SET, tx.account, quiet.start, quiet.end, quiet.timezone)
    await tx.execute(LOOK_AGAIN, tx.account)
