"""`python -m deploy.local.demo`: import → segment → campaign → receipts, every figure checked. 1 where one is off."""

import argparse
import asyncio
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console

from deploy.local import demo_account, home, processes, stack, state
from deploy.local.__main__ import print_places
from deploy.local.demo import audience, contacts_csv, importing, report, sending, verdict
from deploy.local.demo.carrier_log import Witness
from deploy.local.demo.rest import Refused, Rest, control
from deploy.local.demo.screen import Screen
from deploy.local.home import Home

# What the carrier does wrong meanwhile: each of these has to be survived without a second message to anybody.
TROUBLE: dict[str, object] = {
    "error_rate": 0.01,
    "error_status": 503,
    "reset_after_accept_rate": 0.002,
    "receipts": "auto",
    "receipt_failed_rate": 0.03,
    "receipt_duplicate_rate": 0.05,
}

PIPED_WIDTH = 110
# Whoever kills a process to see what happens should not see the demo itself fall over.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    where: Home
    rows: int
    seed: int
    # Messages a second at most; 0: as fast as it goes.
    rate: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.demo", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the CSV (default 100000)")
    parser.add_argument("--seed", type=int, default=1, help="of the contacts (default 1)")
    parser.add_argument("--rate", type=int, default=500, help="messages a second (default 500, 0: unlimited)")
    asked = parser.parse_args()
    run = Run(home.find(), asked.rows, asked.seed, asked.rate)
    # Piped into a file there is no width to ask for.
    console = Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)
    try:
        began = time.monotonic()
        stack.up(run.where)
        print_places(run.where, time.monotonic() - began)
        return 0 if asyncio.run(demonstrate(run, console)) else 1
    except (RuntimeError, OSError, Refused, aiohttp.ClientError, stack.NotUp, demo_account.AccountFailed) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        return 1


async def demonstrate(run: Run, console: Console) -> bool:
    """In an account of its own, so that it can be repeated on a stack with data. Whether all figures are right."""
    screen = Screen(console)
    known = state.load(run.where)
    mark = f"ref {secrets.token_hex(4)}"
    csv = run.where.folder / "demo" / "contacts.csv"
    book = make_file(screen, csv, run=run)
    key = await asyncio.to_thread(demo_account.create_account, run.where, known, f"demo {mark}")
    url, carrier_url = processes.gateway_url(known), processes.carrier_url(known)
    witness = Witness(run.where.carrier, mark)
    async with Rest(url, key, patience_seconds=PATIENCE_SECONDS) as rest, control(carrier_url, TROUBLE):
        screen.step("1. Import")
        made = await importing.run(rest, screen, csv, book=book)
        screen.step("2. A segment")
        segment_id, found = await audience.create_segment(rest, screen, book=book)
        made += found
        expected = await audience.refuse_some(rest, screen, book=book, seed=run.seed)
        screen.step("3. A campaign, with tags changing meanwhile, and a pause")
        sender = await create_sender(rest, carrier_url)
        on_its_way = sending.Sending(rest, screen, witness, segment_id)
        await sending.create(on_its_way, sender_id=sender, mark=mark, rate=run.rate)
        stats = await sending.run(on_its_way)
        await witness.wait_for_receipts(stats["sent"], seconds=5.0)
    made += on_its_way.checks
    made += verdict.checks(stats, witness.accepted, witness.receipts, expected=expected)
    console.print()
    report.freshness(console, on_its_way.freshness)
    report.stats(console, stats)
    repeated = len(witness.accepted) - len(witness.messages)
    screen.say(f"{repeated:,} messages were offered to the carrier again after a lost answer, with the same key\n")
    right = report.checks(console, made)
    report.by_hand(console, env=str(run.where.env), csv=str(csv))
    return right


def make_file(screen: Screen, csv: Path, *, run: Run) -> contacts_csv.Book:
    began = time.perf_counter()
    book = contacts_csv.write(csv, rows=run.rows, seed=run.seed)
    screen.say(
        f"\nmade {csv}: {book.rows:,} rows from {len(book.countries)} countries, "
        f"{csv.stat().st_size / 1e6:.1f} MB, in {time.perf_counter() - began:.1f} s (seed {run.seed})"
    )
    return book


async def create_sender(rest: Rest, carrier_url: str) -> str:
    sender = await rest.post(
        "/v1/senders",
        {
            "name": "Demo SMS",
            "channel": "sms",
            "address": "CARILLON",
            "provider": "http",
            "settings": {"url": f"{carrier_url}/messages"},
            "is_default": True,
        },
    )
    return str(sender["id"])


if __name__ == "__main__":
    sys.exit(main())
