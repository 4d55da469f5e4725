"""The import worker: takes a lease, streams the file, commits chunk after chunk, and can be killed at any point.

A lease is held by heartbeat; every commit names its generation, so that a worker which lost the lease commits
nothing. A killed worker's import is taken up, when the lease ran out, behind its last committed chunk.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace

import asyncpg
import structlog

from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.outbox import Event
from chassis.telemetry import with_remote_parent
from formats.records import FAILED_ON_OUR_SIDE, Record, Unreadable
from services.contacts import convert, metrics
from services.contacts.imports import chunk, dry_runs, files, repository, sources
from services.contacts.imports.known import KnownRows
from services.contacts.imports.preview import is_row
from services.contacts.imports.rehearsal import Rehearsal
from services.contacts.imports.repository import Lease, LeaseLost
from services.contacts.imports.resolve import Outcome
from services.contacts.imports.rows import Read, RowReader

log = structlog.get_logger()

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 2.0
RETRY_SECONDS = 2.0
# After so long an import gives way where another account waits and has none under way.
TURN_SECONDS = 5.0
# A file that fails so often without a step forward fails for good.
ATTEMPTS = 5
CHUNK_RECORDS = 2_500
# Bounds the memory of a chunk whose rows are large.
CHUNK_BYTES = 4 * 1024 * 1024
# Batches that wait to be written: while the database works, rows are read.
READ_AHEAD = 2
# What passes by itself: the loop goes on at its next turn.
DATABASE_TROUBLE = (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
CONTENDED = (chunk.Overtaken, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError)


class GaveWay(Exception):
    """The import goes on later, behind its last committed chunk."""


@dataclass(slots=True)
class Batch:
    """Rows read, not yet written: one outcome a record."""

    outcomes: list[Read]
    # Behind its last record.
    records_done: int
    bytes_done: int


class ImportWorker:
    def __init__(
        self,
        db: Database,
        wake: asyncio.Event,
        *,
        chunk_records: int = CHUNK_RECORDS,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        """wake: set when an import was queued; the poll is the safety net."""
        self._db = db
        self._wake = wake
        self._chunk_records = chunk_records
        self._turn_seconds = turn_seconds

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
        known = KnownRows(self._db, lease, reader)
        turn_ends = time.monotonic() + self._turn_seconds
        async with aclosing(ahead(self._batches(lease, known), READ_AHEAD)) as batches:
            async for batch in batches:
                known.learn(await self._commit(lease, reader, batch=batch))
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
            rows = self._batches(lease, KnownRows(self._db, lease, reader))
            async with aclosing(ahead(rows, READ_AHEAD)) as batches:
                async for batch in batches:
                    failed = await rehearsal.chunk(batch.outcomes)
                    async with self._db.across() as tx:
                        await repository.add_errors(tx, lease, failed)
                        await dry_runs.count(tx, lease, rehearsal.counts, bytes_done=batch.bytes_done)

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

    async def _commit(self, lease: Lease, reader: RowReader, *, batch: Batch) -> Outcome:
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
                    records_done=part.records_done,
                    bytes_done=part.bytes_done,
                )
            except CONTENDED:
                lost += 1
                if lost > ATTEMPTS and len(part.outcomes) <= 1:
                    raise
                waiting.extendleft(reversed(halves(part)))
            else:
                metrics.count(outcome)
        return outcome

    async def _batches(self, lease: Lease, known: KnownRows) -> AsyncGenerator[Batch, None]:
        """Raises Unreadable behind the last row that could be read."""
        batch = Batch([], max(lease.records_done, lease.plan.skipped_records), 0)
        size = 0
        unread: list[Record] = []
        broken_off: Unreadable | None = None
        try:
            stored = files.read(self._db, lease.account, lease.file_id)
            async with aclosing(sources.records(lease.plan, stored, behind=batch.records_done)) as slices:
                async for records, fed in slices:
                    fresh = [record for record in records if record[0] > batch.records_done]
                    batch.records_done += len(fresh)
                    batch.bytes_done = fed
                    size += sum(map(weight, fresh))
                    unread += fresh
                    if len(unread) >= self._chunk_records or size >= CHUNK_BYTES:
                        batch.outcomes, unread, size = await known.read(unread), [], 0
                        yield batch
                        batch = Batch([], batch.records_done, fed)
                    await asyncio.sleep(0)
        except Unreadable as unreadable:
            broken_off = unreadable
        if unread:
            batch.outcomes = await known.read(unread)
            yield batch
        if broken_off is not None:
            raise broken_off

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
            try:
                async with self._db.across() as tx:
                    await repository.heartbeat(tx, lease)
            except LeaseLost:
                return
            except Unavailable:
                log.warning("imports.heartbeat_failed")


async def ahead(source: AsyncGenerator[Batch, None], most: int) -> AsyncGenerator[Batch, None]:
    """What the source yields, up to `most` of it made before it is asked for; then its error, if it has one."""
    made: asyncio.Queue[Batch | Exception | None] = asyncio.Queue(most)

    async def make() -> None:
        async with aclosing(source):
            try:
                async for batch in source:
                    await made.put(batch)
            except Exception as error:
                await made.put(error)
            else:
                await made.put(None)

    making = asyncio.create_task(make())
    try:
        while (batch := await made.get()) is not None:
            if isinstance(batch, Exception):
                raise batch
            yield batch
    finally:
        making.cancel()
        await asyncio.wait([making])


def halves(batch: Batch) -> Sequence[Batch]:
    """The batch in two, so that each can be committed by itself; one record stays as it is."""
    middle = len(batch.outcomes) // 2
    if not middle:
        return [batch]
    first = Batch(batch.outcomes[:middle], batch.records_done - (len(batch.outcomes) - middle), batch.bytes_done)
    return [first, Batch(batch.outcomes[middle:], batch.records_done, batch.bytes_done)]


def weight(record: Record) -> int:
    cells = record[1]
    return sum(map(len, cells)) if isinstance(cells, list) else 0
