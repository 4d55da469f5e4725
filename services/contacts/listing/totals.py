"""How many contacts a filter leaves: counted where that is quick, else estimated as the planner does."""

from typing import NamedTuple

import asyncpg

from chassis.db import Database, ReadTx
from chassis.ids import AccountId
from services.contacts.arguments import Arguments
from services.contacts.domain import search as domain
from services.contacts.listing.filters import Filter, narrowing
from services.contacts.listing.pages import RARE, having
from services.contacts.search import postings

COUNTED = 100_000
MILLISECONDS = 100
TIMEOUT = "SELECT set_config('statement_timeout', $1, true)"


class Total(NamedTuple):
    value: int
    is_estimate: bool


async def total(
    db: Database, account: AccountId, wanted: Filter, *, counted: int = COUNTED, milliseconds: int = MILLISECONDS
) -> Total:
    """counted: how many are counted at most, and for how long. An estimate is above the number that was reached."""
    reached = 0
    try:
        async with db.read(account) as tx:
            await tx.plan_each()
            await tx.fetchval(TIMEOUT, str(milliseconds))
            sql, args = await count_query(tx, account, wanted, limit=counted + 1)
            reached = await tx.fetchval(sql, *args)
        if reached <= counted:
            return Total(reached, is_estimate=False)
    except asyncpg.QueryCanceledError:
        pass
    async with db.read(account) as tx:
        return Total(max(reached, await estimate(tx, account, wanted)), is_estimate=True)


async def count_query(tx: ReadTx, account: AccountId, wanted: Filter, *, limit: int) -> tuple[str, Arguments]:
    args = Arguments([account])
    by = narrowing(wanted, args)
    joins, also = by.joins, by.also
    search = domain.parse(wanted.search) if wanted.search else None
    if search is not None:
        joins += " JOIN search_entries AS s ON s.account_id = $1 AND s.contact_id = c.id"
        also += f" AND ({postings.text_condition(search, args)})"
        chosen = having(search, await postings.counts(tx, account, search, cap=RARE), most=RARE)
        if all(chosen):
            also += f" AND c.id IN ({postings.found(chosen, args)})"
    return (
        f"SELECT count(*) FROM (SELECT FROM contacts AS c{joins} WHERE c.account_id = $1{also} "
        f"LIMIT {args.add(limit)}) AS counted"
    ), args


async def estimate(tx: ReadTx, account: AccountId, wanted: Filter) -> int:
    """As if the words of a search occurred independently of the rest, and the rarest brought the others along."""
    args = Arguments([account])
    by = narrowing(wanted, args)
    rows = await tx.planned_rows(f"SELECT FROM contacts AS c{by.joins} WHERE c.account_id = $1{by.also}", *args)
    search = domain.parse(wanted.search) if wanted.search else None
    if search is None:
        return rows
    everybody = await tx.planned_rows("SELECT FROM contacts AS c WHERE c.account_id = $1", account)
    having = 0
    for reading in search.readings:
        having += min([await word_rows(tx, account, word) for word in postings.counted(reading)])
    return rows * min(having, everybody) // max(everybody, 1)


async def word_rows(tx: ReadTx, account: AccountId, word: str) -> int:
    args = Arguments([account])
    sql = postings.posting(word, args)
    return await tx.planned_rows(sql, *args)
