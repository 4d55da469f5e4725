"""Removes rows that nobody will ask for again."""

from chassis import idempotency, outbox
from chassis.db import Database
from services.campaigns.repository import receipts, uploads


async def clean(db: Database) -> bool:
    async with db.across() as tx:
        await receipts.clean(tx)
        await uploads.clean(tx)
        await outbox.clean(tx.connection)
        await idempotency.clean(tx.connection)
    return False
