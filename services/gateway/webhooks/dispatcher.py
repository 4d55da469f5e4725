"""Shares the endpoints among the worker processes, and keeps a runner for each that this one holds.

A queue is leased: whoever dies leaves it to another when the lease is over, with all that was not written down as
delivered, which is then delivered again. Endpoints that are down have at most half of the places, so that however many
there are, those that answer find one.
"""

import asyncio
import time
from datetime import timedelta

import asyncpg
import structlog
from nats.aio.msg import Msg
from prometheus_client import Gauge

from chassis import ids
from chassis.db import Database
from chassis.errors import CarillonError
from chassis.ids import AccountId, decode_account
from chassis.nats import POKE, Nats
from chassis.stopping import GRACE_SECONDS
from services.gateway import plans
from services.gateway.domain import retries
from services.gateway.webhooks import fan_out, queue
from services.gateway.webhooks.queue import Held, Key
from services.gateway.webhooks.runner import FAULT_REST, Means, Runner

log = structlog.get_logger()

RUNNING = Gauge("carillon_webhook_endpoints", "Endpoints that this process delivers to just now")

POLL_SECONDS = 1.0
# Between two looks for queues that are due, however often somebody pokes.
SHORTEST_SECONDS = 0.02


class Dispatcher:
    def __init__(self, means: Means, nats: Nats, *, topic: str, places: int, lease: timedelta) -> None:
        """topic: with an account behind it, the poke that says that its webhooks have something to deliver.
        places: most endpoints at once."""
        self._means = means
        self._db: Database = means.db
        self._nats = nats
        self._topic = topic
        self._places = places
        self._lease = lease
        self._holder = ids.new()
        self._runners: dict[Key, Runner] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._renewed = time.monotonic()

    async def run(self) -> None:
        """Until cancelled; then what is under way gets GRACE_SECONDS, and the rest is left to others."""
        await self._nats.subscribe(f"{POKE}{self._topic}.*", self._poked)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._claim_always())
                group.create_task(self._renew_always())
        finally:
            await self._stop()

    async def _poked(self, message: Msg) -> None:
        account = decode_account(message.subject.rpartition(".")[2])
        if account is not None:
            # They are not due before.
            asyncio.get_running_loop().call_later(fan_out.SETTLE.total_seconds() + 0.005, self._look, account)

    def _look(self, account: AccountId) -> None:
        self._wake.set()
        for (owner, _), runner in self._runners.items():
            if owner == account:
                runner.poke()

    async def _claim_always(self) -> None:
        while True:
            self._wake.clear()
            try:
                found = await self._claim()
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("webhooks.database", error=type(error).__name__)
                found = 0
            await asyncio.sleep(SHORTEST_SECONDS)
            if not found:
                await wait(self._wake, POLL_SECONDS)

    async def _claim(self) -> int:
        """How many queues it got."""
        down = sum(retries.is_down(runner.failures) for runner in self._runners.values())
        found: list[Held] = []
        for is_down in (False, True):
            limit = self._places - len(self._runners) - len(found)
            if is_down:
                limit = min(limit, self._places // 2 - down)
            if limit > 0:
                async with self._db.across() as tx:
                    found += await queue.claim(
                        tx, self._holder, lease=self._lease, down_after=retries.DOWN_AFTER, down=is_down, limit=limit
                    )
        for endpoint in found:
            self._start(endpoint)
        return len(found)

    def _start(self, endpoint: Held) -> None:
        if endpoint.key in self._runners:
            # Ours again before its runner noticed that it was not.
            return
        runner = self._runners[endpoint.key] = Runner(self._means, endpoint, may_linger=self._may_linger)
        task = self._tasks[endpoint.key] = asyncio.create_task(self._run(runner), name="webhook")
        task.add_done_callback(lambda _: self._wake.set())
        RUNNING.set(len(self._runners))

    def _may_linger(self) -> bool:
        return len(self._runners) <= self._places // 2

    async def _run(self, runner: Runner) -> None:
        key, rest = runner.endpoint.key, FAULT_REST
        try:
            if runner.endpoint.enabled:
                await runner.run()
            rest = runner.rest
        except (CarillonError, asyncpg.PostgresError) as error:
            log.warning("webhooks.database", error=type(error).__name__)
        except Exception:
            log.exception("webhooks.failed", webhook_id=ids.encode("whk", key[1]))
        finally:
            self._runners.pop(key, None)
            self._tasks.pop(key, None)
            RUNNING.set(len(self._runners))
        try:
            async with self._db.across() as tx:
                await plans.by_index(tx)
                await queue.let_go(tx, self._holder, key, failures=runner.failures, rest=rest)
        except (CarillonError, asyncpg.PostgresError) as error:
            # The lease lets go of it.
            log.warning("webhooks.database", error=type(error).__name__)

    async def _renew_always(self) -> None:
        lease = self._lease.total_seconds()
        while True:
            await asyncio.sleep(lease / 4)
            began = time.monotonic()
            try:
                await self._renew()
                self._renewed = began
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("webhooks.database", error=type(error).__name__)
                if began - self._renewed > lease / 2:
                    # Soon they are others'.
                    for runner in self._runners.values():
                        runner.stop()

    async def _renew(self) -> None:
        before = dict(self._runners)
        async with self._db.across() as tx:
            held = {endpoint.key: endpoint for endpoint in await queue.renew(tx, self._holder, lease=self._lease)}
        for key, runner in before.items():
            if key in held:
                runner.renewed(held[key])
            else:
                # Deleted, or another's since we could not renew in time.
                runner.stop()

    async def _stop(self) -> None:
        for runner in self._runners.values():
            runner.stop()
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
