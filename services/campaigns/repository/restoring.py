"""Queries of what is done after a restore, over all accounts."""

from datetime import datetime

import asyncpg

from chassis.db import ReadTx, WriteTx
from chassis.restoring import LEAP

EVERY = """
SELECT account_id, id, status, freezing FROM campaigns WHERE deleted_at IS NULL ORDER BY account_id, id
"""
# A campaign at a time: a trigger holds all rows of a statement in memory, to count the states of chunks.
LEAP_LEDGER = f"""
UPDATE recipients SET state_revision = state_revision + {LEAP} WHERE account_id = $1 AND campaign_id = $2
"""
DOUBT = """
UPDATE recipients SET unanswered_since = least(unanswered_since, $3)
WHERE account_id = $1 AND campaign_id = $2 AND status IN ('pending', 'claimed')
"""


async def every(tx: ReadTx) -> list[asyncpg.Record]:
    return await tx.fetch(EVERY)


async def leap_ledger(tx: WriteTx, campaign: asyncpg.Record) -> None:
    await tx.execute(LEAP_LEDGER, campaign["account_id"], campaign["id"])


async def doubt(tx: WriteTx, campaign: asyncpg.Record, since: datetime) -> None:
    """Whoever is open may have been attempted since then."""
    await tx.execute(DOUBT, campaign["account_id"], campaign["id"], since)
