"""Backing up a stack with 200,000 contacts and a segment of them, and restoring it into an empty one, step by step."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local import databases, ports, postgres, processes, stack, state
from deploy.local.demo import contacts_csv
from deploy.local.demo.rest import Rest
from deploy.local.home import REPOSITORY, Home
from tests import backups, throwaway_stack
from tests.bench.import_file import import_once
from tests.bench.import_million import indexed, settled
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

CONTACTS = 200_000
SEED = 1


async def fill(source: ThrowawayStack) -> None:
    file = source.home.folder / "demo" / "bench.csv"
    book = await asyncio.to_thread(contacts_csv.write, file, rows=CONTACTS, seed=SEED)
    key = await asyncio.to_thread(source.create_account, "bench backup")
    async with Rest(source.url, key) as rest:
        conditions = [{"field": "tags", "operator": "contains", "value": contacts_csv.PREMIUM}]
        segment = await rest.post("/v1/segments", {"name": "Premium", "conditions": conditions})
        await import_once(source, rest, file)
        await asyncio.gather(
            settled(rest, segment["id"], book.premium_members),
            indexed(source.database_url("contacts"), book.imported),
        )


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def restore(backup: Path, home: Home) -> dict[str, float]:
    """Seconds of each step, into servers of its own."""
    environ = processes.environment(home, os.environ) | {"CARILLON_PORT": str(ports.choose())}
    stack.reset(home)
    try:
        stack.up(home, only=processes.INFRASTRUCTURE, environ=environ, demo=False)
        known = state.load(home)
        server = postgres.prepare(home.postgres).url(known.ports["postgres"])
        for service in databases.SERVICES:
            databases.create(server, service, passwords=known.passwords[service])
        taken = {"restore.sh": timed(lambda: backups.run(backups.script("restore.sh", backup, known)))}
        for service in databases.SERVICES:
            command = backups.after_restore(known, service, backup)
            taken[f"{service} after-restore"] = timed(lambda command=command: backups.run(command))  # type: ignore[misc]
        return taken
    finally:
        stack.reset(home)


def run(rounds: int = 1) -> Outcome:
    del rounds
    with throwaway_stack.started("bench") as source:
        asyncio.run(fill(source))
        folder = source.home.folder / "backups"
        taken = {"backup.sh": timed(lambda: backups.run(backups.script("backup.sh", folder, source.known)))}
        (backup,) = folder.iterdir()
        size = sum(file.stat().st_size for file in backup.iterdir())
        lines = (backup / "tables.tsv").read_text().splitlines()
        table_rows = sum(int(line.split("\t")[2]) for line in lines)
        taken |= restore(backup, Home(REPOSITORY / ".carillon-bench-restored"))
        # reset leaves what it did not make.
        for file in backup.iterdir():
            file.unlink()
        backup.rmdir()
        folder.rmdir()
    rows = [[name, f"{seconds:.1f}"] for name, seconds in taken.items()]
    return Outcome(
        "backup",
        f"Backup and restore of {CONTACTS:,} contacts: {table_rows:,} rows of {len(lines)} tables, {size / 1e6:.0f} MB",
        ["", "s"],
        rows,
        {"seconds": taken, "rows": table_rows, "bytes": size},
        {"contacts": CONTACTS, "seed": SEED},
    )
