"""Waits until nothing that calls have left for later is under way: events published, and taken by every consumer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import nats
from nats.js.client import JetStreamContext

from chassis.nats import EVENTS
from deploy.local.databases import SERVICES
from tests.throwaway_stack import ThrowawayStack

LOOK_SECONDS = 0.2
LIMIT_SECONDS = 120.0


class Settling:
    def __init__(self, jetstream: JetStreamContext, databases: list[asyncpg.Connection]) -> None:
        self._jetstream = jetstream
        self._databases = databases

    async def wait(self) -> None:
        """Raises TimeoutError after two minutes."""
        async with asyncio.timeout(LIMIT_SECONDS):
            # What is taken may be told on: only a look that finds nothing anywhere, twice, is the end.
            quiet = 0
            while quiet < 2:
                quiet = 0 if await self._unpublished() + await self._untaken() else quiet + 1
                await asyncio.sleep(LOOK_SECONDS)

    async def _unpublished(self) -> int:
        count = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
        return sum([await database.fetchval(count) for database in self._databases])

    async def _untaken(self) -> int:
        consumers = await self._jetstream.consumers_info(EVENTS)
        return sum((one.num_pending or 0) + (one.num_ack_pending or 0) for one in consumers)


@asynccontextmanager
async def of(stack: ThrowawayStack) -> AsyncIterator[Settling]:
    broker = await nats.connect(stack.nats_url)
    databases = [await asyncpg.connect(stack.database_url(service)) for service in SERVICES]
    try:
        yield Settling(broker.jetstream(), databases)
    finally:
        for database in databases:
            await database.close()
        await broker.close()
