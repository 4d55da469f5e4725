"""Who a rule would hold, in SQL over the projection, without keeping anything."""

from dataclasses import dataclass

import orjson

from chassis.db import ReadTx
from chassis.ids import AccountId
from services.segments import contact_facts
from services.segments.domain.comparisons import Compiled
from services.segments.predicate import Predicate, compile_sql

SAMPLE = 10
# Up to so many conditions, or in an account of so many contacts, the count is exact.
EXACT_CONDITIONS = 5
EXACT_CONTACTS = 200_000
# Contacts that a sample aims at, and the fewest that it may be reckoned from.
SAMPLED = 100_000
FEWEST = 20_000

COUNT = "SELECT count(*) FROM contacts_projection p {join} WHERE p.account_id = $1 AND NOT p.deleted AND {predicate}"
FIRST = """
SELECT p.snapshot FROM contacts_projection p {join} WHERE p.account_id = $1 AND NOT p.deleted AND {predicate} LIMIT $2
"""
RECKON = """
SELECT count(*) AS contacts, count(*) FILTER (WHERE NOT p.deleted AND {predicate}) AS found
FROM contacts_projection p TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1) {join}
WHERE p.account_id = $1
"""
ROWS = "EXPLAIN (FORMAT JSON) SELECT FROM contacts_projection WHERE account_id = $1"
# The plan follows the rule's values, and two processors scan faster than one.
SETTINGS = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"


@dataclass(frozen=True, slots=True)
class Preview:
    count: int
    estimate: bool
    # Serialised contacts, SAMPLE of them at most.
    sample: list[bytes]


async def of(tx: ReadTx, account: AccountId, rule: Compiled, *, conditions: int) -> Preview:
    """conditions: how many there are, those of the segments that the rule names among them."""
    await tx.fetchval(SETTINGS)
    now = contact_facts.now_micros()
    predicate = compile_sql(rule, first=2, now=now)
    count = None if conditions <= EXACT_CONDITIONS else await reckoned(tx, account, predicate)
    estimate = count is not None
    if count is None:
        count = await tx.fetchval(filled(COUNT, predicate), account, *predicate.args)
    sample = []
    if count or estimate:
        first = compile_sql(rule, first=3, now=now)
        sample = [row["snapshot"] for row in await tx.fetch(filled(FIRST, first), account, SAMPLE, *first.args)]
    return Preview(count, estimate, sample)


async def reckoned(tx: ReadTx, account: AccountId, predicate: Predicate) -> int | None:
    """From a part of the table's pages; None where that would not be worth it."""
    plan = orjson.loads(await tx.fetchval(ROWS, account))
    contacts: int = plan[0]["Plan"]["Plan Rows"]
    if contacts <= EXACT_CONTACTS:
        return None
    percent = 100 * SAMPLED / contacts
    sql = filled(RECKON.replace("{percent}", f"{percent:.4f}"), predicate)
    found = await tx.fetchrow(sql, account, *predicate.args)
    assert found is not None
    if found["contacts"] < FEWEST:
        return None
    count: int = round(found["found"] * contacts / found["contacts"])
    return count


def filled(sql: str, predicate: Predicate) -> str:
    """The predicate comes last: it repeats what people wrote."""
    return sql.replace("{join}", predicate.join).replace("{predicate}", predicate.sql)
