"""Publishes outbox rows to JetStream, at least once, and marks them on the broker's acknowledgement.

Rows are claimed with FOR UPDATE SKIP LOCKED and stay locked while they are published: any number of relays share the
work, and the rows of a killed one are free the moment its connection ends. This is the one place that holds a
transaction over network calls; it is bounded by PUBLISH_SECONDS and touches nothing but the outbox.
Order is not kept, and need not be: events carry revisions.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
import nats.errors
import structlog
from nats.js.api import PubAck
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NoStreamResponseError, NotFoundError
from prometheus_client import Counter, Gauge, Histogram

from chassis.db import Database, WriteTx
from chassis.errors import CarillonError
from chassis.ids import encode_account
from chassis.measuring import LAG_BUCKETS, from_zero
from chassis.nats import EVENTS, LONGEST_REST_SECONDS, Nats, rest
from chassis.telemetry import current_traceparent, span
from chassis.watch import Look

log = structlog.get_logger()

LANES = ("live", "bulk")
PUBLISHED = from_zero(Counter("carillon_outbox_published_total", "Events acknowledged by JetStream", ["lane"]), *LANES)
FAILURES = from_zero(
    Counter("carillon_outbox_publish_failures_total", "Events that were not acknowledged in time", ["lane"]), *LANES
)
LATENCY = Histogram(
    "carillon_outbox_publish_seconds",
    "From the event's making to the broker's acknowledgement",
    ["lane"],
    buckets=LAG_BUCKETS,
)

POLL_SECONDS = 1.0
PUBLISH_SECONDS = 5.0
# Between two looks at whether JetStream was wiped.
STREAM_SECONDS = 5.0
# Messages in flight: a bulk event may be 512 KiB, a live one is small.
BATCH = {"live": 200, "bulk": 8}

CLAIM = """
SELECT account_id, id, type, data, bulk, traceparent, created_at FROM outbox
WHERE published_at IS NULL AND bulk = $1
ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
MARK = """
UPDATE outbox SET published_at = now() FROM unnest($1::uuid[], $2::uuid[]) AS done (account_id, id)
WHERE outbox.account_id = done.account_id AND outbox.id = done.id
"""
REPUBLISH = """
UPDATE outbox SET published_at = NULL WHERE account_id IS NOT NULL AND published_at < $1
"""
# Between the broker's clock and the database's.
CLOCK_SKEW = timedelta(seconds=10)
LANE = "CASE WHEN bulk THEN 'bulk' ELSE 'live' END"
WAITING = "FROM outbox WHERE published_at IS NULL GROUP BY bulk"
# For chassis.watch.
OUTBOX = (
    Look(
        Gauge("carillon_outbox_depth", "Events not yet published", ["lane"]),
        f"SELECT {LANE}, count(*) {WAITING}",
        labels=[(lane,) for lane in LANES],
    ),
    Look(
        Gauge("carillon_outbox_oldest_seconds", "Age of the oldest event not yet published", ["lane"]),
        f"SELECT {LANE}, greatest(extract(epoch FROM now() - min(created_at)), 0)::float8 {WAITING}",
        labels=[(lane,) for lane in LANES],
    ),
)


class Relay:
    """One lane each for live and bulk events, so that the first never waits behind the second."""

    def __init__(self, db: Database, nats_connection: Nats, *, service: str) -> None:
        self._db = db
        self._nats = nats_connection
        self._service = service
        self._wake = {lane: asyncio.Event() for lane in LANES}
        # When the stream that we publish to was made.
        self._stream_made: datetime | None = None

    async def run(self) -> None:
        """Until cancelled."""
        await self._nats.subscribe("poke." + topic(self._service), self._poked)
        async with asyncio.TaskGroup() as group:
            for lane in LANES:
                group.create_task(self._lane(lane))
            group.create_task(self._watch_stream())

    async def _poked(self, _: object) -> None:
        for event in self._wake.values():
            event.set()

    async def _lane(self, lane: str) -> None:
        while True:
            began, claimed = time.monotonic(), 0
            self._wake[lane].clear()
            try:
                claimed, published = await self._publish_some(lane)
                if published and claimed == BATCH[lane]:
                    continue
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("relay.database", error=type(error).__name__)
            await wait(self._wake[lane], POLL_SECONDS)
            # A poke does not say for which lane, and most are for live events; nobody waits for bulk ones as for these.
            resting = rest(claimed) if lane == "live" else LONGEST_REST_SECONDS
            await asyncio.sleep(began + resting - time.monotonic())

    async def _publish_some(self, lane: str) -> tuple[int, int]:
        async with self._db.across() as tx:
            rows = await tx.fetch(CLAIM, lane == "bulk", BATCH[lane])
            if not rows:
                return 0, 0
            done = await self._publish(rows)
            await mark(tx, done)
        PUBLISHED.labels(lane).inc(len(done))
        FAILURES.labels(lane).inc(len(rows) - len(done))
        now, latency = time.time(), LATENCY.labels(lane)
        for row in done:
            latency.observe(now - row["created_at"].timestamp())
        return len(rows), len(done)

    async def _publish(self, rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
        """Those that the broker says, in time, it has stored."""
        sent = [(row, await self._send(row)) for row in rows]
        await asyncio.wait([stored for _, stored in sent], timeout=PUBLISH_SECONDS)
        done, failed = [], set[str]()
        for row, stored in sent:
            error = stored.exception() if stored.done() else TimeoutError()
            if error is None:
                done.append(row)
                continue
            stored.cancel()
            failed.add(type(error).__name__)
        if NoStreamResponseError.__name__ in failed:
            await self._redeclare()
        elif failed:
            log.warning("relay.publish", errors=sorted(failed), events=len(rows) - len(done))
        return done

    async def _send(self, row: asyncpg.Record) -> asyncio.Future[PubAck]:
        """What the broker answers: its span lasts as long as that takes."""
        with span(f"publish {row['type']}", follows=row["traceparent"], ends=False) as opened:
            headers = cloud_event(row, self._service)
            inject_traceparent(headers)
            try:
                stored = await self._nats.jetstream.publish_async(subject(row), row["data"], headers=headers)
            except (nats.errors.Error, JetStreamError) as error:
                stored = asyncio.get_running_loop().create_future()
                stored.set_exception(error)
        stored.add_done_callback(lambda _: opened.end())
        return stored

    async def _redeclare(self) -> None:
        """The streams are gone: JetStream was wiped, or this is the first start."""
        try:
            await self._nats.declare_streams()
        except (nats.errors.Error, JetStreamError, TimeoutError) as error:
            log.warning("relay.declare", error=type(error).__name__)

    async def _republish_after_a_wipe(self) -> None:
        """A stream younger than a row's publishing has lost the row: publish it again.

        Consumers may have had it before; revisions make that harmless. Looked at once for each stream, as it costs a
        look at the whole outbox.
        """
        made = (await self._nats.jetstream.stream_info(EVENTS)).created
        if made is None or made == self._stream_made:
            return
        async with self._db.across() as tx:
            done = await tx.execute(REPUBLISH, made + CLOCK_SKEW)
        self._stream_made = made
        if done != "UPDATE 0":
            log.warning("relay.republished", done=done)

    async def _watch_stream(self) -> None:
        while True:
            try:
                await self._republish_after_a_wipe()
            except NotFoundError:
                await self._redeclare()
            except (nats.errors.Error, JetStreamError, TimeoutError, CarillonError, asyncpg.PostgresError) as error:
                log.warning("relay.stream", error=type(error).__name__)
            await asyncio.sleep(STREAM_SECONDS)


def topic(service: str) -> str:
    """The poke that wakes a service's relay."""
    return f"outbox.{service}"


def subject(row: asyncpg.Record) -> str:
    """events.<entity>.<verb>.<account>, and `.bulk` for the bulk lane."""
    lane = ".bulk" if row["bulk"] else ""
    return f"events.{row['type']}.{encode_account(row['account_id'])}{lane}"


def cloud_event(row: asyncpg.Record, service: str) -> dict[str, str]:
    """CloudEvents 1.0, binary mode of the NATS binding."""
    return {
        "Nats-Msg-Id": str(row["id"]),
        "ce-specversion": "1.0",
        "ce-id": str(row["id"]),
        "ce-source": f"carillon/{service}",
        "ce-type": f"{row['type']}",
        "ce-time": row["created_at"].isoformat().replace("+00:00", "Z"),
        "content-type": "application/protobuf",
    }


def inject_traceparent(headers: dict[str, str]) -> None:
    """The distributed tracing extension of CloudEvents, where there is a trace."""
    if traceparent := current_traceparent():
        headers["ce-traceparent"] = traceparent


async def mark(tx: WriteTx, rows: Sequence[asyncpg.Record]) -> None:
    if rows:
        await tx.execute(MARK, [row["account_id"] for row in rows], [row["id"] for row in rows])


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
