"""Pages of contacts in an order, from behind a key.

Without a search, one statement with the conditions that were asked for. With one, the index proposes contacts and each
is compared with its row, so that words which are out of date never yield a wrong one. The plan is chosen by counting:
  heads      where one word is asked for, by age, and few kept words begin so: the first contacts of each of these
  postings   where every reading has a rare word: the contacts of the rare words, intersected, then sorted
  walk       where all words are common: the contacts in order, until a page is full. It gives up after so many, for
             matches may lie together at the other end
  names      then, by name, where one word is asked for: the contacts whose names begin with it lie together in that
             order, and hardly any others have it
  sift       then: the contacts in order, against a hash of the postings, which costs a fraction of a walk for each;
             of the words those that are less common than others, if there are such
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from chassis.db import PLAN_EACH, ReadTx
from chassis.ids import AccountId
from services.contacts import repository
from services.contacts.arguments import Arguments
from services.contacts.domain import search as domain
from services.contacts.domain.contact import Contact
from services.contacts.domain.search import Search
from services.contacts.listing.filters import Filter, Narrowing, narrowing
from services.contacts.listing.order import NEWEST, Key, Order
from services.contacts.search import postings

# Rows of search_words up to which a word is rare.
RARE = 10_000
# And up to which its postings are sooner read than the texts of its companions' contacts, where these are not FEW.
SCARCE = 50_000
FEW = 1_000
# Contacts that a walk looks at: by age they lie side by side, in other orders all over the tables.
WALK = {"id": 20_000, "updated_at": 500, "sort_name": 500}
# A word by itself that a longer walk would find is so seldom that its postings are short. Two may be seldom together.
WALK_FOR_ONE = 5_000
# Words whose first contacts are looked up, each at the cost of reading some hundred rows of a posting.
HEADS = 64
# A plan for unknown values would lose the ranges and the frequencies; and workers take longer to start than most of a
# page does to read.
PLAN_ALONE = f"{PLAN_EACH}, set_config('max_parallel_workers_per_gather', '0', true)"

EVERYBODY = Filter()
BY_IDS = f"""
SELECT {repository.SELECTED} FROM contacts AS c
WHERE c.account_id = $1 AND c.id = ANY($2::uuid[]) ORDER BY c.id DESC
"""


class Hit(NamedTuple):
    contact: Contact
    key: Key


class Query(NamedTuple):
    """A page that is asked for."""

    account: AccountId
    wanted: Filter
    order: Order
    after: Key | None
    limit: int


async def page(
    tx: ReadTx, account: AccountId, wanted: Filter, *, order: Order = NEWEST, after: Key | None = None, limit: int
) -> list[Hit]:
    """Fewer than `limit` only at the end."""
    if wanted != EVERYBODY:
        await tx.fetchval(PLAN_ALONE)
    search = domain.parse(wanted.search) if wanted.search else None
    if search is None:
        sql, args = plain(Query(account, wanted, order, after, limit))
        return hits(await tx.fetch(sql, *args), order)
    found: list[Hit] = []
    query = Query(account, wanted, order, after, limit)
    words = await few_words(tx, query, search)
    counts = {} if words is not None else await postings.counts(tx, account, search, cap=RARE)
    while True:
        if words is not None:
            sql, args = by_heads(query, words)
            proposed = hits(await tx.fetch(sql, *args), order)
        else:
            proposed = hits(await propose(tx, query, search, counts), order)
        found += [hit for hit in proposed if finds(search, hit.contact)]
        if len(proposed) < query.limit or len(found) == limit:
            return found
        query = query._replace(after=proposed[-1].key, limit=limit - len(found))


async def key_at(
    tx: ReadTx, account: AccountId, wanted: Filter, *, order: Order, after: Key | None, skip: int
) -> Key | None:
    """Of the last of so many contacts, at least one, behind which a page begins; None where there are fewer."""
    if wanted.search:
        passed = await page(tx, account, wanted, order=order, after=after, limit=skip)
        return passed[-1].key if len(passed) == skip else None
    if wanted != EVERYBODY:
        await tx.fetchval(PLAN_ALONE)
    sql, args = place(Query(account, wanted, order, after, 1), skip - 1)
    row = await tx.fetchrow(sql, *args)
    return None if row is None else tuple(row)


async def selection(
    tx: ReadTx, account: AccountId, wanted: Filter, *, after: Key | None, limit: int
) -> tuple[str, Arguments]:
    """A page, newest first, as a statement, for who hands the rows on without looking at them."""
    if not wanted.search:
        return plain(Query(account, wanted, NEWEST, after, limit))
    found = await page(tx, account, wanted, after=after, limit=limit)
    return BY_IDS, Arguments([account, [hit.contact.id for hit in found]])


def finds(search: Search, contact: Contact) -> bool:
    return search.finds(name=contact.name, email=contact.email, phone=contact.phone)


def hits(rows: Sequence[asyncpg.Record], order: Order) -> list[Hit]:
    return [Hit(repository.contact(row), tuple(row[column] for column in order.columns)) for row in rows]


async def propose(tx: ReadTx, query: Query, search: Search, counts: dict[str, int]) -> list[asyncpg.Record]:
    chosen = having(search, counts, most=RARE)
    if not all(chosen):
        sql, args = walk(query, search)
        rows = await tx.fetch(sql, *args)
        if len(rows) == query.limit:
            return rows
        from_start = query.after is None and is_unfiltered(query)
        if not from_start and not await goes_on(tx, query, search):
            return rows
        word = one_word(query, search) if query.order.column == "sort_name" else None
        if word is not None:
            others = await other_names(tx, query, word)
            if len(others) <= FEW:
                sql, args = by_name(query, word, others)
                return await tx.fetch(sql, *args)
        sql, args = sift(query, search, await less_common(tx, query, search))
    else:
        if most_texts(search, chosen, counts) > FEW:
            chosen = await less_common(tx, query, search)
        sql, args = by_postings(query, search, chosen)
    return await tx.fetch(sql, *args)


async def few_words(tx: ReadTx, query: Query, search: Search) -> list[str] | None:
    """What each contact that is found has one of; None where that is not to be told, or more than HEADS."""
    if not decided_by_id(query) or any(len(reading) > 1 for reading in search.readings):
        return None
    return await postings.distinct(tx, query.account, search, most=HEADS)


def by_heads(query: Query, words: Sequence[str]) -> tuple[str, Arguments]:
    args = Arguments([query.account])
    behind, order = behind_id(query, args), "DESC" if query.order.descending else "ASC"
    return first_ids(postings.heads(words, args, behind=behind, order=order, limit=query.limit), query, args)


def having(search: Search, counts: dict[str, int], *, most: int) -> list[list[str]]:
    """The words of each reading that occur at most so often."""
    return [[word for word in reading if counts.get(word, most + 1) <= most] for reading in search.readings]


def most_texts(search: Search, chosen: Sequence[Sequence[str]], counts: dict[str, int]) -> int:
    """How many texts are read, at most, for the words of a reading that are not among the chosen ones."""
    return max(
        min(counts[word] for word in words) if len(words) < len(reading) else 0
        for words, reading in zip(chosen, search.readings, strict=True)
    )


async def less_common(tx: ReadTx, query: Query, search: Search) -> list[list[str]]:
    """Of each reading the words that are scarce, or else all that are counted."""
    all_counted = [postings.counted(reading) for reading in search.readings]
    if all(len(words) == 1 for words in all_counted):
        return all_counted
    scarce = having(search, await postings.counts(tx, query.account, search, cap=SCARCE), most=SCARCE)
    return [words or counted for words, counted in zip(scarce, all_counted, strict=True)]


def selected(order: Order) -> str:
    return repository.SELECTED + (", c.sort_name" if order.column == "sort_name" else "")


def narrowed(query: Query, args: Arguments) -> Narrowing:
    """By the filter, and to what comes after the key."""
    by_filter = narrowing(query.wanted, args)
    if query.after is None:
        return by_filter
    columns = ", ".join(f"c.{column}" for column in query.order.columns)
    values = ", ".join(args.add(value) for value in query.after)
    behind = f"({columns}) {query.order.comparison} ({values})"
    return Narrowing(by_filter.joins, [*by_filter.conditions, behind])


def plain(query: Query) -> tuple[str, Arguments]:
    args = Arguments([query.account])
    by = narrowed(query, args)
    return (
        f"SELECT {selected(query.order)} FROM contacts AS c{by.joins} WHERE c.account_id = $1{by.also} "
        f"ORDER BY {query.order.sql} LIMIT {args.add(query.limit)}"
    ), args


def place(query: Query, offset: int) -> tuple[str, Arguments]:
    """The keys alone, of which most are only counted."""
    args = Arguments([query.account])
    by = narrowed(query, args)
    columns = ", ".join(f"c.{column}" for column in query.order.columns)
    return (
        f"SELECT {columns} FROM contacts AS c{by.joins} WHERE c.account_id = $1{by.also} "
        f"ORDER BY {query.order.sql} OFFSET {args.add(offset)} LIMIT {args.add(query.limit)}"
    ), args


def walk(query: Query, search: Search) -> tuple[str, Arguments]:
    args = Arguments([query.account])
    if decided_by_id(query):
        entries = f"SELECT contact_id, text FROM {first_entries(query, args)} LIMIT {walk_length(query, search)}"
        found = f"SELECT contact_id FROM ({entries}) AS s WHERE {postings.text_condition(search, args)}"
        return first_ids(found, query, args)
    by = narrowed(query, args)
    return (
        f"SELECT {selected(query.order)} FROM (SELECT c.* FROM contacts AS c{by.joins} "
        f"WHERE c.account_id = $1{by.also} ORDER BY {query.order.sql} LIMIT {walk_length(query, search)}) AS c "
        "JOIN search_entries AS s ON s.account_id = $1 AND s.contact_id = c.id "
        f"WHERE {postings.text_condition(search, args)} ORDER BY {query.order.sql} LIMIT {args.add(query.limit)}"
    ), args


def walk_length(query: Query, search: Search) -> int:
    longest = WALK[query.order.column]
    return longest if any(len(reading) > 1 for reading in search.readings) else min(longest, WALK_FOR_ONE)


async def goes_on(tx: ReadTx, query: Query, search: Search) -> bool:
    """Whether a walk left contacts out. From the start of a whole account it did, or else a sift costs little."""
    args = Arguments([query.account])
    if decided_by_id(query):
        beyond = f"SELECT true FROM {first_entries(query, args)} OFFSET {walk_length(query, search)} LIMIT 1"
    else:
        by = narrowed(query, args)
        beyond = (
            f"SELECT true FROM contacts AS c{by.joins} WHERE c.account_id = $1{by.also} "
            f"ORDER BY {query.order.sql} OFFSET {walk_length(query, search)} LIMIT 1"
        )
    return await tx.fetchval(beyond, *args) is not None


def first_entries(query: Query, args: Arguments) -> str:
    """Those of deleted contacts among them: they have no text."""
    return (
        f"search_entries WHERE account_id = $1{behind_id(query, args)} "
        f"ORDER BY contact_id {'DESC' if query.order.descending else 'ASC'}"
    )


def behind_id(query: Query, args: Arguments) -> str:
    return f" AND contact_id {query.order.comparison} {args.add(query.after[0])}" if query.after else ""


def decided_by_id(query: Query) -> bool:
    """Nothing else of a contact says whether it is on the page, or where."""
    return query.order.column == "id" and is_unfiltered(query)


def is_unfiltered(query: Query) -> bool:
    """But for the search."""
    return query.wanted == Filter(search=query.wanted.search)


def first_ids(found: str, query: Query, args: Arguments) -> tuple[str, Arguments]:
    """Cut before any contact is read. found: contact_id, some of them twice."""
    way = "DESC" if query.order.descending else "ASC"
    return (
        f"WITH found AS MATERIALIZED (SELECT DISTINCT contact_id FROM ({found}) AS proposed "
        f"WHERE true{behind_id(query, args)} ORDER BY contact_id {way} LIMIT {args.add(query.limit)}) "
        f"SELECT {selected(query.order)} FROM found AS f "
        f"JOIN contacts AS c ON c.account_id = $1 AND c.id = f.contact_id WHERE c.account_id = $1 "
        f"ORDER BY {query.order.sql}"
    ), args


def by_postings(query: Query, search: Search, chosen: Sequence[Sequence[str]]) -> tuple[str, Arguments]:
    """chosen: words of each reading, which are looked up; the text has the others."""
    args = Arguments([query.account])
    found = proposed(search, chosen, args)
    if decided_by_id(query):
        return first_ids(found, query, args)
    by = narrowed(query, args)
    return (
        f"WITH found AS MATERIALIZED (SELECT DISTINCT contact_id FROM ({found}) AS proposed) "
        f"SELECT {selected(query.order)} FROM found AS f "
        f"JOIN contacts AS c ON c.account_id = $1 AND c.id = f.contact_id{by.joins} "
        f"WHERE c.account_id = $1{by.also} ORDER BY {query.order.sql} LIMIT {args.add(query.limit)}"
    ), args


def proposed(search: Search, chosen: Sequence[Sequence[str]], args: Arguments) -> str:
    """The contacts that have the chosen words of a reading, and as their texts have it the others too."""
    found = postings.found(chosen, args)
    if [sorted(words) for words in chosen] == [sorted(reading) for reading in search.readings]:
        return found
    # Looked up one by one: the planner would read all texts where it expects many.
    return (
        f"SELECT p.contact_id FROM ({found}) AS p, LATERAL (SELECT s.text FROM search_entries AS s "
        f"WHERE s.account_id = $1 AND s.contact_id = p.contact_id OFFSET 0) AS s "
        f"WHERE {postings.text_condition(search, args)}"
    )


def one_word(query: Query, search: Search) -> str | None:
    """All that the contacts are narrowed to; None where it is more."""
    if not is_unfiltered(query) or len(search.readings) > 1 or len(search.readings[0]) > 1:
        return None
    return search.readings[0][0]


def begins(word: str, args: Arguments) -> str:
    """On `contacts AS c`: the name does, as far as marks are left aside."""
    return f"c.sort_name >= {args.add(word)} AND c.sort_name < {args.add(word + postings.LAST_CHARACTER)}"


async def other_names(tx: ReadTx, query: Query, word: str) -> list[UUID]:
    """The contacts that have the word, and whose names do not begin with it; FEW, or one more."""
    args = Arguments([query.account])
    found, named = postings.posting(word, args), begins(word, args)
    rows = await tx.fetch(
        f"SELECT contact_id FROM ({found}) AS p WHERE (contact_id IN "
        f"(SELECT c.id FROM contacts AS c WHERE c.account_id = $1 AND {named})) IS NOT TRUE LIMIT {FEW + 1}",
        *args,
    )
    return [row[0] for row in rows]


def by_name(query: Query, word: str, others: Sequence[UUID]) -> tuple[str, Arguments]:
    args = Arguments([query.account])
    behind = narrowed(query, args).also
    first = (
        f"(SELECT c.id, c.sort_name FROM contacts AS c WHERE c.account_id = $1 AND {begins(word, args)}{behind} "
        f"ORDER BY {query.order.sql} LIMIT {args.add(query.limit)}) UNION "
        f"(SELECT c.id, c.sort_name FROM contacts AS c WHERE c.account_id = $1 "
        f"AND c.id = ANY({args.add(others)}::uuid[]){behind})"
    )
    return (
        f"WITH first AS MATERIALIZED (SELECT c.id FROM ({first}) AS c "
        f"ORDER BY {query.order.sql} LIMIT {args.add(query.limit)}) "
        f"SELECT {selected(query.order)} FROM first AS f JOIN contacts AS c ON c.account_id = $1 AND c.id = f.id "
        f"WHERE c.account_id = $1 ORDER BY {query.order.sql}"
    ), args


def sift(query: Query, search: Search, chosen: Sequence[Sequence[str]]) -> tuple[str, Arguments]:
    """chosen: as for `by_postings`."""
    if decided_by_id(query):
        return by_postings(query, search, chosen)
    args = Arguments([query.account])
    found = proposed(search, chosen, args)
    by = narrowed(query, args)
    # IS TRUE keeps the planner from making a join of it, which would lose the order; without further conditions the
    # index of the order has all that is read.
    return (
        f"WITH first AS MATERIALIZED (SELECT c.id FROM contacts AS c{by.joins} WHERE c.account_id = $1{by.also} "
        f"AND (c.id IN ({found})) IS TRUE ORDER BY {query.order.sql} LIMIT {args.add(query.limit)}) "
        f"SELECT {selected(query.order)} FROM first AS f JOIN contacts AS c ON c.account_id = $1 AND c.id = f.id "
        f"WHERE c.account_id = $1 ORDER BY {query.order.sql}"
    ), args
