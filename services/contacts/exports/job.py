"""The export worker: takes a lease, writes the file piece by piece, and can be killed at any point.

Each piece commits its bytes with the position behind them, in a transaction that names the lease's generation. A
killed worker's export is taken up, when the lease ran out, behind its last piece. The file shows when it is whole.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import asyncpg
import structlog

from chassis import ids
from chassis.db import Database
from chassis.errors import NotFound, Unavailable
from chassis.telemetry import with_remote_parent
from services.contacts import metrics
from services.contacts.exports import repository
from services.contacts.exports.batch import Content
from services.contacts.exports.contents import Contents
from services.contacts.exports.repository import Lease, LeaseLost
from services.contacts.exports.workbook import Full

log = structlog.get_logger()

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 2.0
RETRY_SECONDS = 2.0
# An export that fails so often without a step forward fails for good.
ATTEMPTS = 5
CHUNK_BYTES = 1024 * 1024
# Progress is told at least after so many.
TOLD_ROWS = 50_000
KEPT = timedelta(hours=72)
GONE = "What was to be exported was deleted meanwhile."
OUR_FAULT = "The export could not be completed, by a fault on our side."
# What passes by itself: the loop goes on at its next turn.
DATABASE_TROUBLE = (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class ExportWorker:
    def __init__(
        self,
        db: Database,
        wake: asyncio.Event,
        *,
        contents: Contents,
        kept: timedelta = KEPT,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """wake: set when an export was queued; the poll is the safety net. kept: how long a file can be had."""
        self._db = db
        self._wake = wake
        self._contents = contents
        self._kept = kept
        self._chunk_bytes = chunk_bytes

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                worked = await self.run_once()
            except DATABASE_TROUBLE as trouble:
                log.warning("exports.database_trouble", error=type(trouble).__name__)
                worked = False
            if not worked:
                await self._rest()

    async def _rest(self) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()

    async def run_once(self) -> bool:
        """Works on one export until it ends; False where there is none to do."""
        async with self._db.across() as tx:
            lease = await repository.claim(tx)
        if lease is None:
            return False
        export_id = ids.encode("exp", lease.export_id)
        if lease.attempts > ATTEMPTS:
            # Those before were killed, all of them, or they would have given it up themselves.
            log.error("exports.given_up", export_id=export_id, attempts=lease.attempts)
            await self._give_back(lease)
            return True
        try:
            async with self._held(lease):
                with with_remote_parent(lease.traceparent):
                    await self._work(lease)
        except LeaseLost:
            log.warning("exports.lease_lost", export_id=export_id)
        except asyncio.CancelledError:
            await self._release(lease, after_seconds=0, tried=False)
            raise
        except Unavailable:
            raise
        except Exception:
            log.exception("exports.failed", export_id=export_id, attempts=lease.attempts)
            await self._give_back(lease)
        return True

    async def _work(self, lease: Lease) -> None:
        started = time.perf_counter()
        content = self._contents.open(lease)
        error = ""
        try:
            await self._write(lease, content)
        except Full:
            error = "The sheet is full: a workbook takes 1,048,575 records. Export to CSV instead."
        except NotFound:
            error = GONE
        finally:
            await content.drop()
        await self._finish(lease, error=error)
        metrics.EXPORT_SECONDS.observe(time.perf_counter() - started)

    async def _write(self, lease: Lease, content: Content) -> None:
        """Raises Full, NotFound."""
        position, begun = lease.position, lease.chunks > 0
        if not content.resumable:
            async with self._db.across() as tx:
                await repository.begin_anew(tx, lease)
            position, begun = "", False
        waiting, rows = bytearray(b"" if begun else content.head), 0
        while (batch := await content.after(position)) is not None:
            waiting += batch.data
            rows += batch.rows
            position = batch.position
            if len(waiting) >= self._chunk_bytes or rows >= TOLD_ROWS:
                await self._store(lease, waiting, rows=rows, position=position if content.resumable else None)
                waiting, rows = bytearray(), 0
        async for data in content.rest():
            await self._store(lease, data, rows=rows, position=None)
            rows = 0
        if waiting:
            await self._store(lease, waiting, rows=rows, position=position)

    async def _store(self, lease: Lease, data: bytes | bytearray, *, rows: int, position: str | None) -> None:
        view = memoryview(data)
        pieces = [bytes(view[at : at + self._chunk_bytes]) for at in range(0, len(data), self._chunk_bytes)]
        async with self._db.across() as tx:
            await repository.store(tx, lease, pieces, rows=rows, position=position)
        metrics.EXPORT_ROWS.inc(rows)

    async def _finish(self, lease: Lease, *, error: str) -> None:
        async with self._db.across() as tx:
            await repository.finish(tx, lease, error=error, kept=self._kept)
        metrics.EXPORTS.labels("failed" if error else "completed").inc()

    async def _give_back(self, lease: Lease) -> None:
        if lease.attempts < ATTEMPTS:
            await self._release(lease, after_seconds=RETRY_SECONDS)
            return
        with suppress(LeaseLost):
            await self._finish(lease, error=OUR_FAULT)

    async def _release(self, lease: Lease, *, after_seconds: float, tried: bool = True) -> None:
        # Where that fails the lease runs out by itself.
        with suppress(Unavailable):
            async with self._db.across() as tx:
                await repository.release(tx, lease, after_seconds=after_seconds, tried=tried)

    @asynccontextmanager
    async def _held(self, lease: Lease) -> AsyncIterator[None]:
        """The lease is renewed for the time of the block. A lost one shows at the next commit."""
        beat = asyncio.create_task(self._beat(lease))
        try:
            yield
        finally:
            beat.cancel()
            await asyncio.wait([beat])

    async def _beat(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                async with self._db.across() as tx:
                    await repository.heartbeat(tx, lease)
            except LeaseLost:
                return
            except Unavailable:
                log.warning("exports.heartbeat_failed")
