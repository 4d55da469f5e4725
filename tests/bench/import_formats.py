"""The same 100,000 people as CSV, as a workbook and as vCards, by REST, each against the CSV of its round, and against
a bare COPY of what it made."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.local.demo.rest import Rest
from tests import throwaway_stack, workbooks
from tests.bench.import_file import Imported, copy_again, import_once
from tests.bench.import_million import indexed
from tests.bench.measure import median
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

ROWS = 100_000
ROUNDS = 3
LIMIT_BYTES = 300_000_000
Person = tuple[str, str, str, str]
TITLES: Person = ("phone", "name", "email", "tags")


def person(number: int) -> Person:
    tags = "premium,active" if number % 3 else "basic"
    return f"+4915{120_000_000 + number}", f"Käthe Müller {number}", f"kaethe.{number}@example.com", tags


def as_csv(people: Sequence[Person]) -> bytes:
    return "".join(f'{phone},{name},{email},"{tags}"\n' for phone, name, email, tags in [TITLES, *people]).encode()


def as_workbook(people: Sequence[Person]) -> bytes:
    return workbooks.table([TITLES, *((int(phone), *rest) for phone, *rest in people)])


def as_cards(people: Sequence[Person]) -> bytes:
    return "".join(
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\nTEL;TYPE=cell:{phone}\r\nEMAIL:{email}\r\nCATEGORIES:{tags}\r\n"
        "END:VCARD\r\n"
        for phone, name, email, tags in people
    ).encode()


WRITERS: dict[str, Callable[[Sequence[Person]], bytes]] = {"csv": as_csv, "xlsx": as_workbook, "vcf": as_cards}


async def one(stack: ThrowawayStack, file: Path) -> Imported:
    """In a new account."""
    key = await asyncio.to_thread(stack.create_account, "bench import formats")
    async with Rest(stack.url, key) as rest:
        done = await import_once(stack, rest, file)
    if done.answer["imported"] != ROWS:
        raise RuntimeError(f"{file.name}: imported {done.answer['imported']}, not {ROWS}")
    return done


async def measure(stack: ThrowawayStack, rounds: int) -> tuple[dict[str, list[Imported]], list[float]]:
    """By format; and the seconds of a COPY for each round."""
    folder = stack.home.folder / "demo"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    people = [person(number) for number in range(ROWS)]
    found: dict[str, list[Imported]] = {kind: [] for kind in WRITERS}
    for kind, write in WRITERS.items():
        await asyncio.to_thread((folder / f"people.{kind}").write_bytes, write(people))
    imported, copied = 0, []
    for _ in range(rounds):
        for kind, done in found.items():
            done.append(await one(stack, folder / f"people.{kind}"))
            imported += ROWS
            # The next one should not pay for the search words of this one.
            await indexed(stack.database_url("contacts"), imported)
        copied.append(await copy_again(stack.database_url("contacts"), people[0][0]))
    return found, copied


def run(rounds: int = ROUNDS) -> Outcome:
    with throwaway_stack.started("bench") as stack:
        found, copies = asyncio.run(measure(stack, rounds))
    seconds = {kind: median([one.import_seconds for one in done]) for kind, done in found.items()}
    peaks = {kind: max(one.peak_bytes for one in done) for kind, done in found.items()}
    copied = median(copies)
    ratios = {kind: seconds["csv"] / taken for kind, taken in seconds.items()}
    return Outcome(
        "import_formats",
        f"Import of {ROWS:,} rows by REST, by format; a bare COPY of them took {copied:.2f} s",
        ["format", "import s", "rows/s", "CSV s / import s", "COPY s / import s", "upload s", "CPU s", "peak RSS MB"],
        [
            [
                kind,
                f"{seconds[kind]:.2f}",
                f"{ROWS / seconds[kind]:,.0f}",
                f"{ratios[kind]:.2f}",
                f"{copied / seconds[kind]:.2f}",
                f"{median([one.upload_seconds for one in done]):.2f}",
                f"{median([one.cpu_seconds for one in done]):.2f}",
                f"{peaks[kind] / 1e6:.0f}",
            ]
            for kind, done in found.items()
        ],
        {
            kind: {
                "import_seconds_median": seconds[kind],
                "rows_per_second_median": ROWS / seconds[kind],
                "csv_to_import_ratio": ratios[kind],
                "copy_to_import_ratio": copied / seconds[kind],
                "peak_rss_bytes": peaks[kind],
            }
            for kind in WRITERS
        },
        {"rows": ROWS, "rounds": rounds},
        [
            f"contacts-work and its child held {peak / 1e6:.0f} MB with {kind}, over {LIMIT_BYTES / 1e6:.0f} MB"
            for kind, peak in peaks.items()
            if peak > LIMIT_BYTES
        ],
    )
