"""What became of attempts, written down for many at once."""

import asyncio
from collections.abc import Sequence

from chassis.db import Database
from chassis.errors import Unavailable
from services.gateway import plans
from services.gateway.webhooks import queue
from services.gateway.webhooks.queue import Attempt

MOST = 500

Waiting = tuple[Attempt, asyncio.Future[None]]


class Recorder:
    """Whoever records waits until it is committed; those who come meanwhile share the next transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def record(self, attempt: Attempt) -> None:
        """Raises what the database raises: then it is not recorded, and will be made again."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((attempt, future))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="webhook-recorder")
        await future

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            await self._settle(batch)

    async def _settle(self, batch: Sequence[Waiting]) -> None:
        """What the database refuses of one is no fault of the others: endpoints of anybody, which would all rest."""
        try:
            await self._write([attempt for attempt, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for one in batch:
                    await self._settle([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        else:
            for _, future in batch:
                if not future.done():
                    future.set_result(None)

    async def _write(self, attempts: Sequence[Attempt]) -> None:
        async with self._db.across() as tx:
            await plans.by_index(tx)
            # The endpoint first, as those do who delete it with all that is its.
            for gone in {one.endpoint.key: one.endpoint for one in attempts if one.outcome == "gone"}.values():
                await queue.disable_gone(tx, gone)
            await queue.record(tx, attempts)
