"""Takes away what has had its time: outbox rows, bulk jobs, files (72 h; unfinished 1 h), idempotency keys (24 h)."""

import asyncio
from datetime import timedelta

import asyncpg
import structlog

from chassis import idempotency, outbox
from chassis.db import Database
from chassis.errors import Unavailable
from services.contacts.bulk import repository as jobs
from services.contacts.exports import repository as exports
from services.contacts.imports import files
from services.contacts.suppressions import staging

log = structlog.get_logger()

INTERVAL_SECONDS = 300.0
KEPT = timedelta(hours=72)


class Cleaner:
    def __init__(self, db: Database, *, kept: timedelta = KEPT, interval: float = INTERVAL_SECONDS) -> None:
        """kept: see Settings.retention. interval: seconds between two looks."""
        self._db = db
        self._kept = kept
        self._interval = interval

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.run_once()
            except (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as trouble:
                log.warning("cleaner.database_trouble", error=type(trouble).__name__)
            await asyncio.sleep(self._interval)

    async def run_once(self) -> None:
        async with self._db.across() as tx:
            await outbox.clean(tx.connection, self._kept)
            await idempotency.clean(tx.connection, self._kept)
            await jobs.forget(tx, self._kept)
            await staging.clean(tx, self._kept)
            await exports.forget(tx)
        while dropped := await files.drop_expired(self._db, self._kept):
            log.info("cleaner.files_dropped", files=dropped)
