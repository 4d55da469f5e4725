"""Hands chunks of running campaigns to as many senders as this process can keep busy, fairly between accounts, and
between the campaigns of each."""

import asyncio
from collections import Counter
from contextlib import suppress
from uuid import UUID

import asyncpg
import structlog

from chassis.db import Database
from chassis.errors import CarillonError
from chassis.stopping import GRACE_SECONDS
from services.campaigns import metrics
from services.campaigns.peers import Contacts
from services.campaigns.repository import dispatch as queries
from services.campaigns.sending_hours import hours
from services.campaigns.work.budget import Permits
from services.campaigns.work.chunk import BATCH, Chunk, Held
from services.campaigns.work.finishing import complete
from services.campaigns.work.polling import wait
from services.campaigns.work.sending import Sendings
from services.campaigns.work.slots import Slots

log = structlog.get_logger()


HEARTBEAT_SECONDS = 1.5
INTERVAL_SECONDS = 1.0
# A limited sender needs few chunks at a time: one for so many messages a second.
RATE_PER_CHUNK = 100


class Dispatcher:
    def __init__(
        self,
        db: Database,
        contacts: Contacts,
        sendings: Sendings,
        *,
        batches: int,
        chunks: int,
        woken: asyncio.Event,
        lease_seconds: float,
    ) -> None:
        """batches: whole micro-batches under way at once; chunks: leases held at once."""
        self._db = db
        self._contacts = contacts
        self._sendings = sendings
        self._slots = Slots(batches * BATCH)
        self._permits = Permits(db)
        self._batches = batches
        self._most = chunks
        self._woken = woken
        self._lease_seconds = lease_seconds
        self._held: dict[queries.Key, Held] = {}
        self._turn = UUID(int=0)

    async def run(self) -> None:
        heartbeat = asyncio.create_task(self._keep(), name="dispatch-heartbeat")
        try:
            while True:
                self._woken.clear()
                if not await self._fill():
                    await wait(self._woken, INTERVAL_SECONDS)
        finally:
            await self._finish()
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)

    async def _finish(self) -> None:
        """No new batches; those under way end, and what became of their calls is written down."""
        for held in self._held.values():
            held.lost = True
        self._slots.close()
        self._permits.close()
        tasks = [held.task for held in self._held.values() if held.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _fill(self) -> bool:
        """Lease what there is room for; False where nothing was leased."""
        if len(self._held) >= self._most:
            return False
        try:
            async with self._db.statement() as tx:
                ready = await queries.ready(tx)
            leased = False
            while (row := self._next(ready)) is not None:
                if await self._lease(row):
                    leased = True
                else:
                    ready.remove(row)
            return leased
        except CarillonError as error:
            log.warning("dispatch.interrupted", reason=error.reason)
        except Exception:
            # Whatever a database that goes away throws: the next look is in a second.
            log.exception("dispatch.failed")
        return False

    def _next(self, ready: list[asyncpg.Record]) -> asyncpg.Record | None:
        """The campaign that is to have the next chunk: of the account that holds the fewest, the one that holds the
        fewest, and of several the one behind that served last. None: there is no room, or none for any of them.
        """
        if len(self._held) >= self._most:
            return None
        of_accounts = Counter(account for account, _, _, _ in self._held)
        of_campaigns = Counter(campaign for _, campaign, _, _ in self._held)
        return min(
            (row for row in ready if of_campaigns[row["id"]] < self._share(row)),
            key=lambda row: (
                of_accounts[row["account_id"]],
                of_campaigns[row["id"]],
                row["id"] <= self._turn,
                row["id"],
            ),
            default=None,
        )

    def _share(self, row: asyncpg.Record) -> int:
        """How many chunks of a campaign are of use at once. One, until its provider that failed is seen to work."""
        if row["failed_rounds"]:
            return 1
        rates = [rate for rate in (row["sender_rate"], row["rate"]) if rate]
        # Twice the batches, so that one chunk's end does not leave a slot empty.
        most = self._batches * 2
        return min(most, 1 + min(rates) // RATE_PER_CHUNK) if rates else most

    async def _lease(self, row: asyncpg.Record) -> bool:
        account, campaign_id = row["account_id"], row["id"]
        async with self._db.statement() as tx:
            lease = await queries.lease(tx, account, campaign_id, seconds=self._lease_seconds)
        if lease is None:
            return False
        async with self._db.statement() as tx:
            context = await queries.context(tx, account, campaign_id)
        if context is None:
            return False
        self._turn = campaign_id
        held = Held(lease)
        self._held[lease.key] = held
        held.task = asyncio.create_task(self._work(held, context), name="dispatch-chunk")
        metrics.HELD.set(len(self._held))
        return True

    async def _work(self, held: Held, context: asyncpg.Record) -> None:
        try:
            chunk = Chunk(
                self._db,
                self._contacts,
                self._sendings.of(context),
                held,
                slots=self._slots,
                permits=self._permits,
                lease_seconds=self._lease_seconds,
                recovering=context["failed_rounds"] > 0,
                hours=hours(context),
            )
            if await chunk.run():
                await complete(self._db, held.lease.account, held.lease.campaign)
        except (CarillonError, asyncpg.PostgresError) as error:
            # The lease runs out, and the chunk is taken up again.
            log.warning("dispatch.chunk_interrupted", error=type(error).__name__)
        except Exception:
            log.exception("dispatch.chunk_failed")
        finally:
            del self._held[held.lease.key]
            metrics.HELD.set(len(self._held))
            self._woken.set()

    async def _keep(self) -> None:
        """Renews every lease held; one that was not renewed is another's."""
        while True:
            await asyncio.sleep(min(HEARTBEAT_SECONDS, self._lease_seconds / 3))
            held = dict(self._held)
            if not held:
                continue
            # Not renewed in time, a lease runs out: the fence holds all the same.
            with suppress(Exception):
                async with self._db.across() as tx:
                    ours = await queries.renew(tx, [one.lease for one in held.values()], seconds=self._lease_seconds)
                for key, one in held.items():
                    one.lost = one.lost or key not in ours
