"""Takes away what has had its time: outbox rows, bulk jobs, files (72 h; unfinished 1 h), idempotency keys (24 h)."""

import asyncio

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


class Cleaner:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.run_once()
            except (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as trouble:
                log.warning("cleaner.database_trouble", error=type(trouble).__name__)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def run_once(self) -> None:
        async with self._db.across() as tx:
            await outbox.clean(tx.connection)
            await idempotency.clean(tx.connection)
            await jobs.forget(tx)
            await staging.clean(tx)
            await exports.forget(tx)
        while dropped := await files.drop_expired(self._db):
            log.info("cleaner.files_dropped", files=dropped)
