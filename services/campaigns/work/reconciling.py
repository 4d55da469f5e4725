"""Holds the stored numbers of campaigns against their ledgers, and puts right what differs. Nothing ever should.

Compared in one snapshot, which holds nobody up: the numbers are committed with the lines that they count. What differs
is counted again behind the lock of the stats, which everybody who changes the ledger takes last.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog

from chassis.db import Database, ReadTx, WriteTx
from chassis.errors import CarillonError
from chassis.ids import AccountId
from services.campaigns import metrics
from services.campaigns.domain.stats import NAMES, TIMED, Stats
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import timelines as queries

log = structlog.get_logger()

POLL_SECONDS = 60.0
# A large ledger takes a second to read; so the loop is seldom busy for more than a part of the time.
REST = 9.0


@dataclass(frozen=True, slots=True)
class Checked:
    """A campaign that was looked at, and how many of its numbers were wrong, by what they are of."""

    account: AccountId
    campaign: UUID
    repaired: Counter[str]


class Reconciler:
    def __init__(self, db: Database, *, interval: timedelta) -> None:
        """db: of the work role. interval: between two looks at the same campaign."""
        self._db = db
        self._interval = interval

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            clock = asyncio.get_running_loop()
            began = clock.time()
            try:
                busy = await self.step()
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("reconcile.failed", error=type(error).__name__)
                busy = False
            rest = (clock.time() - began) * REST if busy else POLL_SECONDS
            await asyncio.sleep(rest * random.uniform(0.9, 1.1))

    async def step(self) -> bool:
        """The campaign whose turn it is; False where none is due."""
        async with self._db.across() as tx:
            due = await queries.claim(tx, interval=self._interval)
        if due is None:
            return False
        await self.check(AccountId(due["account_id"]), due["campaign_id"])
        return True

    async def everything(self, account: AccountId | None) -> AsyncIterator[Checked]:
        """Every campaign there is, of the account or of all."""
        after: tuple[UUID, UUID] | None = None
        while True:
            async with self._db.across() as tx:
                rows = await queries.some(tx, account, after)
            if not rows:
                return
            for row in rows:
                yield await self.check(AccountId(row["account_id"]), row["campaign_id"])
            after = rows[-1]["account_id"], rows[-1]["campaign_id"]

    async def check(self, account: AccountId, campaign_id: UUID) -> Checked:
        async with self._db.read(account, snapshot=True) as tx:
            wrong = await differences(tx, account, campaign_id)
            chunks = await queries.wrong_chunks(tx, account, campaign_id)
        if chunks:
            async with self._db.write(account) as writing:
                await queries.fix_chunks(writing, account, campaign_id, chunks)
        if wrong:
            async with self._db.write(account) as writing:
                wrong = await repair(writing, account, campaign_id)
        wrong += Counter(chunks=len(chunks))
        metrics.RECONCILED.inc()
        for what, number in wrong.items():
            metrics.REPAIRED.labels(what).inc(number)
            log.error("reconcile.repaired", what=what, number=number, campaign=str(campaign_id))
        return Checked(account, campaign_id, wrong)


async def differences(tx: ReadTx, account: AccountId, campaign_id: UUID) -> Counter[str]:
    """How many of the stats and the sums of the timeline are wrong. Nothing of a campaign that is gone."""
    stored = await campaign_queries.stats(tx, account, campaign_id)
    if stored is None:
        return Counter()
    counted = await campaign_queries.recount(tx, account, campaign_id)
    sums = await queries.sums(tx, account, campaign_id)
    return +Counter(
        stats=sum(stored[name] != counted[name] for name in NAMES),
        timeline=sum(sums[name] != counted[name] for name in TIMED),
    )


async def repair(tx: WriteTx, account: AccountId, campaign_id: UUID) -> Counter[str]:
    """How many were wrong, and are right now."""
    if await queries.lock_stats(tx, account, campaign_id) is None:
        return Counter()
    wrong = await differences(tx, account, campaign_id)
    counted = await campaign_queries.recount(tx, account, campaign_id)
    if wrong["stats"]:
        await queries.set_stats(tx, account, campaign_id, Stats(*(counted[name] for name in NAMES)))
    if wrong["timeline"]:
        sums = await queries.sums(tx, account, campaign_id)
        await queries.add(tx, account, campaign_id, [counted[name] - sums[name] for name in TIMED])
    return wrong
