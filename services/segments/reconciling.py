"""Who reconciles: a slow loop in every worker, and the command, for one account at once."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import structlog

from chassis.db import Database
from chassis.errors import CarillonError
from chassis.ids import AccountId
from services.segments import reconciliations
from services.segments.evaluation import MAX_BATCH
from services.segments.reconcile import Reconciler, Step
from services.segments.reconciliations import Lost, Pass

log = structlog.get_logger()

POLL_SECONDS = 60.0
# Of somebody else's step.
WAIT_SECONDS = 0.2
# So that accounts that were made together do not stay together.
SPREAD = 0.1


class Reconciliation:
    def __init__(self, db: Database, reconciler: Reconciler, *, interval: timedelta, pause: float) -> None:
        """interval: between an account's passes. pause: seconds behind 500 contacts with which all was well."""
        self._db = db
        self._reconciler = reconciler
        self._interval = interval
        self._pause = pause

    async def run(self) -> None:
        """Until cancelled. What a step cannot do, because something is not there, comes again."""
        while True:
            try:
                rest = await self.run_once()
            except Lost:
                rest = 0.0
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("reconcile.failed", error=type(error).__name__)
                rest = POLL_SECONDS
            await asyncio.sleep(rest)

    async def run_once(self) -> float:
        """A step of whoever's time has come; for how many seconds to rest then. Raises Lost and chassis.errors."""
        claimed = await reconciliations.claim(self._db)
        if claimed is None:
            await reconciliations.discover(self._db)
            claimed = await reconciliations.claim(self._db)
        if claimed is None:
            return POLL_SECONDS
        step = await self._reconciler.step(claimed.account, claimed.place)
        await self._keep(claimed, step, hold=False)
        return 0.0 if step.repaired else self._pause * step.contacts / MAX_BATCH

    async def whole(self, account: AccountId) -> AsyncIterator[Step]:
        """A pass from the beginning, at once, and nobody else's meanwhile. Raises Lost and chassis.errors."""
        following = await self._begin(account)
        while following is not None:
            step = await self._reconciler.step(account, following.place)
            following = await self._keep(following, step, hold=True)
            yield step

    async def _begin(self, account: AccountId) -> Pass | None:
        while True:
            begun = await reconciliations.begin(self._db, account)
            if begun is not None:
                return begun
            await asyncio.sleep(WAIT_SECONDS)

    async def _keep(self, one: Pass, step: Step, *, hold: bool) -> Pass | None:
        if step.following is not None:
            return await reconciliations.advance(self._db, one, step.following, keep=hold)
        again_in = self._interval * random.uniform(1 - SPREAD, 1 + SPREAD)
        await reconciliations.finish(self._db, one, again_in=again_in)
        return None
