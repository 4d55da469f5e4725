"""Four hundred webhooks a second: to healthy endpoints alone, then beside slow, failing and redirecting ones.

Events are published to NATS, 50 a second, and go to eight healthy endpoints and, in the second half, to one of each
other kind. The time is from the publishing to the request's arrival. Afterwards all endpoints answer well, and each
must have every event.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import nats
from nats.js import JetStreamContext

from carillon.contacts.v1 import contacts_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from deploy.local import ports, stopping
from deploy.local.demo.rest import Rest
from deploy.local.home import REPOSITORY
from services.gateway.domain.keys import digest
from tests import throwaway_stack
from tests.bench.measure import percentile
from tests.bench.record import Outcome
from tests.bench.usage import watched
from tests.throwaway_stack import ThrowawayStack

HEALTHY = 8
OTHERS = ("slow", "failing", "redirecting")
EVENTS_PER_SECOND = 50
SECONDS = 30
CONTACTS = 200
WARM_EVENTS = 50
LIMIT_PER_SECOND = 400
# Of the healthy ones beside the others, against the healthy ones alone.
LIMIT_P99_MS = 1000.0
CAUGHT_UP_SECONDS = 150.0
COLUMNS = ("webhooks_per_second", "p50_ms", "p99_ms", "missing", "feed_p99_ms", "wait_p99_ms", "post_p99_ms")


@contextmanager
def receivers(folder: Path) -> Iterator[tuple[str, Path]]:
    """(URL, the file of what was taken)."""
    port, file = ports.choose(), folder / "taken.txt"
    file.touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.webhook_receivers", str(port), str(file)], cwd=REPOSITORY
    )
    try:
        yield f"http://127.0.0.1:{port}", file
    finally:
        stopping.stop(process)


def arrivals(file: Path) -> dict[str, dict[str, float]]:
    """The first of each event at each endpoint."""
    found: dict[str, dict[str, float]] = {}
    for line in file.read_text().splitlines():
        name, event, at = line.split()
        found.setdefault(name, {}).setdefault(event, float(at))
    return found


async def account_of(stack: ThrowawayStack, key: str) -> str:
    connection = await asyncpg.connect(stack.database_url("gateway"))
    try:
        found = await connection.fetchval("SELECT account_id FROM api_keys WHERE hash = $1", digest(key))
    finally:
        await connection.close()
    return ids.encode("acct", found)


async def publish(jetstream: JetStreamContext, account: str, count: int, *, per_second: float) -> dict[str, float]:
    """When each event was published, by its id. Versions of CONTACTS contacts by turns, as they would be changed."""
    published: dict[str, float] = {}
    began = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        # Ids as they are, since others take the same events: segments, and the index for searching.
        name = ids.encode("cnt", UUID(int=number % CONTACTS + 1))
        contact = contacts_pb2.Contact(id=name, version=number + 1, tags=["a", "b"])
        change = events_pb2.ContactChange(contact=contact, changed_fields=["tags"])
        data = events_pb2.ContactsChanged(changes=[change]).SerializeToString()
        event = str(uuid4())
        headers = {
            "ce-id": event, "ce-type": "contact.updated", "ce-time": datetime.now(UTC).isoformat(),
            "ce-source": "carillon/bench",
        }  # fmt: skip
        published[event] = time.monotonic()
        await jetstream.publish(f"events.contact.updated.{account}", data, headers=headers)
    return published


async def all_there(file: Path, names: list[str], events: set[str], *, seconds: float) -> dict[str, int]:
    """Waits until each endpoint has every event; how many each lacks at the end."""
    deadline = time.monotonic() + seconds
    while True:
        found = arrivals(file)
        missing = {name: len(events - found.get(name, {}).keys()) for name in names}
        if not any(missing.values()) or time.monotonic() > deadline:
            return missing
        await asyncio.sleep(0.5)


def latencies(file: Path, names: list[str], published: dict[str, float]) -> list[float]:
    found = arrivals(file)
    return [
        (found[name][event] - at) * 1000
        for name in names
        for event, at in published.items()
        if event in found.get(name, {})
    ]


# Of the first attempts at healthy endpoints, from a moment on: from the publishing to the place in the feed, from there
# to the attempt, and the attempt. In milliseconds.
STAGES = """
SELECT extract(epoch FROM feed.received_at - feed.time) * 1000,
    extract(epoch FROM tried.started_at - feed.received_at) * 1000, tried.duration_ms
FROM webhook_attempts AS tried
JOIN feed_events AS feed ON feed.account_id = tried.account_id AND feed.id = tried.event_id
JOIN webhooks AS hook ON hook.account_id = tried.account_id AND hook.id = tried.webhook_id
WHERE tried.number = 1 AND hook.url LIKE '%/healthy-%' AND feed.time >= $1
"""


async def stages(stack: ThrowawayStack, since: datetime) -> dict[str, float]:
    connection = await asyncpg.connect(stack.database_url("gateway"))
    try:
        rows = await connection.fetch(STAGES, since)
    finally:
        await connection.close()
    columns = {name: [float(row[at]) for row in rows] for at, name in enumerate(("feed", "wait", "post"))}
    return {
        f"{name}_{part}_ms": round(percentile(took, quantile), 1)
        for name, took in columns.items()
        for part, quantile in (("p50", 0.5), ("p99", 0.99), ("longest", 1.0))
    }


async def half(
    stack: ThrowawayStack, jetstream: JetStreamContext, account: str, file: Path, names: list[str], *, seconds: int
) -> tuple[dict[str, float], dict[str, object]]:
    """A run at the full rate; the healthy endpoints have everything at its end."""
    since = datetime.now(UTC)
    with watched(stack.pid("gateway-work")) as used:
        published = await publish(jetstream, account, EVENTS_PER_SECOND * seconds, per_second=EVENTS_PER_SECOND)
        missing = await all_there(file, names, set(published), seconds=30)
    took = latencies(file, names, published)
    found = arrivals(file)
    times = sorted(found[name][event] for name in names for event in published if event in found.get(name, {}))
    return published, {
        "webhooks_per_second": round(len(times) / (times[-1] - times[0]), 1),
        "p50_ms": round(percentile(took, 0.5), 1),
        "p99_ms": round(percentile(took, 0.99), 1),
        "missing": sum(missing.values()),
        **await stages(stack, since),
        "worker_cpu_seconds": round(used.cpu_seconds, 1),
        "worker_peak_mb": round(used.peak_bytes / 1e6),
    }


async def measure(
    stack: ThrowawayStack, seconds: int
) -> tuple[dict[str, object], dict[str, object], dict[str, int], float]:
    key = await asyncio.to_thread(stack.create_account, "bench webhooks")
    account = await account_of(stack, key)
    healthy = [f"healthy-{number}" for number in range(HEALTHY)]
    client = await nats.connect(stack.nats_url)
    jetstream = client.jetstream()
    with receivers(stack.home.folder) as (url, file):
        async with Rest(stack.url, key) as rest:

            async def endpoint(name: str) -> None:
                await rest.post("/v1/webhooks", {"url": f"{url}/{name}", "event_types": ["contact.*"]})

            for name in healthy:
                await endpoint(name)
            warm = await publish(jetstream, account, WARM_EVENTS, per_second=EVENTS_PER_SECOND)
            await all_there(file, healthy, set(warm), seconds=30)
            _, alone = await half(stack, jetstream, account, file, healthy, seconds=seconds)
            for name in OTHERS:
                await endpoint(name)
            published, beside = await half(stack, jetstream, account, file, healthy, seconds=seconds)
            async with aiohttp.ClientSession() as http, http.put(f"{url}/temper/good") as answer:
                answer.raise_for_status()
            began = time.monotonic()
            missing = await all_there(file, list(OTHERS), set(published), seconds=CAUGHT_UP_SECONDS)
            caught_up = time.monotonic() - began
    await client.close()
    return alone, beside, missing, caught_up


def run(seconds: int = SECONDS) -> Outcome:
    with throwaway_stack.started("bench-webhooks") as stack:
        alone, beside, missing, caught_up = asyncio.run(measure(stack, seconds))
    missed = []
    for name, found in (("alone", alone), ("beside the others", beside)):
        if float(str(found["webhooks_per_second"])) < 0.97 * LIMIT_PER_SECOND:
            missed.append(f"{name}: {found['webhooks_per_second']} webhooks/s, not {LIMIT_PER_SECOND}")
        if found["missing"]:
            missed.append(f"{name}: {found['missing']} deliveries missing at healthy endpoints")
    if float(str(beside["p99_ms"])) > LIMIT_P99_MS:
        missed.append(f"p99 of healthy endpoints beside the others {beside['p99_ms']} ms, over {LIMIT_P99_MS:.0f}")
    missed += [f"{count} events never reached the {name} endpoint" for name, count in missing.items() if count]
    rows = [
        [name, *(json.dumps(found[column]) for column in COLUMNS)]
        for name, found in (("healthy alone", alone), ("healthy beside the others", beside))
    ]
    rows += [[name, "", "", "", str(count), "", "", ""] for name, count in missing.items()]
    return Outcome(
        name="webhooks",
        title="Webhooks, from NATS to the endpoint",
        columns=["endpoints", "webhooks/s", "p50 ms", "p99 ms", "missing", "feed p99", "wait p99", "post p99"],
        rows=rows,
        figures={"alone": alone, "beside": beside, "missing": missing, "caught_up_seconds": round(caught_up, 1)},
        settings={"healthy": HEALTHY, "others": OTHERS, "events_per_second": EVENTS_PER_SECOND, "seconds": seconds},
        missed=missed,
    )
