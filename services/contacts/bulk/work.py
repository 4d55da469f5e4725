"""The worker of bulk jobs: chunk after chunk, each a transaction that writes contacts, events, counts and place.

A chunk holds its job's row, so that two workers never are on the same job, and a killed one loses the chunk in hand
and nothing else. After each chunk the job goes to the end of the queue.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from uuid import UUID

import asyncpg
import structlog

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.db import Database, WriteTx
from chassis.errors import Unavailable
from chassis.telemetry import with_remote_parent
from services.contacts import metrics
from services.contacts import repository as contacts
from services.contacts.bulk import repository, writing
from services.contacts.bulk.repository import Claim
from services.contacts.bulk.writing import Written
from services.contacts.listing import pages
from services.contacts.listing.filters import Filter
from services.contacts.lists import repository as lists

log = structlog.get_logger()

POLL_SECONDS = 1.0
CHUNK_CONTACTS = 1_000
# What passes by itself: the loop goes on at its next turn.
DATABASE_TROUBLE = (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
LIST_GONE = "A list that the change names was deleted meanwhile."
OUR_FAULT = "The change could not be carried on, by a fault on our side."


class BulkWorker:
    def __init__(
        self,
        db: Database,
        wake: asyncio.Event,
        *,
        read_filter: Callable[[pb.ListContactsRequest], Filter],
        chunk_contacts: int = CHUNK_CONTACTS,
    ) -> None:
        """wake: set when a job was queued; the poll is the safety net."""
        self._db = db
        self._wake = wake
        self._read_filter = read_filter
        self._chunk_contacts = chunk_contacts

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                worked = await self.run_once()
            except DATABASE_TROUBLE as trouble:
                log.warning("bulk.database_trouble", error=type(trouble).__name__)
                worked = False
            if not worked:
                await self._rest()

    async def _rest(self) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()

    async def run_once(self) -> bool:
        """One chunk of one job; False where there is none to do."""
        job: Claim | None = None
        try:
            with ExitStack() as trace:
                async with self._db.across() as tx:
                    job = await repository.claim(tx)
                    if job is None:
                        return False
                    trace.enter_context(with_remote_parent(job.traceparent))
                    written = await self._chunk(tx, job)
            count(written)
        except writing.ListsGone:
            assert job is not None
            await self._give_up(job, LIST_GONE)
        except asyncpg.DeadlockDetectedError:
            # An import holds a key of the one and waits for the other; it is rolled back and comes again.
            return True
        except Unavailable:
            raise
        except Exception:
            if job is None:
                raise
            log.exception("bulk.failed", job_id=ids.encode("job", job.id))
            await self._put_back(job)
        return True

    async def _chunk(self, tx: WriteTx, job: Claim) -> Written | None:
        """None where there was nobody left and the job ended."""
        found = await self._next(tx, job)
        if not found:
            await repository.finish(tx, job)
            return None
        if job.of_list is None:
            written = await writing.write(tx, job.account, found, change=job.change, bulk=True)
        else:
            locked = await contacts.lock_many(tx, job.account, found)
            written = await writing.write_locked(tx, job.account, locked, change=job.change, bulk=True)
        await repository.add_progress(
            tx,
            job,
            done_to=found[-1],
            changed=len(written.changed),
            unchanged=written.unchanged,
            failed=len(written.failed),
        )
        return written

    async def _next(self, tx: WriteTx, job: Claim) -> list[UUID]:
        """Contacts of the target below the last one dealt with, in descending order of ids."""
        if job.filter is None:
            assert job.of_list is not None
            return await lists.member_ids(tx, job.account, job.of_list, before=job.done_to, limit=self._chunk_contacts)
        wanted = self._read_filter(pb.ListContactsRequest.FromString(job.filter))
        after = None if job.done_to is None else (job.done_to,)
        page = await pages.page(tx, job.account, wanted, after=after, limit=self._chunk_contacts)
        return [hit.contact.id for hit in page]

    async def _put_back(self, job: Claim) -> None:
        async with self._db.across() as tx:
            again = await repository.put_back(tx, job)
        if not again:
            await self._give_up(job, OUR_FAULT)

    async def _give_up(self, job: Claim, error: str) -> None:
        async with self._db.across() as tx:
            await repository.finish(tx, job, error=error)
        metrics.BULK_JOBS.labels("failed").inc()


def count(written: Written | None) -> None:
    """Once it is committed. written: of a chunk, None of one that only ended its job."""
    if written is None:
        metrics.BULK_JOBS.labels("completed").inc()
        return
    metrics.BULK_CONTACTS.labels("changed").inc(len(written.changed))
    metrics.BULK_CONTACTS.labels("unchanged").inc(written.unchanged)
    metrics.BULK_CONTACTS.labels("failed").inc(len(written.failed))
