"""Every event of every account, from NATS into the feed, and from there to the webhooks that want it.

Both in one transaction: an event that has its position has its deliveries too, and one that comes a second time has
had both.
"""

from collections.abc import Sequence
from uuid import UUID

from chassis.consumer import Consumer, Invalid, Received
from chassis.db import Database
from chassis.haste import Pace
from chassis.ids import AccountId, encode_account
from chassis.nats import Nats
from services.gateway import plans
from services.gateway.feed import repository
from services.gateway.feed.repository import Event
from services.gateway.webhooks import fan_out

LIVE = "gateway-feed-live"
BULK = "gateway-feed-bulk"
# Bulk events may have 512 KiB each.
BATCHES = {LIVE: 200, BULK: 8}
FILTERS = {LIVE: ["events.*.*.*"], BULK: ["events.*.*.*.bulk"]}
# A poke for each account, under this topic: whose webhooks have something to deliver.
TOPIC = "gateway.webhooks"


class FeedWriter:
    def __init__(self, db: Database, nats: Nats) -> None:
        """db: of the work role."""
        self._db = db
        self._nats = nats

    def consumers(self, pace: Pace) -> dict[str, Consumer]:
        """By the name of the durable. Any number of processes may run them. pace: of bulk events."""
        return {
            durable: Consumer(
                self._nats,
                durable=durable,
                filters=FILTERS[durable],
                handler=self.write,
                batch=BATCHES[durable],
                pace=pace if durable == BULK else None,
            )
            for durable in (LIVE, BULK)
        }

    async def write(self, account: AccountId, received: Sequence[Received]) -> None:
        """Idempotent by the events' ids. Raises Invalid for an id that is no UUID."""
        named = {event_id(one): one for one in received}
        async with self._db.across() as tx:
            await plans.by_index(tx)
            position = await repository.lock_head(tx, account)
            known = await repository.known(tx, account, list(named))
            new = [(name, one) for name, one in named.items() if name not in known]
            if not new:
                return
            events = [
                Event(place, name, one.type, one.time, one.data)
                for place, (name, one) in enumerate(new, start=position + 1)
            ]
            await repository.append(tx, account, events)
            wanted = await fan_out.enqueue(tx, account, events)
        if wanted:
            await self._nats.poke(f"{TOPIC}.{encode_account(account)}")


def event_id(received: Received) -> UUID:
    try:
        return UUID(received.id)
    except ValueError as error:
        raise Invalid("the event's id is no UUID") from error
