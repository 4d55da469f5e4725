"""Searches by REST in an account of a million contacts, one after another, against a page of them without a search.

The contacts are made by SQL, their words by the indexer's own statements (`search.rebuild`), and both are vacuumed and
analysed, as autovacuum does within a minute of an import. A tenth of the first names begin with `mar`, 3 % are Maria;
Aldous is the name of the oldest 5 % and of nobody else, the worst case of a walk from the newest.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from chassis.db import Database
from chassis.ids import AccountId
from deploy.local.demo.rest import Rest
from services.contacts.search.rebuild import rebuild
from tests import throwaway_stack
from tests.bench.measure import percentile
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

CONTACTS = 1_000_000
REQUESTS = 200
# Of each kind, before it is measured.
WARM_UP = 20
SEED = 1
LIMIT_P50_MS = 50.0
LIMIT_P99_MS = 200.0
SYLLABLES = ("ba", "den", "fo", "gi", "hul", "ka", "lo", "mi", "nor", "pe", "ra", "sto", "tu", "vel", "wi", "zan")
MARS = ("Mara", "Marco", "Marek", "Margaret", "Mariam", "Marie", "Mario", "Mark", "Marlene", "Martin")
DOMAINS = ("gmail.com", "gmail.com", "gmail.com", "outlook.com", "yahoo.com", "web.de", "mail.example.org")
STAGES = ("lead", "lead", "lead", "customer", "churned")
FILL = """
INSERT INTO contacts (
    account_id, id, created_at, updated_at, phone, phone_validity, email, email_normal, email_validity,
    first_name, last_name, phone_country, stage
)
SELECT $1, uuidv7(), clock_timestamp(), clock_timestamp(), '+1' || (2010000000 + (n * 7919) % 900000000), 'valid',
    lower(first || '.' || last) || n % 1000 || '@' || domain, lower(first || '.' || last) || n % 1000 || '@' || domain,
    'valid', first, last, 'US', stage
FROM (
    SELECT n,
        CASE WHEN n <= $2 / 20 THEN 'Aldous' ELSE ($3::text[])[1 + floor(random() * cardinality($3))] END AS first,
        ($4::text[])[1 + floor(random() * cardinality($4))] AS last,
        ($5::text[])[1 + floor(random() * cardinality($5))] AS domain,
        ($6::text[])[1 + floor(random() * cardinality($6))] AS stage
    FROM generate_series(1, $2::bigint) AS n OFFSET 0
) AS person
"""


@dataclass(frozen=True, slots=True)
class Person:
    first: str
    last: str
    phone: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of search: the query string of one, made for a contact that is there."""

    name: str
    query: Callable[[Person], dict[str, str]]
    limit_p50_ms: float = LIMIT_P50_MS


REFERENCE = "no search"
KINDS = (
    Kind(REFERENCE, lambda one: {}),
    Kind("rare word", lambda one: {"search": one.last}),
    Kind("common first name", lambda one: {"search": "maria"}),
    Kind("three letters, a tenth", lambda one: {"search": "mar"}),
    Kind("phone prefix", lambda one: {"search": one.phone[:9]}),
    Kind("phone suffix", lambda one: {"search": one.phone[-5:]}),
    Kind("two words", lambda one: {"search": f"{one.first} {one.last}"}),
    Kind("two common words", lambda one: {"search": f"mar {one.last[:1]}"}),
    Kind("email word", lambda one: {"search": "outlook"}),
    Kind("whole email", lambda one: {"search": f"{one.first}.{one.last}@gmail.com"}),
    Kind("one letter", lambda one: {"search": one.last[0]}),
    Kind("common, oldest only", lambda one: {"search": "aldous"}),
    Kind("common and a filter", lambda one: {"search": "maria", "stage": "churned"}),
    # In an order that has nothing to do with when the words came: the whole account may have to be gone through.
    Kind("common, by name", lambda one: {"search": "mar", "sort": "name"}, limit_p50_ms=LIMIT_P99_MS),
    Kind("nothing", lambda one: {"search": "qqqq"}),
)


async def fill(url: str, account: AccountId, contacts: int) -> dict[str, float]:
    """Seconds that each step took."""
    rng = random.Random(SEED)
    names = ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))).capitalize() for _ in range(20_000)]
    firsts = ["Maria"] * 60 + list(MARS) * 14 + names[:1800]
    connection = await asyncpg.connect(url)
    db = await Database.open(url)
    try:
        seconds = {}
        began = time.perf_counter()
        await connection.execute("SELECT setseed(0.5)")
        await connection.execute(FILL, account, contacts, firsts, names, DOMAINS, STAGES)
        seconds["contacts"] = time.perf_counter() - began
        began = time.perf_counter()
        async for _ in rebuild(db):
            pass
        seconds["words"] = time.perf_counter() - began
        began = time.perf_counter()
        for table in ("contacts", "search_entries", "search_words"):
            await connection.execute(f"VACUUM (ANALYZE) {table}")
        seconds["vacuum"] = time.perf_counter() - began
        return seconds
    finally:
        await connection.close()
        await db.stop()


async def people(url: str, account: AccountId, count: int) -> list[Person]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT first_name, last_name, phone FROM contacts TABLESAMPLE SYSTEM (10) REPEATABLE (1) "
            "WHERE account_id = $1 AND first_name <> 'Aldous' LIMIT $2",
            account,
            count * 50,
        )
    finally:
        await connection.close()
    return [Person(*row) for row in random.Random(SEED).choices(rows, k=count)]


async def timed(rest: Rest, kind: Kind, sample: list[Person]) -> list[float]:
    """Seconds of each search but the first ones."""
    latencies = []
    for number, person in enumerate(sample):
        began = time.perf_counter()
        await rest.get("/v1/contacts", **kind.query(person))
        if number >= WARM_UP:
            latencies.append(time.perf_counter() - began)
    return latencies


async def measure(
    stack: ThrowawayStack, requests: int, contacts: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    key = await asyncio.to_thread(stack.create_account, "bench search")
    url = stack.database_url("contacts")
    async with Rest(stack.url, key) as rest:
        await rest.post("/v1/contacts", {"external_id": "whose account"})
        connection = await asyncpg.connect(url)
        account = await connection.fetchval("SELECT account_id FROM contacts WHERE external_id = 'whose account'")
        await connection.close()
        seconds = await fill(url, account, contacts)
        sample = await people(url, account, WARM_UP + requests)
        return {kind.name: await timed(rest, kind, sample) for kind in KINDS}, seconds


def run(requests: int = REQUESTS, *, contacts: int = CONTACTS) -> Outcome:
    with throwaway_stack.started("bench") as stack:
        measured, seconds = asyncio.run(measure(stack, requests, contacts))
    figures = {
        name: {"p50_ms": percentile(taken, 0.5) * 1000, "p99_ms": percentile(taken, 0.99) * 1000}
        for name, taken in measured.items()
    }
    missed = [
        f"{kind.name}: {quantile} was {figures[kind.name][f'{quantile}_ms']:.0f} ms, over {limit:.0f} ms"
        for kind in KINDS
        for quantile, limit in (("p50", kind.limit_p50_ms), ("p99", LIMIT_P99_MS))
        if figures[kind.name][f"{quantile}_ms"] > limit
    ]
    return Outcome(
        "search",
        f"Searches by REST among {contacts:,} contacts of one account",
        ["search", "p50 ms", "p99 ms", f"p50 of {REFERENCE} / p50"],
        [
            [
                name,
                f"{figure['p50_ms']:.1f}",
                f"{figure['p99_ms']:.1f}",
                f"{figures[REFERENCE]['p50_ms'] / figure['p50_ms']:.2f}",
            ]
            for name, figure in figures.items()
        ],
        {"searches": figures, "fill_seconds": seconds},
        {"contacts": contacts, "requests": requests, "warm_up": WARM_UP, "seed": SEED},
        missed,
    )
