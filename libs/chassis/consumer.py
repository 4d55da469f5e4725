"""A durable consumer of events, in batches of one account, with dead letters.

A handler may take its time (what it holds is kept alive) and must be idempotent: anything may arrive twice, late and
out of order. What a killed process held comes to another one after ACK_SECONDS; what a stopped one had not begun, at
once. What it does with a batch:
  returns              every event of the batch is acknowledged
  raises Invalid       the batch is retried one by one; the event that is still invalid goes to the dead letters
  raises Unavailable   the batch comes again after a pause, for as long as the outage lasts
  raises anything else the batch comes again after a pause; after MAX_DELIVERIES it goes to the dead letters
Dead letters lie in the stream DEAD under `dead.<durable>` with their reason. When DEAD_LIMIT of them arise within
DEAD_WINDOW_SECONDS the consumer stops and says so, rather than draining the stream into them.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError
from prometheus_client import Counter, Gauge, Histogram

from chassis.errors import Unavailable
from chassis.haste import Pace
from chassis.ids import AccountId, decode_account
from chassis.measuring import LAG_BUCKETS
from chassis.nats import DEAD, EVENTS, Nats, rest
from chassis.telemetry import followed, span

log = structlog.get_logger()

HANDLED = Counter("carillon_consumer_events_total", "Events handled", ["durable", "outcome"])
REDELIVERED = Counter("carillon_consumer_redelivered_total", "Events that did not come for the first time", ["durable"])
SECONDS = Histogram("carillon_consumer_batch_seconds", "Time in the handler, per batch", ["durable"])
LAG = Histogram(
    "carillon_consumer_lag_seconds",
    "From an event's making to its handler's end",
    ["durable"],
    buckets=LAG_BUCKETS,
)
# As the broker knows them: every process of a consumer says the same.
PENDING = Gauge("carillon_consumer_pending", "Events in the stream that the consumer has not been given", ["durable"])
UNACKNOWLEDGED = Gauge("carillon_consumer_unacknowledged", "Events given and not acknowledged yet", ["durable"])
DEAD_LETTERS = Gauge("carillon_consumer_dead_letters", "Dead letters that lie in the stream DEAD", ["durable"])
STOPPED = Gauge("carillon_consumer_stopped", "1 when the dead-letter limit stopped the consumer", ["durable"])

ACK_SECONDS = 6.0
ALIVE_SECONDS = 2.0
MAX_DELIVERIES = 10
MAX_ACK_PENDING = 20_000
PULL_EXPIRES_SECONDS = 30.0
HEARTBEAT_SECONDS = 1.0
ASK_SECONDS = 5.0
DEAD_LIMIT = 100
DEAD_WINDOW_SECONDS = 60.0
# For the batch in hand when the process is told to stop; one that takes longer is broken off, and comes again.
FINISH_SECONDS = 5.0
GIVE_BACK_SECONDS = 2.0
BROKER = (nats.errors.Error, JetStreamError, TimeoutError, ConnectionError)
BACKOFF_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


class Invalid(Exception):
    """The event can never be handled: it does not parse, or breaks its contract."""


class Drowning(Exception):
    """The dead-letter limit is reached."""


@dataclass(frozen=True, slots=True)
class Received:
    id: str
    type: str
    account: AccountId
    time: datetime
    data: bytes
    # In the bulk lane.
    bulk: bool
    message: Msg


Handler = Callable[[AccountId, Sequence[Received]], Awaitable[None]]


class Consumer:
    """Any number of processes may run the same durable; they share its events."""

    def __init__(
        self,
        nats_connection: Nats,
        *,
        durable: str,
        filters: Sequence[str],
        handler: Handler,
        batch: int = 64,
        pace: Pace | None = None,
    ) -> None:
        """batch: most events a handler is given at once. pace: where it gives way to others."""
        self._nats = nats_connection
        self._durable = durable
        self._filters = list(filters)
        self._handler = handler
        self._batch = batch
        self._pace = pace
        self._dead: deque[float] = deque()
        self._arrived: deque[Msg] = deque()
        self._signal = asyncio.Event()
        # Delivered and not yet acknowledged, by identity: messages have no hash.
        self._held: dict[int, Msg] = {}
        # From 0 on, so that the first one shows as a step.
        self._outcomes = {outcome: HANDLED.labels(durable, outcome) for outcome in ("done", "retried", "dead")}
        self._redelivered = REDELIVERED.labels(durable)
        self._seconds, self._lag = SECONDS.labels(durable), LAG.labels(durable)
        STOPPED.labels(durable).set(0)
        # Held while a batch is handled, to its acknowledgements; whoever stops the consumer takes it for good.
        self._handling = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled, through any outage of the broker. The batch in hand comes to its end then, for
        FINISH_SECONDS, and what was not begun is given back."""
        working = asyncio.create_task(self._work(), name=f"consumer {self._durable}")
        asking = asyncio.create_task(self._ask())
        try:
            await asyncio.shield(working)
        finally:
            asking.cancel()
            # In a task that is being cancelled, asyncio.timeout of Debian 12's Python (3.11.2) ends as a cancellation.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._handling.acquire(), FINISH_SECONDS)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                await self._declare()
                await self._consume()
            except Drowning:
                # Until somebody looks and restarts the process; the stream keeps the rest.
                await asyncio.Event().wait()
            except BROKER as error:
                log.warning("consumer.broker", durable=self._durable, error=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _ask(self) -> None:
        """How far the consumer is, whatever becomes of its events."""
        dead = f"dead.{self._durable}"
        while True:
            with suppress(*BROKER):
                info = await self._nats.jetstream.consumer_info(EVENTS, self._durable)
                PENDING.labels(self._durable).set(info.num_pending or 0)
                UNACKNOWLEDGED.labels(self._durable).set(info.num_ack_pending or 0)
                letters = (await self._nats.jetstream.stream_info(DEAD, subjects_filter=dead)).state.subjects or {}
                DEAD_LETTERS.labels(self._durable).set(letters.get(dead, 0))
            await asyncio.sleep(ASK_SECONDS)

    async def _declare(self) -> None:
        await self._nats.declare_streams()
        await self._nats.jetstream.add_consumer(
            EVENTS,
            ConsumerConfig(
                durable_name=self._durable,
                filter_subjects=self._filters,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_SECONDS,
                max_ack_pending=MAX_ACK_PENDING,
            ),
        )

    async def _consume(self) -> None:
        """One standing pull request, renewed when it is used up: an event is delivered the moment it is stored.

        nats-py's own fetch of several waits for all of them until its timeout (2.16), which would cost a live
        event that time.
        """
        client = self._nats.client
        inbox = client.new_inbox()
        self._arrived.clear()
        self._held.clear()
        subscription = await client.subscribe(inbox, cb=self._arrive, pending_msgs_limit=-1)
        alive = asyncio.create_task(self._keep_alive())
        try:
            while True:
                await self._request(inbox)
                wanted = self._batch
                while True:
                    messages, ended = self._sort(await self._take())
                    began = time.monotonic()
                    wanted -= len(messages)
                    await self._handle(messages)
                    if self._pace is not None and messages:
                        await self._pace.rest(time.monotonic() - began, waited=age(messages[0]))
                    if ended or wanted <= 0:
                        break
                    await asyncio.sleep(began + rest(len(messages)) - time.monotonic())
        finally:
            alive.cancel()
            await self._give_back(subscription)

    async def _give_back(self, subscription: Subscription) -> None:
        """What has arrived and was not begun, and what arrives until the broker knows that we ask no more."""
        try:
            if not self._nats.client.is_connected:
                await subscription.unsubscribe()
                return
            async with asyncio.timeout(GIVE_BACK_SECONDS):
                await subscription.drain()  # type: ignore[no-untyped-call]
                for message in list(self._held.values()):
                    await message.nak()
        except (nats.errors.Error, TimeoutError):
            # The broker is away: all of it comes to another one after ACK_SECONDS.
            pass

    async def _arrive(self, message: Msg) -> None:
        self._arrived.append(message)
        if "Status" not in (message.headers or {}):
            self._held[id(message)] = message
        self._signal.set()

    async def _take(self) -> list[Msg]:
        """What has arrived, at least one. Raises TimeoutError when the server has forgotten the request."""
        async with asyncio.timeout(2.5 * HEARTBEAT_SECONDS):
            await self._signal.wait()
        self._signal.clear()
        messages = list(self._arrived)
        self._arrived.clear()
        return messages

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            for message in list(self._held.values()):
                with suppress(nats.errors.Error):
                    await message.in_progress()

    async def _acknowledge(self, message: Msg) -> None:
        self._held.pop(id(message), None)
        await message.ack()

    async def _request(self, inbox: str) -> None:
        pull = {
            "batch": self._batch,
            "expires": int(PULL_EXPIRES_SECONDS * 1e9),
            # A restarted server has forgotten the request: its silence is how we know.
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
        }
        await self._nats.client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{self._durable}", json.dumps(pull).encode(), reply=inbox
        )

    def _sort(self, messages: Sequence[Msg]) -> tuple[list[Msg], bool]:
        """The events, and whether the pull request ended. Raises NotFoundError when the consumer is gone."""
        events, ended = [], False
        for message in messages:
            status = (message.headers or {}).get("Status")
            if status is None:
                events.append(message)
            elif status in ("404", "408"):
                ended = True
            elif status != "100":
                # 409: the consumer or its stream was deleted, or the server shuts down. 503: no responders.
                raise NotFoundError(code=int(status), description=(message.headers or {}).get("Description"))
        return events, ended

    async def _handle(self, messages: Sequence[Msg]) -> None:
        by_account: dict[AccountId, list[Received]] = {}
        for message in messages:
            try:
                event = parse(message)
            except (ValueError, LookupError) as error:
                await self._bury(message, f"not an event: {type(error).__name__}")
                continue
            by_account.setdefault(event.account, []).append(event)
            if message.metadata.num_delivered > 1:
                self._redelivered.inc()
        for account, events in by_account.items():
            async with self._handling:
                await self._handle_account(account, events)

    async def _handle_account(self, account: AccountId, events: Sequence[Received]) -> None:
        started = time.perf_counter()
        try:
            await self._traced(account, events)
        except Invalid as invalid:
            if len(events) == 1:
                await self._bury(events[0].message, str(invalid))
                return
            for event in events:
                await self._handle_account(account, [event])
            return
        except Exception as error:
            await self._retry(events, error)
            return
        finally:
            self._seconds.observe(time.perf_counter() - started)
        now = datetime.now(UTC)
        for event in events:
            self._lag.observe((now - event.time).total_seconds())
            await self._acknowledge(event.message)
        self._outcomes["done"].inc(len(events))

    async def _traced(self, account: AccountId, events: Sequence[Received]) -> None:
        # A batch has one span, which continues one event's trace.
        parents = [(event.message.headers or {}).get("ce-traceparent", "") for event in events]
        with span(f"consume {events[0].type}", follows=followed(parents)):
            await self._handler(account, events)

    async def _retry(self, events: Sequence[Received], error: Exception) -> None:
        """Again after a pause. An outage of what the handler needs is no fault of the event, however long it lasts."""
        outage = isinstance(error, Unavailable)
        if outage:
            log.warning("consumer.outage", durable=self._durable, events=len(events))
        else:
            log.error("consumer.failed", durable=self._durable, events=len(events), exc_info=error)
        for event in events:
            deliveries = event.message.metadata.num_delivered
            if deliveries >= MAX_DELIVERIES and not outage:
                await self._bury(event.message, f"{type(error).__name__} after {deliveries} deliveries")
                continue
            self._held.pop(id(event.message), None)
            await event.message.nak(delay=BACKOFF_SECONDS[min(deliveries, len(BACKOFF_SECONDS)) - 1])
            self._outcomes["retried"].inc()

    async def _bury(self, message: Msg, reason: str) -> None:
        headers = {key: value for key, value in (message.headers or {}).items() if key != "Nats-Msg-Id"}
        headers |= {"carillon-dead-reason": reason, "carillon-dead-subject": message.subject}
        await self._nats.jetstream.publish(f"dead.{self._durable}", message.data, headers=headers, stream=DEAD)
        await self._acknowledge(message)
        self._outcomes["dead"].inc()
        log.error("consumer.dead_letter", durable=self._durable, reason=reason, event_id=headers.get("ce-id"))
        await self._stop_when_drowning()

    async def _stop_when_drowning(self) -> None:
        now = time.monotonic()
        self._dead.append(now)
        while self._dead and now - self._dead[0] > DEAD_WINDOW_SECONDS:
            self._dead.popleft()
        if len(self._dead) >= DEAD_LIMIT:
            STOPPED.labels(self._durable).set(1)
            log.critical("consumer.stopped", durable=self._durable, dead_letters=len(self._dead))
            raise Drowning


def age(message: Msg) -> float:
    """Seconds since the broker stored it."""
    return (datetime.now(UTC) - message.metadata.timestamp).total_seconds()


def parse(message: Msg) -> Received:
    """Raises KeyError or ValueError where it is not one of our events."""
    headers = message.headers or {}
    parts = message.subject.split(".")
    account = decode_account(parts[3])
    if account is None:
        raise ValueError("no account in the subject")
    return Received(
        id=headers["ce-id"],
        type=headers["ce-type"],
        account=account,
        time=datetime.fromisoformat(headers["ce-time"]),
        data=message.data,
        bulk=parts[-1] == "bulk",
        message=message,
    )
