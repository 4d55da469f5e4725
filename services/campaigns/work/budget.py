"""Draws permits to send from the budgets of a sender and a campaign."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from chassis.db import Database
from services.campaigns.domain.budget import Budget, Grant, draw
from services.campaigns.repository import budgets as queries


async def acquire(db: Database, account: UUID, owners: Sequence[UUID], wanted: int) -> Grant:
    """owners: the sender, and the campaign, whose rates both hold."""
    async with db.across() as tx:
        rows = await queries.look(tx, account, owners)
        if len(rows) < len(owners):
            await queries.ensure(tx, account, owners)
            rows = await queries.look(tx, account, owners)
        grant = drawn(rows, wanted)
        # Waiting, or unlimited: nothing to write, and nobody to keep waiting for the rows.
        if grant.permits == 0 or not any(row["rate"] for row in rows):
            return grant
        rows = await queries.lock(tx, account, owners)
        grant = drawn(rows, wanted)
        if grant.permits:
            used = [row["owner_id"] for row in rows]
            await queries.spend(tx, account, dict(zip(used, grant.used_until, strict=True)))
        return grant


async def block(db: Database, account: UUID, owner: UUID, seconds: float) -> None:
    async with db.across() as tx:
        await queries.ensure(tx, account, [owner])
        await queries.block(tx, account, owner, seconds=seconds)


def drawn(rows: Sequence[asyncpg.Record], wanted: int) -> Grant:
    budgets = [Budget(row["rate"], row["used_until"], row["blocked_until"]) for row in rows]
    return draw(budgets, wanted, rows[0]["now"])
