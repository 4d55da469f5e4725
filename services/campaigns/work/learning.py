"""What the answers to a campaign's calls say of the provider, and what follows for the campaign and its sender."""

import random
from collections.abc import Sequence
from uuid import UUID

from chassis.db import Database
from services.campaigns import lifecycle
from services.campaigns.domain.campaign import Hold, Status
from services.campaigns.domain.sending import (
    DECIDED,
    Answer,
    Barred,
    Throttled,
    Unanswered,
    Unavailable,
    break_delay,
    round_delay,
)
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import dispatch as queries
from services.campaigns.work.budget import Permits


class Stop(Exception):
    """The chunk goes back, to be taken up again after some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds} s")
        self.seconds = seconds


class Learning:
    """Of one pass over a chunk. recovering: nothing went through of late, nor yet."""

    def __init__(
        self, db: Database, lease: queries.Lease, sender_id: UUID, permits: Permits, *, recovering: bool
    ) -> None:
        self._db = db
        self._account, self._campaign = lease.account, lease.campaign
        self._sender_id = sender_id
        self._permits = permits
        self.recovering = recovering
        # How often the provider asked for a pause.
        self.pauses = 0

    async def learn(self, answers: Sequence[Answer], *, lonely: bool) -> None:
        """Of one micro-batch. Raises Stop where it is no use to go on now.

        lonely: they are of recipients that alone keep failing; those come to an end by their own attempts.
        """
        barred = next((answer for answer in answers if isinstance(answer, Barred)), None)
        if barred is not None:
            await self.pause(barred.why)
            raise Stop(0.0)
        throttled = max((answer.retry_after for answer in answers if isinstance(answer, Throttled)), default=None)
        if throttled is not None:
            share = sum(isinstance(answer, Throttled) for answer in answers) / len(answers)
            await self._permits.block(self._account, self._sender_id, throttled, share=share)
            self.pauses += 1
            return
        if any(isinstance(answer, DECIDED) for answer in answers):
            if self.recovering:
                async with self._db.across() as tx:
                    await queries.went_through(tx, self._account, self._campaign)
                self.recovering = False
        elif not lonely and any(isinstance(answer, Unavailable | Unanswered) for answer in answers):
            await self._failed_round()
            raise Stop(0.0)

    async def _failed_round(self) -> None:
        """Nothing went through: the whole campaign waits, longer each time, and takes a break in the end."""
        async with self._db.across() as tx:
            row = await campaign_queries.lock(tx, self._account, self._campaign)
            run = await queries.lock_run(tx, self._account, self._campaign)
            # Batches that were under way together are one round.
            if row is None or row["status"] != Status.RUNNING or run["waiting"]:
                return
            delay = round_delay(run["failed_rounds"] + 1, jitter=random.random())
            if delay is not None:
                await queries.failed_round(tx, self._account, self._campaign, seconds=delay)
                return
            seconds = break_delay(run["breaks"] + 1, jitter=random.random())
            await queries.take_a_break(tx, self._account, self._campaign, seconds=seconds)
            await lifecycle.pause(tx, row, Hold.PROVIDER_UNAVAILABLE)

    async def pause(self, reason: Hold) -> None:
        """The campaign, if it still runs."""
        async with self._db.across() as tx:
            row = await campaign_queries.lock(tx, self._account, self._campaign)
            if row is not None and row["status"] == Status.RUNNING:
                await lifecycle.pause(tx, row, reason)
