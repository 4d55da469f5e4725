"""Writes a started campaign's audience to the ledger: who it is sent to is settled here, once.

Segments or contacts stream whom it names; each page of 500 is held against contacts, then some of them are committed
together, with their part of the stats, while the next are read and asked about. A killed job is taken up by another
when its lease runs out: it streams again and the ledger's keys keep what is there. Whoever is left out is kept in
`exclusions` with the reason, and is no recipient: `total` counts only those whom the campaign means to reach. Uploaded
recipients are on the ledger already; members of excluded segments among them are skipped.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

import asyncpg
import structlog

from chassis import ids
from chassis.db import Database
from chassis.errors import CarillonError, FailedPrecondition, NotFound
from chassis.ids import AccountId
from services.campaigns import contents, convert, lifecycle, metrics
from services.campaigns.domain.audience import Audience, Channel
from services.campaigns.domain.campaign import Hold, Status
from services.campaigns.domain.id_set import IdSet
from services.campaigns.domain.recipient import Reason
from services.campaigns.domain.stats import Stats
from services.campaigns.peers import Audiences, Contacts, Page
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import freezing as queries
from services.campaigns.sifting import Sieve, Sifted, address_of, contact_id_of
from services.campaigns.work.sifting_ahead import together

log = structlog.get_logger()

LEASE_SECONDS = 6.0
HEARTBEAT_SECONDS = 1.5
RETRY_SECONDS = 5.0
CHUNK_SIZE = 500


class Lost(Exception):
    """The lease is another's, or the campaign was paused or cancelled."""


class Gone(Exception):
    """What the audience is made of is not there any more, or cannot be had."""

    def __init__(self, hold: Hold) -> None:
        super().__init__(hold.value)
        self.hold = hold


class Freezer:
    def __init__(self, db: Database, contacts: Contacts, audiences: Audiences, *, wake: Callable[[], None]) -> None:
        """wake: tells dispatchers that an audience is frozen."""
        self._db = db
        self._contacts = contacts
        self._audiences = audiences
        self._wake = wake

    async def step(self) -> bool:
        """Freeze one audience; False where there is none to freeze."""
        async with self._db.across() as tx:
            job = await queries.claim(tx, lease_seconds=LEASE_SECONDS)
        if job is None:
            return False
        heartbeat = asyncio.create_task(self._keep(job), name="freeze-heartbeat")
        try:
            await self._freeze(job)
            # It and the end would each hold what the other waits for.
            await stopped(heartbeat)
            await self._finish(job)
        except Gone as gone:
            await self._give_up(job, gone.hold)
        except Lost:
            log.info("freeze.lost", campaign=ids.encode(convert.CAMPAIGN, job["campaign_id"]))
        except CarillonError as error:
            log.warning("freeze.interrupted", reason=error.reason)
            async with self._db.across() as tx:
                await queries.release(tx, job, seconds=RETRY_SECONDS)
        finally:
            await stopped(heartbeat)
        return True

    async def _freeze(self, job: asyncpg.Record) -> None:
        audience = campaign_queries.audience(job)
        if audience.is_uploaded:
            await self._skip_excluded(job, audience)
            return
        account, channel = AccountId(job["account_id"]), Channel(job["channel"])
        names = contents.text(contents.of_campaign(job)).variables
        excluded = await self._excluded(account, audience)
        sieve = Sieve(self._contacts, account, channel=channel, names=names, excluded=excluded)
        sieve.erasures = job["erasures"]
        hold = Hold.LIST_NOT_FOUND if audience.list_id is not None else Hold.SEGMENT_NOT_FOUND
        pages = known(self._audiences.members(account, audience), hold)
        async with aclosing(together(pages, sieve.sift)) as sifted:
            async for page in sifted:
                await self._write(job, sieve, page)

    async def _excluded(self, account: AccountId, audience: Audience) -> IdSet:
        found = IdSet()
        for segment_id in audience.exclude_segment_ids:
            async for members in known(self._audiences.segments.members(account, segment_id), Hold.SEGMENT_NOT_FOUND):
                found.add(contact_id_of(member) for member in members)
        return found

    async def _skip_excluded(self, job: asyncpg.Record, audience: Audience) -> None:
        """Take uploaded addresses of members of excluded segments out, page by page."""
        account, channel = AccountId(job["account_id"]), Channel(job["channel"])
        for segment_id in audience.exclude_segment_ids:
            async for members in known(self._audiences.segments.members(account, segment_id), Hold.SEGMENT_NOT_FOUND):
                addresses = [address for member in members if (address := address_of(member, channel))]
                async with self._db.across() as tx:
                    if await queries.hold(tx, job) is None:
                        raise Lost
                    skipped = await queries.skip_excluded(tx, account, job["campaign_id"], addresses)
                    delta = Stats(pending=-skipped, skipped=skipped)
                    await campaign_queries.add_stats(tx, account, job["campaign_id"], delta=delta)

    async def _finish(self, job: asyncpg.Record) -> None:
        async with self._db.across() as tx:
            if await queries.hold(tx, job) is None:
                raise Lost
            await queries.finish(tx, job["account_id"], job["campaign_id"])
        self._wake()

    async def _write(self, job: asyncpg.Record, sieve: Sieve, page: Sifted) -> None:
        account, campaign_id = job["account_id"], job["campaign_id"]
        async with self._db.across() as tx:
            erasures = await queries.hold(tx, job)
            if erasures is None:
                raise Lost
            if erasures != page.erasures:
                # Who of the page was deleted since contacts was asked may be what the ledger heard of. Under the lock,
                # so that it hears of no more until the page is written: deletions may come in a stream.
                sieve.erasures = erasures
                page = await sieve.again(page)
            added = await queries.add(tx, account, campaign_id, page.kept, chunk_size=CHUNK_SIZE)
            # What was neither added nor is there by its contact has an address that is there.
            asked = (*page.kept, *page.doubles)
            doubles = {c.contact_id: str(Reason.DUPLICATE) for c in asked if c.contact_id not in added}
            left_out = page.left_out | doubles
            if job["freeze_generation"] > 1:
                for contact_id in await queries.written(tx, account, campaign_id, left_out):
                    del left_out[contact_id]
                await queries.include(tx, account, campaign_id, added)
            await queries.exclude(tx, account, campaign_id, left_out)
            delta = Stats(total=len(added), pending=len(added))
            await campaign_queries.add_stats(tx, account, campaign_id, delta=delta)
        metrics.MEMBERS.labels("added").inc(len(added))
        for reason in page.left_out.values():
            metrics.MEMBERS.labels(reason).inc()
        metrics.MEMBERS.labels(Reason.DUPLICATE).inc(len(page.doubles))

    async def _give_up(self, job: asyncpg.Record, reason: Hold) -> None:
        """Pause, with the reason, so that a person decides."""
        account, campaign_id = job["account_id"], job["campaign_id"]
        async with self._db.across() as tx:
            row = await campaign_queries.lock(tx, account, campaign_id)
            if row is None or row["status"] != Status.RUNNING:
                return
            await lifecycle.pause(tx, row, reason)

    async def _keep(self, job: asyncpg.Record) -> None:
        """Renews the lease while segments is still building, or slow; pages are fenced by themselves."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            with suppress(CarillonError, asyncpg.PostgresError):
                async with self._db.across() as tx:
                    if not await queries.renew(tx, job, lease_seconds=LEASE_SECONDS):
                        return


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def known(pages: AsyncGenerator[Page], missing: Hold) -> AsyncGenerator[Page]:
    """The pages. Raises Gone where what they are of is missing, or cannot be built."""
    async with aclosing(pages):
        try:
            async for page in pages:
                yield page
        except NotFound as error:
            raise Gone(missing) from error
        except FailedPrecondition as error:
            raise Gone(Hold.SEGMENT_FAILED) from error
