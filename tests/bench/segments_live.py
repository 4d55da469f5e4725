"""Contact changes through the whole live path of segments, at 1,000 segments: how many a second, and how late.

The events are published as the contacts service publishes them, from this process, on the same processors. Latency is
from an event's publishing to the arrival of the `segment.members_changed` that follows from it at a subscriber.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from nats.aio.msg import Msg
from rich.console import Console

from carillon.contacts.v1 import contacts_pb2
from carillon.events.v1 import events_pb2
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench import segment_feed
from tests.bench.measure import percentile
from tests.bench.record import Outcome
from tests.bench.segment_feed import Feed
from tests.bench.usage import watched
from tests.throwaway_stack import ThrowawayStack

SEGMENTS = 1_000
BOOK = 100_000
SINGLES = 20_000
BULKS = 200_000
MILLION = 1_000_000
BATCH = 500
LATENCY_SECONDS = 20.0
# For the second worker to be there.
START_SECONDS = 6.0
IDLE_SECONDS = 20.0
# Live changes a second beside the million.
BESIDE = 20.0
MARK = "marked"
LEAST_SINGLE, LEAST_BULK = 2_000.0, 8_000.0
LIMIT_P99, LIMIT_P99_BESIDE = 0.5, 1.0
LIMIT_IDLE = 0.01
FIELDS = ("tags", "updated_at")


console = Console()


@dataclass(slots=True)
class Follower:
    """When the marked segment's steps arrive."""

    segment_id: str
    sent: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    async def arrive(self, message: Msg) -> None:
        now = time.perf_counter()
        for steps in events_pb2.SegmentMembersChanged.FromString(message.data).segments:
            if steps.segment_id != self.segment_id:
                continue
            for change in [*steps.joined, *steps.left]:
                sent = self.sent.pop(change.contact_id, None)
                if sent is not None:
                    self.seconds.append(now - sent)

    async def all_arrived(self) -> None:
        while True:
            if not self.sent:
                return
            await asyncio.sleep(0.05)


@dataclass(slots=True)
class Found:
    single: float = 0.0
    created: float = 0.0
    bulk: float = 0.0
    bulk_by_two: float = 0.0
    million: float = 0.0
    # Seconds after the last of the million was published until membership was right everywhere.
    behind: float = 0.0
    idle: float = 0.0
    latency: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)


def retagged(contact: contacts_pb2.Contact) -> contacts_pb2.Contact:
    """Its next version, in the marked segment if it was not, and out of it if it was."""
    tags = [tag for tag in contact.tags if tag != MARK]
    after = contacts_pb2.Contact()
    after.CopyFrom(contact)
    after.version += 1
    del after.tags[:]
    after.tags.extend(tags if len(tags) < len(contact.tags) else [*tags, MARK])
    return after


async def rate_of_bulk(feed: Feed, people: list[contacts_pb2.Contact], *, fields: Sequence[str] = ()) -> float:
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for start in range(0, len(people), BATCH):
            group.create_task(feed.publish(people[start : start + BATCH], fields=fields, bulk=True))
    await feed.drained(bulk=True)
    return len(people) / segment_feed.since(began)


async def rate_of_singles(feed: Feed, people: list[contacts_pb2.Contact]) -> float:
    """people is changed to what they are afterwards."""
    people[:] = [retagged(one) for one in people]
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for one in people:
            group.create_task(feed.publish([one], fields=FIELDS))
    await feed.drained(bulk=False)
    return len(people) / segment_feed.since(began)


async def follow(
    feed: Feed, follower: Follower, people: list[contacts_pb2.Contact], *, per_second: float, until: asyncio.Event
) -> list[float]:
    """Open loop: a change each so often, whatever the answers take."""
    follower.seconds.clear()
    began, sent = time.perf_counter(), 0
    async with asyncio.TaskGroup() as group:
        while not until.is_set():
            place = sent % len(people)
            after = people[place] = retagged(people[place])
            follower.sent[after.id] = time.perf_counter()
            group.create_task(feed.publish([after], fields=FIELDS))
            sent += 1
            await asyncio.sleep(max(0.0, began + sent / per_second - time.perf_counter()))
    await feed.drained(bulk=False)
    async with asyncio.timeout(30):
        await follower.all_arrived()
    return list(follower.seconds)


async def measure(stack: ThrowawayStack) -> Found:
    found = Found()
    key = await asyncio.to_thread(stack.create_account, "bench segments")
    client = await segment_feed.connect(stack)
    async with Rest(stack.url, key) as rest:
        await segment_feed.create_segments(rest, SEGMENTS - 1)
        marked = await rest.post(
            "/v1/segments", {"name": "Marked", "conditions": [{"field": "tags", "operator": "contains", "value": MARK}]}
        )
        await segment_feed.ready(rest, marked["id"])
    feed = Feed(client.jetstream(), await segment_feed.account_of(stack, marked["id"]))
    follower = Follower(marked["id"])
    await client.subscribe("events.segment.members_changed.>", cb=follower.arrive)
    book = segment_feed.people(BOOK, seed=1)
    console.print(f"{SEGMENTS:,} segments are there")
    found.created = await rate_of_bulk(feed, [*book, *segment_feed.people(BULKS - BOOK, seed=2)])
    console.print(f"created: {found.created:,.0f} a second")
    found.bulk = await rate_of_bulk(feed, segment_feed.changed(book, seed=3), fields=FIELDS)
    console.print(f"bulk: {found.bulk:,.0f} a second")
    with segment_feed.another_worker(stack):
        await asyncio.sleep(START_SECONDS)
        found.bulk_by_two = await rate_of_bulk(feed, segment_feed.changed(book, seed=4), fields=FIELDS)
    console.print(f"bulk, two workers: {found.bulk_by_two:,.0f} a second")
    found.single = await rate_of_singles(feed, book[:SINGLES])
    console.print(f"single: {found.single:,.0f} a second")
    # Not those of before, whose versions went on.
    fresh = book[SINGLES:]
    ends = asyncio.Event()
    asyncio.get_running_loop().call_later(LATENCY_SECONDS, ends.set)
    found.latency = await follow(feed, follower, fresh, per_second=found.single / 2, until=ends)
    console.print(f"latency: {len(found.latency):,} samples")
    found.idle = await idle(stack)
    console.print(f"idle: {found.idle:.2%}; now beside a million")
    found.million, found.behind, found.beside = await beside_a_million(feed, follower, fresh)
    await client.close()
    return found


async def idle(stack: ThrowawayStack) -> float:
    """The part of a processor that both processes of segments use together while nothing happens."""
    await segment_feed.told(stack)
    with watched(stack.pid("segments")) as serve, watched(stack.pid("segments-work")) as work:
        await asyncio.sleep(IDLE_SECONDS)
    return (serve.cpu_seconds + work.cpu_seconds) / IDLE_SECONDS


async def beside_a_million(
    feed: Feed, follower: Follower, people: list[contacts_pb2.Contact]
) -> tuple[float, float, list[float]]:
    """New contacts a second, seconds from the last one's event to right membership, latencies of single changes."""
    # Made before, for making them would hold up what is measured.
    events = await asyncio.to_thread(events_of_a_million)
    done = asyncio.Event()
    following = asyncio.create_task(follow(feed, follower, people, per_second=BESIDE, until=done))
    began = time.perf_counter()
    for data in events:
        await feed.publish_data(data, created=True, bulk=True)
    published = time.perf_counter()
    await feed.drained(bulk=True)
    rate, behind = MILLION / segment_feed.since(began), segment_feed.since(published)
    done.set()
    return rate, behind, await following


def events_of_a_million() -> list[bytes]:
    return [segment_feed.event(segment_feed.people(BATCH, seed=seed)) for seed in range(100, 100 + MILLION // BATCH)]


def run(rounds: int = 1) -> Outcome:
    del rounds  # Thousands of changes are their own repetition.
    with throwaway_stack.started("bench", environ=segment_feed.ALONE) as stack:
        found = asyncio.run(measure(stack))
    p50, p99 = (percentile(found.latency, quantile) for quantile in (0.5, 0.99))
    beside_p50, beside_p99 = (percentile(found.beside, quantile) for quantile in (0.5, 0.99))
    rows = [
        ["changes a second, one an event", f"{found.single:,.0f}", f"{found.single / LEAST_SINGLE:.2f}"],
        ["changes a second, 500 an event", f"{found.bulk:,.0f}", f"{found.bulk / LEAST_BULK:.2f}"],
        ["… by two workers", f"{found.bulk_by_two:,.0f}", f"{found.bulk_by_two / LEAST_BULK:.2f}"],
        ["new contacts a second, 500 an event", f"{found.created:,.0f}", ""],
        ["ms to the event of the step, at half the single rate, p50", f"{p50 * 1000:.0f}", ""],
        ["… p99", f"{p99 * 1000:.0f}", f"{p99 / LIMIT_P99:.2f}"],
        ["ms beside 1,000,000 new contacts, p50", f"{beside_p50 * 1000:.0f}", ""],
        ["… p99", f"{beside_p99 * 1000:.0f}", f"{beside_p99 / LIMIT_P99_BESIDE:.2f}"],
        ["… of which a second", f"{found.million:,.0f}", ""],
        ["… s after the last one's event until membership is right", f"{found.behind:.0f}", ""],
        ["% of a processor when idle", f"{found.idle * 100:.2f}", f"{found.idle / LIMIT_IDLE:.2f}"],
    ]
    missed = [
        sentence
        for wrong, sentence in (
            (found.single < LEAST_SINGLE, f"{found.single:,.0f} single changes a second, under {LEAST_SINGLE:,.0f}"),
            (found.bulk < LEAST_BULK, f"{found.bulk:,.0f} changes a second, 500 an event, under {LEAST_BULK:,.0f}"),
            (p99 > LIMIT_P99, f"p99 {p99:.2f} s at half the single rate, over {LIMIT_P99} s"),
            (beside_p99 > LIMIT_P99_BESIDE, f"p99 {beside_p99:.2f} s beside a million, over {LIMIT_P99_BESIDE} s"),
            (found.idle > LIMIT_IDLE, f"{found.idle:.1%} of a processor when idle, over {LIMIT_IDLE:.0%}"),
        )
        if wrong
    ]
    return Outcome(
        "segments_live",
        f"The live path of segments, {SEGMENTS:,} segments in the account",
        ["", "", "of the limit"],
        rows,
        {
            "single_per_second": found.single,
            "bulk_per_second": found.bulk,
            "bulk_per_second_by_two": found.bulk_by_two,
            "created_per_second": found.created,
            "p50_s": p50,
            "p99_s": p99,
            "beside_p50_s": beside_p50,
            "beside_p99_s": beside_p99,
            "beside_per_second": found.million,
            "behind_s": found.behind,
            "idle_share": found.idle,
            "samples": len(found.latency),
            "samples_beside": len(found.beside),
        },
        {"segments": SEGMENTS, "book": BOOK, "singles": SINGLES, "bulks": BULKS, "million": MILLION},
        missed,
    )
