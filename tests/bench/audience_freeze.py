"""1,000,000 members of a segment written to the ledger: from the start to the frozen audience, and the worker's memory.

Against a bare INSERT of the same rows into an empty twin of the ledger, with all its keys.
"""

import asyncio
import time
from dataclasses import dataclass

import asyncpg

from deploy.local.demo import contacts_csv
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.import_file import import_once
from tests.bench.import_million import indexed, settled
from tests.bench.record import Outcome
from tests.bench.usage import watched
from tests.throwaway_stack import ThrowawayStack

ROWS = 1_000_000
SEED = 1
LIMIT_SECONDS = 60.0
MOST_SECONDS = 600.0
# Of campaigns-work.
LIMIT_BYTES = 300_000_000
FROZEN = "SELECT extract(epoch FROM frozen_at - started_at)::float8 FROM campaigns WHERE frozen_at IS NOT NULL"
BARE = """
CREATE TABLE bare_recipients (LIKE recipients INCLUDING ALL);
INSERT INTO bare_recipients SELECT * FROM recipients;
DROP TABLE bare_recipients;
"""


@dataclass(frozen=True, slots=True)
class Frozen:
    seconds: float
    total: int
    matched: int
    peak_bytes: int
    cpu_seconds: float


async def freeze(stack: ThrowawayStack, rest: Rest, segment_id: str) -> Frozen:
    body = 'Hi {{ name | default: "there" }}'
    template = await rest.post("/v1/templates", {"name": "bench", "channel": "sms", "body": body})
    made = await rest.post("/v1/campaigns", {"name": "bench", "template_id": template["id"], "segment_id": segment_id})
    path = f"/v1/campaigns/{made['id']}"
    with watched(stack.pid("campaigns-work")) as usage:
        await rest.post(f"{path}/start")
        seconds = await frozen(stack)
    found = await rest.get(f"{path}/audience")
    return Frozen(seconds, found["final"], found["matched"], usage.peak_bytes, usage.cpu_seconds)


async def frozen(stack: ThrowawayStack) -> float:
    """Seconds from the start of the only campaign until its audience was complete. Returns when it is."""
    connection = await asyncpg.connect(stack.database_url("campaigns"))
    try:
        seconds, deadline = None, time.perf_counter() + MOST_SECONDS
        while seconds is None and time.perf_counter() < deadline:
            await asyncio.sleep(0.2)
            seconds = await connection.fetchval(FROZEN)
    finally:
        await connection.close()
    if seconds is None:
        raise RuntimeError(f"the audience was not frozen after {MOST_SECONDS:.0f} s")
    return float(seconds)


async def bare(stack: ThrowawayStack) -> float:
    connection = await asyncpg.connect(stack.database_url("campaigns"))
    try:
        began = time.perf_counter()
        await connection.execute(BARE)
        return time.perf_counter() - began
    finally:
        await connection.close()


async def measure(stack: ThrowawayStack) -> tuple[Frozen, float]:
    file = stack.home.folder / "demo" / "bench.csv"
    book = await asyncio.to_thread(contacts_csv.write, file, rows=ROWS, seed=SEED)
    key = await asyncio.to_thread(stack.create_account, "bench freeze")
    async with Rest(stack.url, key) as rest:
        await rest.post(
            "/v1/senders",
            {
                "name": "bench", "channel": "sms", "address": "CARILLON", "provider": "http", "is_default": True,
                "settings": {"url": f"{stack.carrier_url}/messages"},
            },
        )  # fmt: skip
        await import_once(stack, rest, file)
        conditions = [{"field": "created_at", "operator": "exists"}]
        segment = await rest.post("/v1/segments", {"name": "Everybody", "conditions": conditions})
        await settled(rest, segment["id"], book.imported)
        # What an import leaves to be done afterwards is not of the freeze.
        await indexed(stack.database_url("contacts"), book.imported)
        frozen = await freeze(stack, rest, segment["id"])
    return frozen, await bare(stack)


def run(rounds: int = 1) -> Outcome:
    del rounds  # A million rows are their own repetition.
    with throwaway_stack.started("bench") as stack:
        frozen, without = asyncio.run(measure(stack))
    missed = []
    if frozen.seconds > LIMIT_SECONDS:
        missed.append(f"the audience was frozen in {frozen.seconds:.0f} s, over {LIMIT_SECONDS:.0f} s")
    if frozen.peak_bytes > LIMIT_BYTES:
        missed.append(f"campaigns-work held {frozen.peak_bytes / 1e6:.0f} MB, over {LIMIT_BYTES / 1e6:.0f} MB")
    rows = [
        ["segment to ledger", f"{frozen.matched:,}", f"{frozen.total:,}", f"{frozen.seconds:.1f}",
         f"{frozen.matched / frozen.seconds:,.0f}", f"{frozen.cpu_seconds:.1f}", f"{frozen.peak_bytes / 1e6:.0f}"],
        ["bare INSERT of the ledger", "", f"{frozen.total:,}", f"{without:.1f}", f"{frozen.total / without:,.0f}", "",
         ""],
    ]  # fmt: skip
    return Outcome(
        "audience_freeze",
        f"An audience of {frozen.matched:,} frozen",
        ["", "matched", "recipients", "s", "contacts/s", "CPU s of campaigns-work", "peak RSS MB"],
        rows,
        {
            "freeze_s": frozen.seconds,
            "matched": frozen.matched,
            "recipients": frozen.total,
            "peak_rss_bytes": frozen.peak_bytes,
            "bare_insert_s": without,
        },
        {"rows": ROWS, "seed": SEED},
        missed,
    )
