"""The hot queries use their indexes as the serving role, under row-level security, with many rows."""

import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis import alone, copytext, ids
from services.contacts import repository
from services.contacts.activity import repository as activity
from services.contacts.bulk import writing
from services.contacts.consent import repository as consent
from services.contacts.domain.search import Search
from services.contacts.erasure import repository as erasure
from services.contacts.imports import staging, undo
from services.contacts.listing import pages
from services.contacts.listing.filters import ANY, Filter
from services.contacts.listing.order import NEWEST, Order
from services.contacts.lists import memberships
from services.contacts.lists import repository as lists
from services.contacts.search import postings
from services.contacts.suppressions import repository as suppressions
from tests.service import stack

ROWS = 30_000
FILLED = (
    "contacts", "contact_tags", "suppressions", "optouts", "contact_lists", "search_entries", "search_words",
)  # fmt: skip

FILL = """
WITH rows AS (
    INSERT INTO contacts
        (account_id, id, created_at, updated_at, first_name, phone, email, email_normal, given_country, stage, tags)
    SELECT $1, gen_random_uuid(), now(), now() - n * interval '1 s',
           CASE WHEN n % 1000 = 0 THEN 'Zoe' WHEN n % 10 = 0 THEN 'Mara' ELSE 'Bob' END,
           '+1415' || lpad(n::text, 7, '0'), 'a' || n || '@example.org',
           'a' || n || '@example.org', CASE WHEN n % 1000 = 0 THEN 'FR' ELSE 'US' END,
           CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'common' END,
           CASE WHEN n % 1000 = 0 THEN ARRAY['rare', 'common'] ELSE ARRAY['common'] END
    FROM generate_series(1, $2::int) AS n RETURNING account_id, id, tags
), tagged AS (
    INSERT INTO contact_tags (account_id, tag, contact_id) SELECT account_id, tag, id FROM rows, unnest(tags) AS tag
), out AS (
    INSERT INTO optouts (account_id, contact_id, channel, opted_out_at)
    SELECT account_id, id, channel, now() FROM rows, unnest(ARRAY['sms', 'voice']) AS channel
    WHERE channel = 'sms' OR tags @> '{rare}'
)
INSERT INTO suppressions (account_id, id, phone, created_at)
SELECT $1, gen_random_uuid(), '+1415' || lpad(n::text, 7, '0'), now() FROM generate_series(1, $2 / 10) AS n
"""
FILL_LISTS = """
INSERT INTO contact_lists (account_id, list_id, contact_id, added_at)
SELECT account_id, $2, id, now() FROM contacts WHERE account_id = $1
"""

INDEX = """
WITH kept AS (
    INSERT INTO search_entries (account_id, contact_id, version, text)
    SELECT account_id, id, 1, ' ' || lower(first_name) || ' ' || substr(phone, 2) || ' <' || reverse(substr(phone, 2))
    FROM contacts WHERE account_id = $1 RETURNING contact_id, text
)
INSERT INTO search_words (account_id, word, contact_id)
SELECT $1, word, contact_id FROM kept, unnest(string_to_array(substr(text, 2), ' ')) AS word
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def busy(urls):
    """One of two accounts with many contacts."""
    connection = await asyncpg.connect(urls.admin)
    accounts = [stack.new_account(), stack.new_account()]
    for account in accounts:
        await connection.execute(FILL, account, ROWS)
        await connection.execute(FILL_LISTS, account, ID)
        await connection.execute(INDEX, account)
    await connection.execute(f"ANALYZE {', '.join(FILLED)}")
    yield accounts[0]
    await connection.close()


async def plan(tx, sql: str, *args) -> str:
    """As it runs when it was prepared long ago."""
    await tx.connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    rows = await tx.connection.fetch(f"EXPLAIN (COSTS OFF) {sql}", *args)
    return "\n".join(row[0] for row in rows)


async def planned_now(tx, sql: str, *args) -> str:
    """As lists are: see pages.PLAN_ALONE."""
    await tx.plan_each()
    return "\n".join(row[0] for row in await tx.connection.fetch(f"EXPLAIN (COSTS OFF) {sql}", *args))


@asynccontextmanager
async def rolled_back(connection):
    transaction = connection.transaction()
    await transaction.start()
    yield
    await transaction.rollback()


def assert_indexed(text: str) -> None:
    assert not re.search(rf"Seq Scan on ({'|'.join(FILLED)})", text), text


ID = ids.new()
QUERIES: dict[str, tuple[Any, ...]] = {
    "get": (repository.GET, ID),
    "get alone": (alone.reading(repository.GET), ID),
    "by phone alone": (alone.reading(repository.LOOKUPS["phone"]), "+14155552671"),
    "lock": (repository.LOCK, ID),
    "by phone": (repository.LOOKUPS["phone"], "+14155552671"),
    "by email": (repository.LOOKUPS["email"], "a@example.org"),
    "by external id": (repository.LOOKUPS["external_id"], "x"),
    "made by an import": (undo.MADE, ID, ID, ID, 500),
    "left by an undo": (undo.LEFT, ID, ID, ID, ID, 100),
    "holders": (repository.HOLDERS, "+14155552671", "x", "a@example.org"),
    "lock to delete": (repository.DOOM, [ID], None),
    "delete": (repository.DELETE, [ID], datetime.now(UTC)),
    "messageable by phone": (
        alone.reading(suppressions.STANDING_BY_PHONE),
        [True, False],
        [ID, None],
        ["+14155552671"] * 2,
        [b"h"] * 2,
        "sms",
    ),
    "messageable by email": (
        alone.reading(suppressions.STANDING_BY_EMAIL),
        [True, False],
        [ID, None],
        ["a@example.org"] * 2,
        [b"h"] * 2,
        "email",
    ),
    "lock to erase": (erasure.LOCK, [ID], None),
    "suppressions to hash": (erasure.TAKE_SUPPRESSIONS, ["+14155552671"], ["a@example.org"]),
    "messages of contacts": (activity.RECORD, [ID], *([None],) * len(activity.MESSAGE)),
    "bearers of phones": (activity.BEARERS["phone"], ["+14155552671"]),
    "bearers of emails": (activity.BEARERS["email"], ["a@example.org"]),
    "members of a list": (lists.MEMBERS, ID, ID, 51),
    "ids of a list's members": (lists.MEMBER_IDS, ID, ID, 1001, 0),
    "change many": (writing.UPDATE, [ID], datetime.now(UTC), ["a"], ["b"], [ID], [ID]),
    "untag many": (writing.UNTAG, [ID], ["a"]),
    "leave lists": (memberships.REMOVE, [ID], [ID]),
    "channels of opt-outs": (consent.OPTOUTS, [ID]),
    "import by phone": (staging.HOLDERS["phone"], ["+14155552671"]),
    "import by email": (staging.HOLDERS["email"], ["a@example.org"]),
}


# With the condition by which they find their contacts, and no others.
STAGED: dict[str, tuple[str, object, str]] = {
    "phones": (staging.HOLDERS["phone"], ["+14155552671"], "phone = k.value"),
    "external ids": (staging.HOLDERS["external_id"], ["x"], "external_id = k.value"),
    "emails": (staging.HOLDERS["email"], ["a@example.org"], "email_normal = k.value"),
    "free phones": (staging.FREE_PHONES, copytext.parameter(["+14155552671"]), "phone = k.value"),
    "changes": (staging.update_sql(("stage",)), [ID], "id = k.id"),
    "locks": (repository.LOCK_MANY, [ID], "id = k.id"),
}


@pytest.mark.parametrize("name", STAGED)
async def test_a_batch_reads_its_own_contacts_where_there_are_no_statistics_yet(busy, urls, name):
    """Of a new installation, or of an account that is larger than all others."""
    sql, given, condition = STAGED[name]
    connection = await asyncpg.connect(urls.admin)
    async with rolled_back(connection):
        await connection.execute("SELECT pg_clear_relation_stats('public', 'contacts')")
        for column in ("account_id", "id", "phone", "external_id", "email_normal"):
            await connection.execute("SELECT pg_clear_attribute_stats('public', 'contacts', $1, false)", column)
        await connection.execute("SET LOCAL ROLE contacts_serve")
        await connection.execute("SELECT set_config('carillon.account', $1, true)", str(busy))
        await connection.execute(staging.CREATE)
        text = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN (COSTS OFF) {sql}", busy, given))
    await connection.close()
    conditions = re.findall(r"Index Cond: .*", text)
    assert conditions, text
    assert all(condition in one for one in conditions), text
    # By a key, and not by what else has the same value in an index with something before it.
    assert not re.search(r"using contacts_(?!pkey|phone_key|external_id_key|email)", text), text


@pytest.mark.parametrize("name", QUERIES)
async def test_hot_queries_use_an_index(busy, serve_db, name):
    sql, *args = QUERIES[name]
    async with serve_db.write(busy) as tx:
        text = await plan(tx, sql, busy, *args)
    assert_indexed(text)
    assert "Index Cond" in text


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(tag="rare"),
        Filter(stage="rare"),
        Filter(country="FR"),
        Filter(phone="+14155552671"),
        Filter(email_normal="a@example.org"),
        Filter(external_id="x"),
        Filter(opted_out=ANY),
        Filter(opted_out="sms"),
        Filter(opted_out="voice"),
    ],
    ids=str,
)
@pytest.mark.parametrize("after", [None, (ID,)])
async def test_pages_use_an_index(busy, serve_db, wanted, after):
    sql, args = pages.plain(pages.Query(busy, wanted, NEWEST, after, 51))
    async with serve_db.write(busy) as tx:
        text = await plan(tx, sql, *args)
    assert_indexed(text)


@pytest.mark.parametrize(
    ("order", "key"),
    [
        (Order("updated_at"), (datetime.now(UTC), ID)),
        (Order("updated_at", descending=False), (datetime.now(UTC), ID)),
        (Order("sort_name", descending=False), ("bob", ID)),
    ],
    ids=["latest change first", "earliest change first", "by name"],
)
@pytest.mark.parametrize("wanted", [Filter(), Filter(tag="common")], ids=str)
async def test_an_order_is_walked_along_its_index(busy, serve_db, order, key, wanted):
    for after in (None, key):
        query = pages.Query(busy, wanted, order, after, 51)
        for sql, args in (pages.plain(query), pages.place(query, 200)):
            async with serve_db.write(busy) as tx:
                text = await planned_now(tx, sql, *args)
            assert re.search(rf"Index (Only )?Scan (Backward )?using contacts_{order.column}", text), text
            # At most what is equal in the order is sorted, not the account.
            assert not re.search(r"^ *(->  )?Sort$", text, re.MULTILINE), text


RARE, COMMON, PHONE, TWO = (Search((words,)) for words in (("zoe",), ("mar",), ("14155",), ("mar", "zo")))


@pytest.mark.parametrize("search", [RARE, COMMON, PHONE, TWO], ids=str)
async def test_words_are_found_by_ranges(busy, serve_db, search):
    """The range must be in the condition of the index: a filter would read every word of the account."""
    query = pages.Query(busy, Filter(search="x"), NEWEST, (ID,), 51)
    sql, args = pages.by_postings(query, search, [list(search.readings[0])])
    ranges = len(re.findall("FROM search_words", sql))
    async with serve_db.write(busy) as tx:
        text = await planned_now(tx, sql, *args)
    assert_indexed(text)
    conditions = re.findall(r"Index Cond: .*word >= .*word < ", text)
    assert len(conditions) == ranges, text


async def test_the_first_contacts_of_words_are_read_and_no_others(busy, serve_db):
    """From word to word, and of each word in the order of its postings."""
    async with serve_db.write(busy) as tx:
        words = await planned_now(tx, postings.DISTINCT, busy, "mar", "mar" + postings.LAST_CHARACTER, 65)
        sql, args = pages.by_heads(pages.Query(busy, Filter(search="x"), NEWEST, (ID,), 51), ["mara", "marc"])
        heads = await planned_now(tx, sql, *args)
    steps = re.findall(r"Scan using search_words_pkey.*\n *Index Cond: .*word >=? .*word < ", words)
    assert len(steps) == 2, words
    first = r"Scan Backward using search_words_pkey.*\n *Index Cond: .*word = .*contact_id < "
    assert re.search(first, heads), heads


async def test_a_name_that_begins_with_the_word_is_found_in_its_order(busy, serve_db):
    query = pages.Query(busy, Filter(search="x"), Order("sort_name", descending=False), ("mara", ID), 51)
    sql, args = pages.by_name(query, "mar", [ID])
    async with serve_db.write(busy) as tx:
        text = await planned_now(tx, sql, *args)
    assert_indexed(text)
    named = r"Scan using contacts_sort_name.*\n *Index Cond: .*sort_name >= .*sort_name < "
    assert re.search(named, text), text


@pytest.mark.parametrize("order", [NEWEST, Order("sort_name", descending=False)], ids=str)
@pytest.mark.parametrize("wanted", [Filter(search="x"), Filter(search="x", stage="common")], ids=str)
async def test_a_walk_stops_when_its_page_is_full(busy, serve_db, order, wanted):
    sql, args = pages.walk(pages.Query(busy, wanted, order, None, 51), COMMON)
    async with serve_db.write(busy) as tx:
        text = await planned_now(tx, sql, *args)
    assert_indexed(text)
    assert "Sort" not in text
    assert "Hash" not in text
