"""The 100,000-row CSV through the public API, against a bare COPY of the rows that it made into an equal table."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
# Coarse enough not to take a part of the cores itself.
POLL_SECONDS = 0.2
# Done when: ten seconds after the upload, 300 MB.
LIMIT_SECONDS = 10.0
LIMIT_BYTES = 300_000_000
TABLE = "contacts"


@dataclass(frozen=True, slots=True)
class Round:
    upload_seconds: float
    import_seconds: float
    copy_seconds: float
    peak_bytes: int
    # Of contacts-work.
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Imported:
    upload_seconds: float
    import_seconds: float
    peak_bytes: int
    cpu_seconds: float
    # The import as it ended.
    answer: dict[str, Any]


async def import_once(stack: ThrowawayStack, rest: Rest, file: Path) -> Imported:
    """Raises RuntimeError where the import failed."""
    with watched(stack.pid("contacts-work")) as usage:
        began = time.perf_counter()
        answer = await rest.upload(
            "/v1/contacts/import", file, on_bytes=lambda done, size: None, headers={"Prefer": "respond-async"}
        )
        uploaded = time.perf_counter()
        while answer["status"] not in ("completed", "failed"):
            await asyncio.sleep(POLL_SECONDS)
            answer = await rest.get(f"/v1/imports/{answer['id']}")
        ended = time.perf_counter()
    if answer["status"] == "failed":
        raise RuntimeError(f"the import failed: {answer['error']}")
    return Imported(uploaded - began, ended - uploaded, usage.peak_bytes, usage.cpu_seconds, answer)


async def one_round(stack: ThrowawayStack, file: Path, book: contacts_csv.Book) -> Round:
    """In a new account each time, so that every row is an insert into a table that has grown by the rounds before."""
    key = await asyncio.to_thread(stack.create_account, "bench import")
    async with Rest(stack.url, key) as rest:
        done = await import_once(stack, rest, file)
        if done.answer["imported"] != book.imported:
            raise RuntimeError(f"imported {done.answer['imported']}, not {book.imported}")
        contact = (await rest.get("/v1/contacts", limit="1"))["data"][0]
    copied = await copy_again(stack.database_url("contacts"), contact["phone"] or contact["email"])
    return Round(done.upload_seconds, done.import_seconds, copied, done.peak_bytes, done.cpu_seconds)


async def copy_again(url: str, address: str) -> float:
    """Seconds to COPY the rows of the account that has the address into an empty table like theirs."""
    connection = await asyncpg.connect(url)
    try:
        # The newest account with the address: earlier rounds imported the same file.
        account = await connection.fetchval(
            f"SELECT account_id FROM {TABLE} WHERE phone = $1 OR email = $1 ORDER BY created_at DESC LIMIT 1", address
        )
        columns = [
            row["attname"]
            for row in await connection.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped "
                "AND attgenerated = '' ORDER BY attnum",
                TABLE,
            )
        ]
        rows = bytearray()

        async def keep(chunk: bytes) -> None:
            rows.extend(chunk)

        await connection.copy_from_query(
            f"SELECT {', '.join(columns)} FROM {TABLE} WHERE account_id = $1", account, output=keep, format="binary"
        )
        await connection.execute(
            f"DROP TABLE IF EXISTS bench_copy; CREATE TABLE bench_copy (LIKE {TABLE} INCLUDING ALL)"
        )

        async def chunks():
            for at in range(0, len(rows), 1 << 18):
                yield bytes(rows[at : at + (1 << 18)])

        began = time.perf_counter()
        await connection.copy_to_table("bench_copy", columns=columns, source=chunks(), format="binary")
        seconds = time.perf_counter() - began
        await connection.execute("DROP TABLE bench_copy")
        return seconds
    finally:
        await connection.close()


async def measure(stack: ThrowawayStack, rounds: int) -> tuple[list[Round], contacts_csv.Book]:
    file = stack.home.folder / "demo" / "bench.csv"
    book = contacts_csv.write(file, rows=ROWS, seed=SEED)
    return [await one_round(stack, file, book) for _ in range(rounds)], book


def run(rounds: int = ROUNDS) -> Outcome:
    with throwaway_stack.started("bench") as stack:
        measured, book = asyncio.run(measure(stack, rounds))
    importing = median([one.import_seconds for one in measured])
    ratio = median([one.copy_seconds / one.import_seconds for one in measured])
    peak = max(one.peak_bytes for one in measured)
    rows = [
        [
            str(number),
            f"{one.upload_seconds:.2f}",
            f"{one.import_seconds:.2f}",
            f"{ROWS / one.import_seconds:,.0f}",
            f"{book.imported / one.copy_seconds:,.0f}",
            f"{one.copy_seconds / one.import_seconds:.2f}",
            f"{one.cpu_seconds:.2f}",
            f"{one.peak_bytes / 1e6:.0f}",
        ]
        for number, one in enumerate(measured, start=1)
    ]
    missed = []
    if importing > LIMIT_SECONDS:
        missed.append(f"the median import took {importing:.1f} s after the upload, over {LIMIT_SECONDS:.0f} s")
    if peak > LIMIT_BYTES:
        missed.append(f"contacts-work held {peak / 1e6:.0f} MB, over {LIMIT_BYTES / 1e6:.0f} MB")
    return Outcome(
        "import",
        f"Import of {ROWS:,} rows by REST, against a bare COPY of what it made",
        ["round", "upload s", "import s", "rows/s", "COPY rows/s", "COPY s / import s", "CPU s", "peak RSS MB"],
        rows,
        {
            "import_seconds_median": importing,
            "rows_per_second_median": ROWS / importing,
            "copy_to_import_ratio_median": ratio,
            "peak_rss_bytes": peak,
            "rounds": [
                {
                    "upload_s": one.upload_seconds,
                    "import_s": one.import_seconds,
                    "copy_s": one.copy_seconds,
                    "cpu_s": one.cpu_seconds,
                }
                for one in measured
            ],
        },
        {"rows": ROWS, "rounds": rounds, "seed": SEED},
        missed,
    )
