"""The loop that takes contacts whose time has come, in any number of processes at once (see due.py)."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from uuid import UUID

import asyncpg
import structlog

from chassis.db import Database
from chassis.errors import CarillonError
from chassis.ids import AccountId
from services.segments import contact_facts, due, metrics
from services.segments.domain.moments import SECOND
from services.segments.evaluation import MAX_BATCH, Evaluator
from services.segments.lanes import Lanes

log = structlog.get_logger()

# How late a flip may be seen, at most, when there is little to do.
POLL_SECONDS = 0.5
# How long an account is left alone after its contacts could not be seen to, so that it holds up nobody else.
REST = 10 * SECOND


class Flips:
    def __init__(
        self,
        db: Database,
        evaluator: Evaluator,
        lanes: Lanes,
        *,
        clock: Callable[[], int] = contact_facts.now_micros,
    ) -> None:
        """clock: microseconds since 1970; the evaluator's."""
        self._db = db
        self._evaluator = evaluator
        self._lanes = lanes
        self._clock = clock
        # Accounts that are left alone, each until when.
        self._resting: dict[AccountId, int] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                seen = await self.run_once()
                # Those that somebody else is at, and no more, are left for the next look.
                pause = 0 if seen else POLL_SECONDS
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("flips.database", error=type(error).__name__)
                pause = POLL_SECONDS
            await asyncio.sleep(pause)

    async def run_once(self) -> int:
        """Look at up to MAX_BATCH contacts that are due; how many were seen to, without those that others are at."""
        now = self._clock()
        self._resting = {account: until for account, until in self._resting.items() if until > now}
        async with self._db.across() as tx:
            rows = await due.next_ones(tx, now=now, limit=MAX_BATCH, without=list(self._resting))
        seen = 0
        # One turn for all: at midnight, each of many accounts giving way for itself would come to minutes.
        async with self._lanes.turn(bulk=True):
            for account, group in groupby(sorted(map(tuple, rows)), key=itemgetter(0)):
                seen += await self._see_to(AccountId(account), [contact for _, contact in group])
        metrics.FLIPS.inc(seen)
        return seen

    async def _see_to(self, account: AccountId, contacts: Sequence[UUID]) -> int:
        try:
            return await self._evaluator.flip(account, contacts)
        except CarillonError:
            raise
        except Exception as error:
            log.exception("flips.failed", account=str(account), error=type(error).__name__)
            self._resting[account] = self._clock() + REST
            return 0
