"""1,000,000 new rows by REST while a segment follows, then the same file again; beside a bare COPY of what it made."""

import asyncio
import time

import asyncpg

from deploy.local.demo import contacts_csv
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.import_file import Imported, copy_again, import_once
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

ROWS = 1_000_000
SEED = 1
LEAST_RATIO = 0.35
LEAST_PER_SECOND = 20_000
LEAST_SPEED_UP = 5.0
LIMIT_BYTES = 300_000_000
SETTLED_SECONDS = 300.0
WORDS_SECONDS = 60.0


async def settled(rest: Rest, segment_id: str, members: int) -> float:
    """Seconds until the segment has that many members."""
    began = time.perf_counter()
    while (await rest.get(f"/v1/segments/{segment_id}"))["member_count"] != members:
        if time.perf_counter() - began > SETTLED_SECONDS:
            raise RuntimeError(f"membership was not right after {SETTLED_SECONDS:.0f} s")
        await asyncio.sleep(0.2)
    return time.perf_counter() - began


async def indexed(url: str, contacts: int) -> float:
    """Seconds until every contact's words are in the search index."""
    began = time.perf_counter()
    connection = await asyncpg.connect(url)
    try:
        while await connection.fetchval("SELECT count(*) FROM search_entries") < contacts:
            if time.perf_counter() - began > SETTLED_SECONDS:
                raise RuntimeError(f"the search index was not complete after {SETTLED_SECONDS:.0f} s")
            # The count itself takes a tenth of a second.
            await asyncio.sleep(1)
    finally:
        await connection.close()
    return time.perf_counter() - began


async def measure(stack: ThrowawayStack) -> tuple[Imported, float, float, Imported, float]:
    """The import, seconds after it until membership was right and until the words were complete, the second import,
    seconds of the bare COPY."""
    file = stack.home.folder / "demo" / "bench.csv"
    book = await asyncio.to_thread(contacts_csv.write, file, rows=ROWS, seed=SEED)
    key = await asyncio.to_thread(stack.create_account, "bench import million")
    async with Rest(stack.url, key) as rest:
        conditions = [{"field": "tags", "operator": "contains", "value": contacts_csv.PREMIUM}]
        segment = await rest.post("/v1/segments", {"name": "Premium", "conditions": conditions})
        first = await import_once(stack, rest, file)
        if first.answer["imported"] != book.imported:
            raise RuntimeError(f"imported {first.answer['imported']}, not {book.imported}")
        behind, words = await asyncio.gather(
            settled(rest, segment["id"], book.premium_members),
            indexed(stack.database_url("contacts"), book.imported),
        )
        again = await import_once(stack, rest, file)
        if again.answer["duplicates"] != book.imported + book.duplicates:
            raise RuntimeError(f"the same file again: {again.answer}")
        contact = (await rest.get("/v1/contacts", limit="1"))["data"][0]
    copied = await copy_again(stack.database_url("contacts"), contact["phone"] or contact["email"])
    return first, behind, words, again, copied


def missed(first: Imported, again: Imported, *, ratio: float, words: float) -> list[str]:
    found = []
    if words > WORDS_SECONDS:
        found.append(f"search words were complete {words:.0f} s after the end, over {WORDS_SECONDS:.0f} s")
    per_second, speed_up = ROWS / first.import_seconds, first.import_seconds / again.import_seconds
    if ratio < LEAST_RATIO:
        found.append(f"{ratio:.2f} of a bare COPY, under {LEAST_RATIO}")
    if per_second < LEAST_PER_SECOND:
        found.append(f"{per_second:,.0f} rows/s, under {LEAST_PER_SECOND:,}")
    if speed_up < LEAST_SPEED_UP:
        found.append(f"the same file again was {speed_up:.1f}× as fast, under {LEAST_SPEED_UP:.0f}×")
    peak = max(first.peak_bytes, again.peak_bytes)
    if peak > LIMIT_BYTES:
        found.append(f"contacts-work held {peak / 1e6:.0f} MB, over {LIMIT_BYTES / 1e6:.0f} MB")
    return found


def run(rounds: int = 1) -> Outcome:
    del rounds  # A million rows are their own repetition.
    with throwaway_stack.started("bench") as stack:
        first, behind, words, again, copied = asyncio.run(measure(stack))
    # Of the rows that were imported, per second, over those that COPY takes.
    ratio = copied / first.import_seconds
    rows = [
        [name, f"{one.import_seconds:.1f}", f"{ROWS / one.import_seconds:,.0f}", f"{one.cpu_seconds:.1f}",
         f"{one.peak_bytes / 1e6:.0f}"]
        for name, one in (("new contacts", first), ("the same file again", again))
    ]  # fmt: skip
    made = int(first.answer["imported"])
    rows.append([f"bare COPY of the {made:,}", f"{copied:.1f}", f"{made / copied:,.0f}", "", ""])
    return Outcome(
        "import_million",
        f"Import of {ROWS:,} rows by REST; membership was right {behind:.1f} s after it, words {words:.1f} s; "
        f"{ratio:.2f} of a bare COPY",
        ["", "s", "rows/s", "CPU s of contacts-work", "peak RSS MB"],
        rows,
        {
            "import_s": first.import_seconds,
            "again_s": again.import_seconds,
            "copy_s": copied,
            "copy_ratio": ratio,
            "membership_behind_s": behind,
            "words_behind_s": words,
            "peak_rss_bytes": max(first.peak_bytes, again.peak_bytes),
        },
        {"rows": ROWS, "seed": SEED},
        missed(first, again, ratio=ratio, words=words),
    )
