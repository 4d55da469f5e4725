"""Starts drafts whose time has come, or says on them why not; takes up what was paused for its provider's sake."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog

from chassis import ids
from chassis.db import Database
from services.campaigns import convert, lifecycle
from services.campaigns.domain.campaign import Hold, Status, hold_when_due
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import finishing as queries
from services.campaigns.work.polling import attempted

log = structlog.get_logger()


class Scheduler:
    def __init__(self, db: Database, *, wake: Callable[[], None]) -> None:
        """wake: tells workers that a campaign was started."""
        self._db = db
        self._wake = wake

    async def step(self) -> bool:
        async with self._db.across() as tx:
            due, broken = await queries.due(tx), await queries.broken(tx)
        jobs = [
            *(partial(self._start, row["account_id"], row["id"]) for row in due),
            *(partial(self._resume, row["account_id"], row["id"]) for row in broken),
        ]
        worked = [await attempted("schedule", job) for job in jobs]
        if any(worked):
            self._wake()
        return any(worked)

    async def _start(self, account: UUID, campaign_id: UUID) -> bool:
        """Whether it was started, or held."""
        async with self._db.across() as tx:
            now = await queries.now(tx)
            row = await campaign_queries.lock(tx, account, campaign_id)
            # Another replica, or its owner, was faster.
            if row is None or row["status"] != Status.DRAFT or row["status_reason"] or row["schedule_at"] is None:
                return False
            if row["schedule_at"] > now:
                return False
            max_late = timedelta(seconds=row["schedule_max_late_seconds"])
            has_audience = lifecycle.has_audience(row)
            held = hold_when_due(now, row["schedule_at"], has_audience=has_audience, max_late=max_late)
            if held is None:
                await lifecycle.start_draft(tx, account, row)
            else:
                await queries.hold(tx, account, campaign_id, reason=held)
                await lifecycle.append_event(tx, account, campaign_id, "campaign.updated")
        log.info(
            "schedule.due",
            campaign=ids.encode(convert.CAMPAIGN, campaign_id),
            result="started" if held is None else held.value,
        )
        return True

    async def _resume(self, account: UUID, campaign_id: UUID) -> bool:
        """Whether it was taken up again."""
        async with self._db.across() as tx:
            row = await campaign_queries.lock(tx, account, campaign_id)
            if row is None or (row["status"], row["status_reason"]) != (Status.PAUSED, Hold.PROVIDER_UNAVAILABLE):
                return False
            # Another replica may have been faster, and the provider have failed again.
            if not await queries.is_break_over(tx, account, campaign_id):
                return False
            await lifecycle.resume(tx, row)
        log.info("break.over", campaign=ids.encode(convert.CAMPAIGN, campaign_id))
        return True
