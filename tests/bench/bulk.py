"""Changes to many contacts in the background, to the last one, against one bare statement over the same rows."""

import asyncio
import time
from collections.abc import Awaitable

import asyncpg

from deploy.local.demo import contacts_csv
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.freshness import import_file
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

ROWS = 100_000
SEED = 1
POLL_SECONDS = 0.05
# What a change writes at the least: the contacts and the rows of the list. No events, no locks, no counts.
BARE = """
WITH changed AS (
    UPDATE contacts SET list_ids = list_ids || $2::uuid, version = version + 1, updated_at = now()
    WHERE account_id = $1 RETURNING id
)
INSERT INTO contact_lists (account_id, list_id, contact_id, added_at) SELECT $1, $2, id, now() FROM changed
"""
# The only account of the stack that has contacts.
ACCOUNT = "SELECT account_id FROM contacts LIMIT 1"
CONTACTS = "SELECT count(*) FROM contacts"
LEFT = "SELECT count(*) FROM contact_lists WHERE account_id = $1"


async def seconds_of(work: Awaitable[None]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def bare(database: asyncpg.Connection) -> None:
    """Leaves nothing behind."""
    account = await database.fetchval(ACCOUNT)
    async with database.transaction():
        rolled_back = database.transaction()
        await rolled_back.start()
        await database.execute(BARE, account, account)
        await rolled_back.rollback()


async def job(rest: Rest, path: str, body: dict[str, object], *, contacts: int) -> None:
    """Until it has ended."""
    found = await rest.post(path, body)
    while found["status"] in ("queued", "running"):
        await asyncio.sleep(POLL_SECONDS)
        found = await rest.get(f"/v1/bulk-jobs/{found['id']}")
    if (found["status"], found["changed"]) != ("completed", contacts):
        raise RuntimeError(f"the job ended otherwise: {found}")


async def delete_list(rest: Rest, database: asyncpg.Connection, list_id: str) -> None:
    """Until no contact names it."""
    await rest.call("DELETE", f"/v1/lists/{list_id}")
    account = await database.fetchval(ACCOUNT)
    left = 1
    while left:
        await asyncio.sleep(POLL_SECONDS)
        left = await database.fetchval(LEFT, account)


async def measure(stack: ThrowawayStack) -> tuple[int, dict[str, float]]:
    """How many contacts there are: those of the file that can be imported."""
    file = stack.home.folder / "demo" / "bulk.csv"
    contacts_csv.write(file, rows=ROWS, seed=SEED)
    key = await asyncio.to_thread(stack.create_account, "bench bulk")
    database = await asyncpg.connect(stack.database_url("contacts"))
    async with Rest(stack.url, key) as rest:
        await import_file(rest, file)
        contacts: int = await database.fetchval(CONTACTS)
        seconds = {"one bare statement": await seconds_of(bare(database))}
        await database.execute("VACUUM ANALYZE contacts, contact_lists")
        made = (await rest.post("/v1/lists", {"name": "Everybody"}))["id"]
        listed = job(rest, "/v1/contacts/bulk-list", {"filter": {}, "add": [made]}, contacts=contacts)
        seconds["put on a list"] = await seconds_of(listed)
        by_list: dict[str, object] = {"filter": {"list_id": made}, "add": ["bench"]}
        seconds["tagged, by a list"] = await seconds_of(job(rest, "/v1/contacts/bulk-tag", by_list, contacts=contacts))
        seconds["list deleted"] = await seconds_of(delete_list(rest, database, made))
    await database.close()
    return contacts, seconds


def run(rounds: int = 1) -> Outcome:
    del rounds  # One pass over all contacts is long enough.
    with throwaway_stack.started("bench") as stack:
        contacts, seconds = asyncio.run(measure(stack))
    reference = seconds["one bare statement"]
    rows = [
        [name, f"{taken:.1f}", f"{contacts / taken:,.0f}", f"{reference / taken:.2f}"]
        for name, taken in seconds.items()
    ]
    figures = {
        name: {"seconds": taken, "per_second": contacts / taken, "ratio_to_bare": reference / taken}
        for name, taken in seconds.items()
    }
    return Outcome(
        "bulk",
        f"One change to each of {contacts:,} contacts, in the background",
        ["", "s", "contacts/s", "of bare"],
        rows,
        figures,
        {"rows": ROWS, "contacts": contacts, "seed": SEED},
    )
