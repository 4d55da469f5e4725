"""Exports of 100,000 contacts through the public API, against a bare COPY of the same rows to a client."""

import asyncio
import time
from dataclasses import dataclass

import asyncpg

from deploy.local.demo import contacts_csv
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.measure import median
from tests.bench.record import Outcome
from tests.bench.usage import watched
from tests.throwaway_stack import ThrowawayStack

ROWS = 100_000
ROUNDS = 5
SEED = 1
POLL_SECONDS = 0.02
FORMATS = ("csv", "jsonl", "xlsx", "vcf")
LIMIT_BYTES = 300_000_000
COPY = """
SELECT phone, email, first_name, last_name, country, stage, gender, language, timezone, tags, external_id,
    instagram_id, channel, custom_channel, chat_widget_id, current_campaign, is_chat_window_open, is_bot_active,
    do_not_disturb, current_campaign_data, metadata
FROM contacts WHERE account_id = $1
"""


@dataclass(frozen=True, slots=True)
class Round:
    # By format.
    seconds: dict[str, float]
    sizes: dict[str, int]
    copy_seconds: float
    peak_bytes: int


async def export(rest: Rest, format_: str) -> tuple[float, int]:
    """Seconds from the request until the file can be had, and its size."""
    began = time.perf_counter()
    answer = await rest.post("/v1/exports", {"resource": "contacts", "format": format_})
    while answer["status"] not in ("completed", "failed"):
        await asyncio.sleep(POLL_SECONDS)
        answer = await rest.get(f"/v1/exports/{answer['id']}")
    seconds = time.perf_counter() - began
    if answer["status"] == "failed":
        raise RuntimeError(answer["error"])
    return seconds, answer["progress"]["bytes"]


async def copy(url: str) -> float:
    """Seconds for the cells of the only account, as they stand in the table."""
    connection = await asyncpg.connect(url)
    try:
        account = await connection.fetchval("SELECT account_id FROM contacts LIMIT 1")

        async def forget(chunk: bytes) -> None:
            pass

        began = time.perf_counter()
        await connection.copy_from_query(COPY, account, output=forget, format="csv")
        return time.perf_counter() - began
    finally:
        await connection.close()


async def one_round(stack: ThrowawayStack, rest: Rest) -> Round:
    seconds, sizes = {}, {}
    with watched(stack.pid("contacts-work")) as usage:
        for format_ in FORMATS:
            seconds[format_], sizes[format_] = await export(rest, format_)
    return Round(seconds, sizes, await copy(stack.database_url("contacts")), usage.peak_bytes)


async def measure(stack: ThrowawayStack, rounds: int) -> tuple[list[Round], int]:
    file = stack.home.folder / "demo" / "bench.csv"
    book = contacts_csv.write(file, rows=ROWS, seed=SEED)
    key = await asyncio.to_thread(stack.create_account, "bench export")
    async with Rest(stack.url, key) as rest:
        await rest.upload("/v1/contacts/import", file, on_bytes=lambda done, size: None)
        return [await one_round(stack, rest) for _ in range(rounds + 1)][1:], book.imported


def run(rounds: int = ROUNDS) -> Outcome:
    with throwaway_stack.started("bench-export") as stack:
        measured, contacts = asyncio.run(measure(stack, rounds))
    copied = median([one.copy_seconds for one in measured])
    peak = max(one.peak_bytes for one in measured)
    rows, figures = [], {}
    for format_ in FORMATS:
        seconds = median([one.seconds[format_] for one in measured])
        ratio = median([one.copy_seconds / one.seconds[format_] for one in measured])
        figures[format_] = {"seconds_median": seconds, "copy_to_export_ratio_median": ratio}
        size = measured[0].sizes[format_] / 1e6
        rows.append([format_, f"{seconds:.2f}", f"{contacts / seconds:,.0f}", f"{size:.1f}", f"{ratio:.2f}"])
    rows.append(["bare COPY", f"{copied:.2f}", f"{contacts / copied:,.0f}", "", ""])
    missed = []
    if peak > LIMIT_BYTES:
        missed.append(f"contacts-work held {peak / 1e6:.0f} MB, over {LIMIT_BYTES / 1e6:.0f} MB")
    return Outcome(
        "export",
        f"Export of {contacts:,} contacts by REST, against a bare COPY TO; peak RSS {peak / 1e6:.0f} MB",
        ["format", "s", "contacts/s", "MB", "COPY s / export s"],
        rows,
        {"formats": figures, "copy_seconds_median": copied, "peak_rss_bytes": peak},
        {"contacts": contacts, "rounds": rounds, "seed": SEED},
        missed,
    )
