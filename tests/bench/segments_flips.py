"""How many contacts a second flip when thousands are due at one moment, and how late a single one is.

A rule holds from a moment of each contact's own data on: `metadata.renewal in_last 1d`.
"""

import asyncio
import time

import orjson

from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench import segment_feed
from tests.bench.measure import percentile
from tests.bench.record import Outcome
from tests.bench.segment_feed import Feed
from tests.bench.segments_live import Follower
from tests.throwaway_stack import ThrowawayStack

SEGMENTS = 100
TOGETHER = 20_000
SINGLES = 40
BATCH = 500
# Time for the contacts to be there before their moment.
AHEAD_SECONDS = 30
LEAST_PER_SECOND = 3_000.0
LIMIT_LATE = 2.0


def renewing(count: int, *, seed: int, first: float, apart: float) -> list[bytes]:
    """Events of contacts whose renewal is at `first` (seconds since 1970) and so much later each."""
    people = segment_feed.people(count, seed=seed)
    for number, one in enumerate(people):
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(first + number * apart))
        one.metadata_json = orjson.dumps({"renewal": f"{at}Z"}).decode()
    return [segment_feed.event(people[start : start + BATCH]) for start in range(0, count, BATCH)]


async def measure(stack: ThrowawayStack) -> tuple[float, list[float]]:
    """Flips a second, and how late each single one was told."""
    key = await asyncio.to_thread(stack.create_account, "bench flips")
    client = await segment_feed.connect(stack)
    async with Rest(stack.url, key) as rest:
        await segment_feed.create_segments(rest, SEGMENTS - 1)
        conditions = [{"field": "metadata.renewal", "operator": "in_last", "value": "1d"}]
        segment = await rest.post("/v1/segments", {"name": "Renewed", "conditions": conditions})
        await segment_feed.ready(rest, segment["id"])
        feed = Feed(client.jetstream(), await segment_feed.account_of(stack, segment["id"]))
        moment = float(int(time.time()) + AHEAD_SECONDS)
        for data in await asyncio.to_thread(renewing, TOGETHER, seed=1, first=moment, apart=0.0):
            await feed.publish_data(data, created=True, bulk=True)
        await feed.drained(bulk=True)
        if time.time() > moment:
            raise RuntimeError("the contacts were not there in time")
        while (await rest.get(f"/v1/segments/{segment['id']}"))["member_count"] < TOGETHER:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        rate = TOGETHER / (time.time() - moment)
        late = await singles(stack, feed, segment["id"])
    await client.close()
    return rate, late


async def singles(stack: ThrowawayStack, feed: Feed, segment_id: str) -> list[float]:
    """From the moment of each to the event that tells of it."""
    client = await segment_feed.connect(stack)
    follower = Follower(segment_id)
    await client.subscribe("events.segment.members_changed.>", cb=follower.arrive)
    moment = float(int(time.time()) + 5)
    people = segment_feed.people(SINGLES, seed=2)
    for number, one in enumerate(people):
        at = moment + number
        one.metadata_json = orjson.dumps({"renewal": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))}).decode()
        follower.sent[one.id] = time.perf_counter() + at - time.time()
    await feed.publish(people)
    async with asyncio.timeout(SINGLES + 30):
        await follower.all_arrived()
    await client.close()
    return follower.seconds


def run(rounds: int = 1) -> Outcome:
    del rounds  # Each flip is a repetition.
    with throwaway_stack.started("bench", environ=segment_feed.ALONE) as stack:
        rate, late = asyncio.run(measure(stack))
    p50, worst = percentile(late, 0.5), max(late)
    missed = []
    if rate < LEAST_PER_SECOND:
        missed.append(f"{rate:,.0f} flips a second, under {LEAST_PER_SECOND:,.0f}")
    if worst > LIMIT_LATE:
        missed.append(f"a flip {worst:.2f} s late, over {LIMIT_LATE:.0f} s")
    return Outcome(
        "segments_flips",
        f"Flips by the clock, {SEGMENTS} segments in the account",
        ["", ""],
        [
            [f"flips a second, {TOGETHER:,} due at once", f"{rate:,.0f}"],
            [f"ms late, one a second ({len(late)}), p50", f"{p50 * 1000:.0f}"],
            ["… the latest", f"{worst * 1000:.0f}"],
        ],
        {"per_second": rate, "late_p50_s": p50, "latest_s": worst},
        {"segments": SEGMENTS, "together": TOGETHER, "singles": SINGLES},
        missed,
    )
