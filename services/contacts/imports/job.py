"""The import worker: takes a lease, streams the file, commits chunk after chunk, and can be killed at any point.

A lease is held by heartbeat; every commit names its generation, so that a worker which lost the lease commits
nothing. A killed worker's import is taken up, when the lease ran out, behind its last committed chunk.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace

import asyncpg
import structlog

from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.outbox import Event
from chassis.telemetry import with_remote_parent
from formats.records import FAILED_ON_OUR_SIDE, Unreadable
from services.contacts import convert, metrics
from services.contacts.imports import batches, chunk, dry_runs, files, repository, sources
from services.contacts.imports.batches import Batch, halves
from services.contacts.imports.known import KnownRows
from services.contacts.imports.preview import is_row
from services.contacts.imports.rehearsal import Rehearsal
from services.contacts.imports.repository import Lease, LeaseLost
from services.contacts.imports.resolve import Outcome
from services.contacts.imports.rows import RowReader
from services.contacts.imports.way import Way

log = structlog.get_logger()

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 2.0
RETRY_SECONDS = 2.0
# After so long an import gives way where another account waits and has none under way.
TURN_SECONDS = 5.0
# A file that fails so often without a step forward fails for good.
ATTEMPTS = 5
# What passes by itself: the loop goes on at its next turn.
DATABASE_TROUBLE = (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
CONTENDED = (chunk.Overtaken, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError)


class GaveWay(Exception):
    """The import goes on later, behind its last committed chunk."""


class ImportWorker:
    def __init__(
        self,
        db: Database,
        wake: asyncio.Event,
        *,
        chunk_records: int = batches.CHUNK_RECORDS,
        turn_seconds: float = TURN_SECONDS,
        hasten: Callable[[], None] = lambda: None,
    ) -> None:
        """wake: set when an import was queued; the poll is the safety net. hasten: called while one is worked on."""
        self._db = db
        self._wake = wake
        self._chunk_records = chunk_records
        self._turn_seconds = turn_seconds
        self._hasten = hasten

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                worked = await self.run_once()
            except DATABASE_TROUBLE as trouble:
                log.warning("imports.database_trouble", error=type(trouble).__name__)
                worked = False
            if not worked:
                await self._rest()

    async def _rest(self) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()

    async def run_once(self) -> bool:
        """Works on one import until it ends or gives way; False where there is none to do."""
        async with self._db.across() as tx:
            lease = await repository.claim(tx)
        if lease is None:
            return False
        if lease.attempts > ATTEMPTS:
            # Those before were killed, all of them, or they would have given it up themselves.
            log.error("imports.given_up", import_id=ids.encode("imp", lease.import_id), attempts=lease.attempts)
            await self._give_back(lease)
            return True
        try:
            async with self._held(lease):
                with with_remote_parent(lease.plan.traceparent):
                    await self._work(lease)
        except GaveWay:
            await self._release(lease, after_seconds=0, tried=False)
        except LeaseLost:
            log.warning("imports.lease_lost", import_id=ids.encode("imp", lease.import_id))
        except asyncio.CancelledError:
            await self._release(lease, after_seconds=0, tried=False)
            raise
        except Unavailable:
            raise
        except Exception:
            log.exception("imports.failed", import_id=ids.encode("imp", lease.import_id), attempts=lease.attempts)
            await self._give_back(lease)
        return True

    async def _work(self, lease: Lease) -> None:
        if lease.status == "uploaded":
            await self._count(lease)
            return
        started = time.perf_counter()
        error = ""
        try:
            await (self._rehearse(lease) if lease.plan.dry_run else self._copy(lease))
        except Unreadable as unreadable:
            error = str(unreadable)
        await self._finish(lease, error=error)
        metrics.IMPORT_SECONDS.observe(time.perf_counter() - started)

    async def _copy(self, lease: Lease) -> None:
        """Reads ahead while batches are written. Raises GaveWay; Unreadable, behind what could be read."""
        reader = RowReader(lease.plan)
        way = Way()
        known = KnownRows(self._db, lease, reader, way)
        turn_ends = time.monotonic() + self._turn_seconds
        async with aclosing(self._batches(lease, known, way)) as read:
            async for batch in read:
                if known.mostly_new:
                    way.take()
                try:
                    known.learn(await self._commit(lease, reader, batch=batch, mostly_new=known.mostly_new, way=way))
                finally:
                    way.leave()
                if time.monotonic() >= turn_ends:
                    await self._give_way(lease)

    async def _rehearse(self, lease: Lease) -> None:
        """As `_copy`, and nothing is written but the counts. Does not give way, because it could not go on later."""
        lease = replace(lease, records_done=0)
        reader = RowReader(lease.plan)
        async with self._db.across() as rehearsing:
            rehearsal = Rehearsal(rehearsing, lease, reader=reader)
            await rehearsal.begin()
            async with self._db.across() as tx:
                await dry_runs.restart(tx, lease)
            way = Way()
            async with aclosing(self._batches(lease, KnownRows(self._db, lease, reader, way), way)) as read:
                async for batch in read:
                    failed = await rehearsal.chunk(batch.outcomes)
                    async with self._db.across() as tx:
                        await repository.add_errors(tx, lease, failed)
                        await dry_runs.count(tx, lease, rehearsal.counts, bytes_done=batch.bytes_done)

    def _batches(self, lease: Lease, known: KnownRows, way: Way) -> AsyncGenerator[Batch, None]:
        return batches.read_ahead(self._db, lease, known, way=way, chunk_records=self._chunk_records)

    async def _give_way(self, lease: Lease) -> None:
        """Raises GaveWay where another account waits for the first of its imports."""
        async with self._db.across() as tx:
            if await repository.starving(tx, lease):
                raise GaveWay

    async def _count(self, lease: Lease) -> None:
        """The rows of an uploaded file, before anybody decides what becomes of them."""
        rows = 0
        stored = files.read(self._db, lease.account, lease.file_id)
        with suppress(Unreadable):
            async with aclosing(sources.records(lease.plan, stored)) as slices:
                async for records, _ in slices:
                    rows += sum(number > lease.plan.skipped_records and is_row(cells) for number, cells in records)
                    await asyncio.sleep(0)
        async with self._db.across() as tx:
            await repository.counted(tx, lease, rows)

    async def _commit(self, lease: Lease, reader: RowReader, *, batch: Batch, mostly_new: bool, way: Way) -> Outcome:
        """Where others write the same keys at once the batch is parted, down to single rows that must get by."""
        waiting = deque([batch])
        lost = 0
        outcome = Outcome()
        while waiting:
            part = waiting.popleft()
            try:
                outcome = await chunk.commit(
                    self._db,
                    lease,
                    reader=reader,
                    outcomes=part.outcomes,
                    prepared=part.prepared,
                    records_done=part.records_done,
                    bytes_done=part.bytes_done,
                    contended=lost > 0,
                    mostly_new=mostly_new and not lost,
                    way=way,
                )
            except CONTENDED:
                lost += 1
                if lost > ATTEMPTS and len(part.outcomes) <= 1:
                    raise
                waiting.extendleft(reversed(halves(part)))
            else:
                metrics.count(outcome)
        return outcome

    async def _finish(self, lease: Lease, *, error: str) -> None:
        async with self._db.across() as tx:
            finished = await repository.finish(tx, lease, error=error)
            if finished.dry_run or lease.status != "running":
                return
            told = events_pb2.ImportCompleted(**{"import": convert.import_job(finished)})
            tx.add_events([Event("import.completed", lease.account, told.SerializeToString())])
        metrics.IMPORTS.labels(finished.status).inc()

    async def _give_back(self, lease: Lease) -> None:
        if lease.attempts < ATTEMPTS:
            await self._release(lease, after_seconds=RETRY_SECONDS)
            return
        with suppress(LeaseLost):
            await self._finish(lease, error=FAILED_ON_OUR_SIDE)

    async def _release(self, lease: Lease, *, after_seconds: float, tried: bool = True) -> None:
        try:
            async with self._db.across() as tx:
                await repository.release(tx, lease, after_seconds=after_seconds, tried=tried)
        except Unavailable:
            # The lease runs out by itself.
            pass

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
            # Short ones are not worth that others give way.
            self._hasten()
            try:
                async with self._db.across() as tx:
                    await repository.heartbeat(tx, lease)
            except LeaseLost:
                return
            except Unavailable:
                log.warning("imports.heartbeat_failed")
