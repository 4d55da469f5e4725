"""The worker that undoes imports, a step a transaction: killed at any point, it has done whole steps."""

import asyncio
from contextlib import suppress

import asyncpg
import structlog

from chassis import ids
from chassis.db import Database
from chassis.errors import Unavailable
from services.contacts.erasure.hashing import AddressHash
from services.contacts.imports import undo

log = structlog.get_logger()

POLL_SECONDS = 1.0
STEP_CONTACTS = 500
DATABASE_TROUBLE = (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class UndoWorker:
    def __init__(
        self, db: Database, wake: asyncio.Event, hashes: AddressHash, *, step_contacts: int = STEP_CONTACTS
    ) -> None:
        """wake: set when an undo was asked for; the poll is the safety net."""
        self._db = db
        self._wake = wake
        self._hashes = hashes
        self._step_contacts = step_contacts

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                worked = await self.run_once()
            except DATABASE_TROUBLE as trouble:
                log.warning("undo.database_trouble", error=type(trouble).__name__)
                worked = False
            if not worked:
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()

    async def run_once(self) -> bool:
        """One step of one import; False where there is none to do."""
        held: undo.Claim | None = None
        try:
            async with self._db.across() as tx:
                held = await undo.claim(tx)
                if held is None:
                    return False
                await undo.step(tx, held, hashes=self._hashes, limit=self._step_contacts)
        except asyncpg.DeadlockDetectedError:
            # Somebody else changes the same contacts; it is rolled back and comes again.
            return True
        except Unavailable:
            raise
        except Exception:
            if held is None:
                raise
            log.exception("undo.failed", import_id=ids.encode("imp", held.import_id))
            async with self._db.across() as tx:
                await undo.put_back(tx, held)
        return True
