"""Takes away what has had its time: outbox rows (72 h) and idempotency keys (24 h)."""

import asyncio
from datetime import timedelta

import asyncpg
import structlog

from chassis import idempotency, outbox
from chassis.db import Database
from chassis.errors import CarillonError

log = structlog.get_logger()


class Cleaner:
    def __init__(self, db: Database, *, kept: timedelta, interval: float) -> None:
        """kept: see Settings.retention. interval: seconds between two looks."""
        self._db = db
        self._kept = kept
        self._interval = interval

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.run_once()
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("cleaner.database", error=type(error).__name__)
            await asyncio.sleep(self._interval)

    async def run_once(self) -> None:
        async with self._db.across() as tx:
            await outbox.clean(tx.connection, self._kept)
            await idempotency.clean(tx.connection, self._kept)
