"""The budgets of domain.budget in the database: what the replicas share. One row a key, locked for one grant."""

from uuid import UUID

from chassis.db import Database, WriteTx
from chassis.ids import AccountId
from services.gateway.domain import budget
from services.gateway.domain.budget import Budget, Grant

# The database's clock, which is one for all replicas.
NOW = "extract(epoch FROM clock_timestamp())::float8"
LOCK = f"""
SELECT since, spent_until, {NOW} AS now FROM rate_budgets WHERE account_id = $1 AND key_id = $2 FOR UPDATE
"""
BEGIN = f"""
INSERT INTO rate_budgets (account_id, key_id, since, spent_until)
SELECT $1, $2, clock.now, clock.now FROM (SELECT {NOW} AS now) AS clock
ON CONFLICT DO NOTHING
"""
SPEND = "UPDATE rate_budgets SET since = $3, spent_until = $4 WHERE account_id = $1 AND key_id = $2"


async def take(db: Database, account: AccountId, key_id: UUID, *, per_second: int, wanted: int) -> Grant:
    """Raises Unavailable."""
    async with db.write(account) as tx:
        row = await tx.fetchrow(LOCK, account, key_id)
        if row is None:
            await tx.execute(BEGIN, account, key_id)
            row = await tx.fetchrow(LOCK, account, key_id)
        assert row is not None
        known = Budget(row["since"], row["spent_until"])
        got = budget.grant(known, now=row["now"], per_second=per_second, wanted=wanted)
        if got.granted:
            await spend(tx, account, key_id, got.budget)
    return got


async def spend(tx: WriteTx, account: AccountId, key_id: UUID, paid: Budget) -> None:
    await tx.execute(SPEND, account, key_id, paid.since, paid.spent_until)
