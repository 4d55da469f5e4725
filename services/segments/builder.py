"""The loop that works on builds, in any number of processes at once."""

import asyncio
import time
from collections.abc import Callable

import asyncpg
import structlog

from chassis.db import Database
from chassis.errors import CarillonError
from chassis.nats import Nats
from services.segments import builds, contact_facts, metrics, steps
from services.segments.builds import Build, Lost, State

log = structlog.get_logger()

TOPIC = "segments.builds"
POLL_SECONDS = 1.0
# How long one build is worked on before the others get their turn; sweeping gives way after each step.
TURN_SECONDS = 1.0


class Builder:
    def __init__(self, db: Database, nats: Nats) -> None:
        self._db = db
        self._nats = nats
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. Woken by a poke; looks each second besides."""
        await self._nats.on_poke(TOPIC, self._wake)
        while True:
            self._wake.clear()
            try:
                while build := await builds.claim(self._db):
                    await work(self._db, build)
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("builder.database", error=type(error).__name__)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass


async def work(db: Database, build: Build, *, clock: Callable[[], int] = contact_facts.now_micros) -> None:
    """Steps of one build until it is done, lost, failed, or its turn is over. Raises Unavailable without a database.

    clock: microseconds since 1970.
    """
    ends = time.monotonic() + (0 if build.state is State.RETIRED else TURN_SECONDS)
    try:
        current = await step(db, build, clock)
        # What was found is used up: finding it again would take longer.
        while current is not None and (time.monotonic() < ends or current.found):
            # Live changes come first.
            await asyncio.sleep(0)
            current = await step(db, current, clock)
        if current is not None:
            await builds.release(db, current)
    except Lost:
        log.info("build.lost", build=str(build.id))
    except CarillonError:
        raise
    except Exception as error:
        metrics.BUILD_FAILURES.labels(build.state).inc()
        log.exception("build.failed", build=str(build.id), state=build.state, error=type(error).__name__)
        await builds.fail(db, build)


async def step(db: Database, build: Build, clock: Callable[[], int]) -> Build | None:
    started = time.perf_counter()
    following = await steps.take(db, build, clock=clock)
    metrics.BUILD_STEP_SECONDS.labels(build.state).observe(time.perf_counter() - started)
    return following
