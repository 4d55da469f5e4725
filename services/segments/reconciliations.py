"""Passes of reconciliation as work: an account's is leased for a step, fenced, and goes on where it was left."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self
from uuid import UUID

import asyncpg

from chassis.db import Database, WriteTx
from chassis.ids import AccountId
from services.segments.reconcile import Place

# A killed worker's account is taken up by another after so long. Above what a step takes.
LEASE = timedelta(seconds=30)

COLUMNS = "account_id, counting, position, lease_generation"
# One index look-up an account, however many contacts it has.
DISCOVER = """
WITH RECURSIVE accounts AS (
    (SELECT account_id FROM contacts_projection ORDER BY account_id LIMIT 1)
    UNION ALL
    SELECT (SELECT p.account_id FROM contacts_projection p WHERE p.account_id > a.account_id
        ORDER BY p.account_id LIMIT 1)
    FROM accounts a WHERE a.account_id IS NOT NULL
)
INSERT INTO reconciliations (account_id, next_at)
SELECT account_id, now() FROM (
    SELECT account_id FROM accounts WHERE account_id IS NOT NULL UNION SELECT account_id FROM rule_sets) AS known
ON CONFLICT DO NOTHING
"""
# Least recently worked on first, so that a small account does not wait for a large one.
CLAIM = f"""
UPDATE reconciliations SET lease_until = now() + $1, lease_generation = lease_generation + 1,
    started_at = coalesce(started_at, now())
WHERE account_id = (
    SELECT account_id FROM reconciliations
    WHERE next_at <= now() AND (lease_until IS NULL OR lease_until <= now())
    ORDER BY lease_until NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {COLUMNS}
"""
KNOW = "INSERT INTO reconciliations (account_id, next_at) VALUES ($1, now()) ON CONFLICT DO NOTHING"
BEGIN = f"""
UPDATE reconciliations SET lease_until = now() + $2, lease_generation = lease_generation + 1,
    next_at = least(next_at, now()), started_at = now(), counting = false, position = NULL
WHERE account_id = $1 AND (lease_until IS NULL OR lease_until <= now())
RETURNING {COLUMNS}
"""
ADVANCE = """
UPDATE reconciliations SET counting = $3, position = $4, lease_until = now() + $5
WHERE account_id = $1 AND lease_generation = $2
"""
FINISH = """
UPDATE reconciliations SET counting = false, position = NULL, started_at = NULL, lease_until = NULL,
    finished_at = now(), next_at = now() + $3
WHERE account_id = $1 AND lease_generation = $2
"""
ACCOUNTS = "SELECT account_id FROM reconciliations ORDER BY account_id"


class Lost(Exception):
    """The lease ran out, and somebody else goes on."""


@dataclass(frozen=True, slots=True)
class Pass:
    """An account's, as the worker that holds its lease sees it."""

    account: AccountId
    place: Place
    lease: int

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        place = Place(row["counting"], row["position"])
        return cls(AccountId(row["account_id"]), place, row["lease_generation"])


async def discover(db: Database) -> None:
    """Accounts that have contacts or segments here, and were not known."""
    async with db.across() as tx:
        await tx.execute(DISCOVER)


async def accounts(db: Database) -> list[AccountId]:
    async with db.across() as tx:
        return [AccountId(row["account_id"]) for row in await tx.fetch(ACCOUNTS)]


async def claim(db: Database) -> Pass | None:
    """One whose time has come, where it was left."""
    async with db.across() as tx:
        row = await tx.fetchrow(CLAIM, LEASE)
    return None if row is None else Pass.of(row)


async def begin(db: Database, account: AccountId) -> Pass | None:
    """From the first contact on; None while somebody else is at it."""
    async with db.write(account) as tx:
        await tx.execute(KNOW, account)
        row = await tx.fetchrow(BEGIN, account, LEASE)
    return None if row is None else Pass.of(row)


async def advance(db: Database, one: Pass, place: Place, *, keep: bool) -> Pass:
    """Record how far it is; keep the lease or leave it to whoever comes first. Raises Lost."""
    async with db.write(one.account) as tx:
        held = LEASE if keep else timedelta()
        await fenced(tx, ADVANCE, one.account, one.lease, place.counting, place.position, held)
    return Pass(one.account, place, one.lease)


async def finish(db: Database, one: Pass, *, again_in: timedelta) -> None:
    """Raises Lost."""
    async with db.write(one.account) as tx:
        await fenced(tx, FINISH, one.account, one.lease, again_in)


async def fenced(tx: WriteTx, sql: str, *args: UUID | int | bool | timedelta | None) -> None:
    if await tx.execute(sql, *args) == "UPDATE 0":
        raise Lost
