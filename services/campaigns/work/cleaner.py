"""Removes rows that nobody will ask for again."""

from datetime import timedelta

from chassis import idempotency, outbox
from chassis.db import Database
from services.campaigns.repository import inbound, receipts, uploads


async def clean(db: Database, kept: timedelta) -> bool:
    """kept: see Settings.retention."""
    async with db.across() as tx:
        await receipts.clean(tx, kept)
        await inbound.clean(tx, kept)
        await uploads.clean(tx, kept)
        await outbox.clean(tx.connection, kept)
        await idempotency.clean(tx.connection, kept)
    return False
