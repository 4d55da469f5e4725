"""Delivers to one endpoint for as long as anything is due there.

Up to CONCURRENCY deliveries are under way at once, of each object one (domain.ordering). An endpoint whose attempts
fail one after another is down: it is let go, and asked again later with a single one.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Counter, Histogram

from chassis import ids
from chassis.db import Database
from chassis.measuring import from_zero
from chassis.sealing import Sealer
from services.gateway import plans
from services.gateway.domain import retries
from services.gateway.domain.ordering import Lines
from services.gateway.webhooks import fan_out, queue, signing
from services.gateway.webhooks.bodies import Bodies
from services.gateway.webhooks.queue import Attempt, Delivery, Held
from services.gateway.webhooks.recorder import Recorder
from services.gateway.webhooks.transport import Answer, Transport

log = structlog.get_logger()

ATTEMPTS = from_zero(
    Counter("carillon_webhook_attempts_total", "Attempts to deliver to a webhook", ["outcome"]),
    *("delivered", "failed", "gone"),
)
SECONDS = Histogram(
    "carillon_webhook_seconds",
    "From an event's making to its delivery at an endpoint at the first attempt",
    buckets=[0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
)

CONCURRENCY = 8
# Read at a time; and what one runner knows of at most, however far behind its endpoint is.
PAGE = 200
KNOWN = 5000
KNOWN_OBJECTS = 100_000
# Of those that failed, which all have to be known: whoever has more gets nothing new before they are less.
AGAIN = 2000
LOOK_SECONDS = 0.25
# A runner that has nothing to do waits so long for the next event before it lets go: events often come in rows.
LINGER_SECONDS = 1.0
AGAIN_SECONDS = 1.0
# Where it is not the endpoint that failed, but we: the database is away, or the key to its secret.
FAULT_REST = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Means:
    """What all runners of a process share."""

    db: Database
    transport: Transport
    bodies: Bodies
    recorder: Recorder
    sealer: Sealer


class Runner:
    def __init__(self, means: Means, endpoint: Held, *, may_linger: Callable[[], bool] = lambda: True) -> None:
        """may_linger: nobody else waits for the place."""
        self.endpoint = endpoint
        self.failures = endpoint.failures
        self._means = means
        self._may_linger = may_linger
        self._lines: Lines[Delivery] = Lines()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._interrupted = False
        self._probes = 1
        self._objects = 0
        self._after = 0
        self._more = True
        self._looked = self._looked_again = float("-inf")

    @property
    def rest(self) -> timedelta:
        """How long the endpoint is to be left alone."""
        if self._interrupted:
            return FAULT_REST
        return retries.probe_delay(self.failures) if retries.is_down(self.failures) else timedelta(0)

    def poke(self) -> None:
        """There is more to deliver."""
        self._more = True
        self._wake.set()

    def stop(self) -> None:
        """Nothing new is begun; `run` ends when what is under way has ended."""
        self._stopping = True
        self._wake.set()

    def renewed(self, endpoint: Held) -> None:
        """The endpoint as it is now."""
        self.endpoint = endpoint
        if not endpoint.enabled:
            self.stop()

    async def run(self) -> None:
        """Raises what the database raises."""
        try:
            while True:
                if self._wants_more():
                    await self._look()
                self._launch()
                if self._tasks:
                    await self._pause(LOOK_SECONDS)
                elif not self._wants_more() and not await self._linger():
                    return
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pause(self, seconds: float) -> None:
        """Until something ends or comes."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _linger(self) -> bool:
        """Whether something came."""
        if self._may_launch() and self._may_linger():
            await self._pause(LINGER_SECONDS)
        return self._wants_more()

    def _wants_more(self) -> bool:
        if not self._may_launch() or len(self._lines) >= KNOWN or self._objects >= KNOWN_OBJECTS:
            return False
        return self._more or (bool(self._tasks) and time.monotonic() - self._looked > LOOK_SECONDS)

    async def _look(self) -> None:
        self._looked = now = time.monotonic()
        async with self._means.db.across() as tx:
            await plans.by_index(tx)
            again: list[Delivery] = []
            if now - self._looked_again >= AGAIN_SECONDS:
                self._looked_again = now
                again = await queue.again(tx, self.endpoint.key, limit=AGAIN)
            fresh: list[Delivery] = []
            if len(again) < AGAIN:
                fresh = await queue.fresh(tx, self.endpoint.key, after=self._after, limit=PAGE)
        for delivery in again:
            self._add(delivery)
        for delivery in fresh:
            self._add(delivery)
            self._after = max(self._after, delivery.position)
        self._more = len(fresh) == PAGE

    def _add(self, delivery: Delivery) -> None:
        if delivery.event_id in self._lines:
            if delivery.due:
                self._lines.make_due(delivery.event_id, delivery)
            return
        objects = fan_out.unpack(delivery.objects)
        self._objects += len(objects)
        self._lines.add(delivery.event_id, delivery, position=delivery.position, objects=objects, due=delivery.due)

    def _may_launch(self) -> bool:
        if self._stopping or self._lines.running >= CONCURRENCY:
            return False
        return not retries.is_down(self.failures) or (self._probes > 0 and not self._tasks)

    def _launch(self) -> None:
        while self._may_launch():
            delivery = self._lines.take()
            if delivery is None:
                return
            if retries.is_down(self.failures):
                self._probes -= 1
            task = asyncio.create_task(self._deliver(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and task.exception() is not None:
            # It is not written down: whoever loads it next makes it again.
            log.warning("webhook.interrupted", error=type(task.exception()).__name__)
            self._interrupted = True
            self.stop()

    async def _deliver(self, delivery: Delivery) -> None:
        endpoint = self.endpoint
        body = await self._means.bodies.get(endpoint.account, delivery)
        started, answer = datetime.now(UTC), Answer(None, "event_expired", 0.0)
        if body is not None:
            answer = await self._means.transport.post(endpoint.url, body, self._sign(endpoint, delivery, body))
        attempt = judge(endpoint, delivery, answer, started)
        await self._means.recorder.record(attempt)
        ATTEMPTS.labels(attempt.outcome).inc()
        if attempt.outcome == "delivered" and delivery.tries == 0:
            SECONDS.observe((datetime.now(UTC) - delivery.time).total_seconds())
        await self._count(answer, attempt)

    def _sign(self, endpoint: Held, delivery: Delivery, body: bytes) -> dict[str, str]:
        keys = [self._means.sealer.open(sealed) for sealed in endpoint.secrets]
        return signing.headers(event_id=str(delivery.event_id), timestamp=int(time.time()), body=body, keys=keys)

    async def _count(self, answer: Answer, attempt: Attempt) -> None:
        """What follows for the others of the endpoint."""
        name = attempt.delivery.event_id
        if attempt.next_at is None:
            self._objects -= len(attempt.delivery.objects) // fan_out.PAIR_BYTES
            self._lines.end(name)
        else:
            self._lines.again(name)
        if answer.taken:
            was_down, self.failures = retries.is_down(self.failures), 0
            if was_down:
                await self._recover()
            return
        self.failures += 1
        if retries.is_down(self.failures):
            self._probes = 0
        if attempt.outcome == "gone":
            self.stop()

    async def _recover(self) -> None:
        async with self._means.db.across() as tx:
            await plans.by_index(tx)
            await queue.bring_forward(tx, self.endpoint.key)
        self._looked_again = float("-inf")
        self.poke()


def judge(endpoint: Held, delivery: Delivery, answer: Answer, started: datetime) -> Attempt:
    """What an answer means. 410 disables the endpoint; what was for it waits until somebody enables it again."""
    number = delivery.tries + 1
    delay: timedelta | None = None
    if answer.taken:
        outcome, error = "delivered", None
    else:
        outcome = "gone" if answer.status == 410 else "failed"
        error = answer.error or ("redirect" if 300 <= (answer.status or 0) < 400 else "status")
        if error != "event_expired":
            delay = retries.next_delay(number, drawn=random.random(), asked=answer.retry_after)
    return Attempt(
        id=ids.new(),
        endpoint=endpoint,
        delivery=delivery,
        outcome=outcome,
        status=answer.status,
        error=error,
        started_at=started,
        duration_ms=int(answer.seconds * 1000),
        next_at=None if delay is None else datetime.now(UTC) + delay,
    )
