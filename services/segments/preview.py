"""Who a rule would hold, in SQL over the projection, without keeping anything."""

from dataclasses import dataclass

from chassis.db import ReadTx
from chassis.ids import AccountId
from services.segments import contact_facts, projection
from services.segments.domain.comparisons import Compiled
from services.segments.predicate import Predicate, compile_sql

SAMPLE = 10
# Up to so many conditions, or in an account of so many contacts, the count is exact.
EXACT_CONDITIONS = 5
EXACT_CONTACTS = 200_000
# Contacts that a sample aims at, and the fewest that it may be reckoned from.
SAMPLED = 100_000
FEWEST = 20_000
# Pages are everybody's: in a table so many times the account's size a sample would read more than the account has.
MOST_OTHERS = 4

COUNT = "SELECT count(*) FROM contacts_projection p {join} WHERE p.account_id = $1 AND NOT p.deleted AND {predicate}"
FIRST = """
SELECT p.snapshot FROM contacts_projection p {pages} {join}
WHERE p.account_id = $1 AND NOT p.deleted AND {predicate} LIMIT $2
"""
RECKON = """
SELECT count(*) AS contacts, count(*) FILTER (WHERE NOT p.deleted AND {predicate}) AS found
FROM contacts_projection p {pages} {join} WHERE p.account_id = $1
"""
PAGES = "TABLESAMPLE SYSTEM ({percent:.4f}) REPEATABLE (1)"
ALL_ROWS = "SELECT reltuples::float8 FROM pg_class WHERE oid = 'contacts_projection'::regclass"


@dataclass(frozen=True, slots=True)
class Preview:
    count: int
    estimate: bool
    # Serialised contacts, SAMPLE of them at most.
    sample: list[bytes]


async def of(tx: ReadTx, account: AccountId, rule: Compiled, *, conditions: int) -> Preview:
    """conditions: how many there are, those of the segments that the rule names among them."""
    await tx.plan_each()
    now = contact_facts.now_micros()
    predicate = compile_sql(rule, first=2, now=now)
    reckoning = None if conditions <= EXACT_CONDITIONS else await reckoned(tx, account, predicate)
    if reckoning is None:
        pages, count = "", await tx.fetchval(filled(COUNT, predicate), account, *predicate.args)
    else:
        pages, count = reckoning
    sample = []
    if count:
        # Of the same pages: who is hard to find would be looked for among all.
        first = compile_sql(rule, first=3, now=now)
        rows = await tx.fetch(filled(FIRST, first, pages=pages), account, SAMPLE, *first.args)
        sample = [row["snapshot"] for row in rows]
    return Preview(count, reckoning is not None, sample)


async def reckoned(tx: ReadTx, account: AccountId, predicate: Predicate) -> tuple[str, int] | None:
    """The part of the table's pages that was looked at, and the count by it; None where that would not be worth it."""
    contacts = await tx.planned_rows(projection.OF_ACCOUNT, account)
    if contacts <= EXACT_CONTACTS:
        return None
    if await tx.fetchval(ALL_ROWS) > MOST_OTHERS * contacts:
        return None
    pages = PAGES.format(percent=100 * SAMPLED / contacts)
    found = await tx.fetchrow(filled(RECKON, predicate, pages=pages), account, *predicate.args)
    assert found is not None
    if found["contacts"] < FEWEST:
        return None
    return pages, round(found["found"] * contacts / found["contacts"])


def filled(sql: str, predicate: Predicate, *, pages: str = "") -> str:
    """The predicate comes last: it repeats what people wrote."""
    return sql.replace("{pages}", pages).replace("{join}", predicate.join).replace("{predicate}", predicate.sql)
