"""Takes away what has had its time: outbox rows (72 h) and idempotency keys (24 h)."""

import asyncio

import asyncpg
import structlog

from chassis import idempotency, outbox
from chassis.db import Database
from chassis.errors import CarillonError

log = structlog.get_logger()

INTERVAL_SECONDS = 300.0


class Cleaner:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.run_once()
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("cleaner.database", error=type(error).__name__)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def run_once(self) -> None:
        async with self._db.across() as tx:
            await outbox.clean(tx.connection)
            await idempotency.clean(tx.connection)
