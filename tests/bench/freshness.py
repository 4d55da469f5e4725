"""From a tag's change through the API to the segment's members, with 100,000 contacts: idle, and during imports."""

import asyncio
from pathlib import Path

from deploy.local.demo import contacts_csv
from deploy.local.demo.following import Freshness, candidates, tag_on_and_off
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.measure import percentile
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

ROWS = 100_000
SAMPLES = 200
# Contacts that are tagged at the same time.
FOLLOWERS = 2
LIMIT_P50_MS = 250.0
LIMIT_P99_MS = 1000.0


async def import_file(rest: Rest, file: Path) -> None:
    """Returns when the import has ended."""
    answer = await rest.upload(
        "/v1/contacts/import", file, on_bytes=lambda done, size: None, headers={"Prefer": "respond-async"}
    )
    while answer["status"] not in ("completed", "failed"):
        await asyncio.sleep(0.2)
        answer = await rest.get(f"/v1/imports/{answer['id']}")
    if answer["status"] == "failed":
        raise RuntimeError(f"the import failed: {answer['error']}")


async def ready_segment(rest: Rest, book: contacts_csv.Book) -> str:
    conditions = [{"field": "tags", "operator": "contains", "value": contacts_csv.PREMIUM}]
    segment = await rest.post("/v1/segments", {"name": "Premium Customers", "conditions": conditions})
    async with asyncio.timeout(120):
        while segment["status"] != "ready" or segment["member_count"] != book.premium_members:
            await asyncio.sleep(0.1)
            segment = await rest.get(f"/v1/segments/{segment['id']}")
    return str(segment["id"])


async def idle(rest: Rest, contact_ids: list[str], segment_id: str) -> Freshness:
    found = Freshness()
    async with asyncio.TaskGroup() as group:
        for number in range(FOLLOWERS):
            mine = contact_ids[number:SAMPLES:FOLLOWERS]
            group.create_task(tag_on_and_off(rest, mine, segment_id=segment_id, freshness=found))
    return found


async def while_importing(rest: Rest, folder: Path, contact_ids: list[str], segment_id: str) -> tuple[Freshness, int]:
    """Only what was measured while an import into the same account ran; how many imports that took."""
    found, seed = Freshness(), 100
    while len(found.left) < SAMPLES:
        seed += 1
        file = folder / f"{seed}.csv"
        await asyncio.to_thread(contacts_csv.write, file, rows=ROWS, seed=seed)
        importing = asyncio.create_task(import_file(rest, file))
        running = Freshness()
        while not importing.done():
            # One contact a follower, then look again whether the import still runs.
            async with asyncio.TaskGroup() as group:
                for number in range(FOLLOWERS):
                    contact_id = contact_ids[(len(running.left) + number) % len(contact_ids)]
                    group.create_task(tag_on_and_off(rest, [contact_id], segment_id=segment_id, freshness=running))
        await importing
        # The last ones may have been measured after the import had ended.
        found.joined += running.joined[:-FOLLOWERS]
        found.left += running.left[:-FOLLOWERS]
        file.unlink()
    return found, seed - 100


async def measure(stack: ThrowawayStack) -> tuple[dict[str, Freshness], int]:
    folder = stack.home.folder / "demo"
    book = contacts_csv.write(folder / "first.csv", rows=ROWS, seed=1)
    key = await asyncio.to_thread(stack.create_account, "bench freshness")
    async with Rest(stack.url, key) as rest:
        await import_file(rest, folder / "first.csv")
        segment_id = await ready_segment(rest, book)
        contact_ids = await candidates(rest, count=SAMPLES)
        at_rest = await idle(rest, contact_ids, segment_id)
        busy, imports = await while_importing(rest, folder, contact_ids, segment_id)
    return {"idle": at_rest, "during an import": busy}, imports


def run(rounds: int = 1) -> Outcome:
    del rounds  # A sample is a change of one tag; there are no rounds.
    with throwaway_stack.started("bench") as stack:
        found, imports = asyncio.run(measure(stack))
    rows, missed = [], []
    figures: dict[str, object] = {}
    for condition, measured in found.items():
        for name, seconds in (("tag → member", measured.joined), ("untag → not a member", measured.left)):
            p50, p99 = percentile(seconds, 0.5) * 1000, percentile(seconds, 0.99) * 1000
            rows.append(
                [f"{name}, {condition}", str(len(seconds)), f"{p50:.0f}", f"{p99:.0f}", f"{max(seconds) * 1000:.0f}"]
            )
            figures[f"{name}, {condition}"] = {"samples": len(seconds), "p50_ms": p50, "p99_ms": p99}
            if p50 > LIMIT_P50_MS or p99 > LIMIT_P99_MS:
                missed.append(f"{name}, {condition}: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    return Outcome(
        "freshness",
        f"Freshness of a segment over {ROWS:,} contacts, ms from sending the change, the call included",
        ["", "samples", "p50", "p99", "slowest"],
        rows,
        figures,
        {"rows": ROWS, "followers": FOLLOWERS, "imports": imports, "seeds": [1, *range(101, 101 + imports)]},
        missed,
    )
