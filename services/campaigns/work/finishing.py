"""The ends of campaigns: completed when nobody is left, settled after a cancel, removed after a delete."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from chassis.db import Database
from services.campaigns import lifecycle
from services.campaigns.domain.campaign import InvalidState, Status, Verb, after
from services.campaigns.domain.recipient import Status as Recipient
from services.campaigns.domain.stats import steps
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import finishing as queries
from services.campaigns.work.polling import attempted

CHUNKS_AT_ONCE = 25


async def complete(db: Database, account: UUID, campaign_id: UUID) -> bool:
    """Complete a campaign with nobody left to send to; whether it was done here."""
    async with db.statement() as tx:
        if await queries.has_open_chunk(tx, account, campaign_id):
            return False
    async with db.across() as tx:
        row = await campaign_queries.lock(tx, account, campaign_id)
        # Asked again: an audience may have been frozen between.
        if row is None or row["freezing"] or await queries.has_open_chunk(tx, account, campaign_id):
            return False
        try:
            status = after(Status(row["status"]), Verb.COMPLETE)
        except InvalidState:
            return False
        await campaign_queries.set_status(tx, account, campaign_id, status=status, reason="")
        await lifecycle.append_event(tx, account, campaign_id, "campaign.completed")
    return True


class Finisher:
    """What dispatchers leave undone: the last two chunks that ended at once, an empty audience, a kill in between."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def step(self) -> bool:
        async with self._db.across() as tx:
            finished = await queries.finished(tx)
            unsettled = await queries.unsettled(tx)
        # Each by itself: one that cannot be ended does not keep the others.
        jobs: list[Callable[[], Awaitable[bool]]] = [
            *(partial(complete, self._db, row["account_id"], row["id"]) for row in finished),
            *(partial(self._settle, row["account_id"], row["id"]) for row in unsettled),
            self._remove,
        ]
        return any([await attempted("finish", job) for job in jobs])

    async def _settle(self, account: UUID, campaign_id: UUID) -> bool:
        """Skip those whom a cancel has left pending; whether there is more to do at once."""
        async with self._db.across() as tx:
            statuses = await queries.close_chunks(tx, account, campaign_id, limit=CHUNKS_AT_ONCE)
            delta = steps(Recipient.PENDING, statuses)
            await campaign_queries.add_stats(tx, account, campaign_id, delta=delta)
            if not await queries.has_open_chunk(tx, account, campaign_id):
                await queries.set_settled(tx, account, campaign_id)
        return bool(statuses)

    async def _remove(self) -> bool:
        async with self._db.across() as tx:
            row = await queries.deleted(tx)
            if row is None:
                return False
            if not await queries.remove_some(tx, row, limit=CHUNKS_AT_ONCE):
                await queries.remove_rest(tx, row["account_id"], row["id"])
        return True
