"""The hot queries use their indexes as the serving role, under row-level security, with many rows."""

import re
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis import ids
from services.contacts import repository
from services.contacts.activity import repository as activity
from services.contacts.bulk import writing
from services.contacts.consent import repository as consent
from services.contacts.erasure import repository as erasure
from services.contacts.imports import staging
from services.contacts.listing import pages
from services.contacts.listing.filters import ANY, Filter
from services.contacts.listing.order import NEWEST
from services.contacts.lists import memberships
from services.contacts.lists import repository as lists
from services.contacts.suppressions import repository as suppressions
from tests.service import stack

ROWS = 30_000


FILL = """
WITH rows AS (
    INSERT INTO contacts
        (account_id, id, created_at, updated_at, phone, email, email_normal, given_country, stage, tags)
    SELECT $1, gen_random_uuid(), now(), now(), '+1415' || lpad(n::text, 7, '0'), 'a' || n || '@example.org',
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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def busy(urls):
    """One of two accounts with many contacts."""
    connection = await asyncpg.connect(urls.admin)
    accounts = [stack.new_account(), stack.new_account()]
    for account in accounts:
        await connection.execute(FILL, account, ROWS)
        await connection.execute(FILL_LISTS, account, ID)
    await connection.execute("ANALYZE contacts, contact_tags, suppressions, optouts, contact_lists")
    yield accounts[0]
    await connection.close()


async def plan(tx, sql: str, *args) -> str:
    """As it runs when it was prepared long ago."""
    await tx.connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    rows = await tx.connection.fetch(f"EXPLAIN (COSTS OFF) {sql}", *args)
    return "\n".join(row[0] for row in rows)


def assert_indexed(text: str) -> None:
    assert not re.search(r"Seq Scan on (contacts|contact_tags|suppressions|optouts|contact_lists)", text), text


ID = ids.new()
QUERIES: dict[str, tuple[Any, ...]] = {
    "get": (repository.GET, ID),
    "lock": (repository.LOCK, ID),
    "by phone": (repository.LOOKUPS["phone"], "+14155552671"),
    "by email": (repository.LOOKUPS["email"], "a@example.org"),
    "by external id": (repository.LOOKUPS["external_id"], "x"),
    "holders": (repository.HOLDERS, "+14155552671", "x", "a@example.org"),
    "lock to delete": (repository.DOOM, [ID], None),
    "delete": (repository.DELETE, [ID], datetime.now(UTC)),
    "messageable by phone": (suppressions.STANDING_BY_PHONE, [ID, None], ["+14155552671"] * 2, "sms", [b"h"] * 2),
    "messageable by email": (suppressions.STANDING_BY_EMAIL, [ID, None], ["a@example.org"] * 2, "email", [b"h"] * 2),
    "lock to erase": (erasure.LOCK, [ID], None),
    "suppressions to hash": (erasure.TAKE_SUPPRESSIONS, ["+14155552671"], ["a@example.org"]),
    "messages of contacts": (activity.RECORD, [ID], *([None],) * len(activity.MESSAGE)),
    "bearers of phones": (activity.BEARERS["phone"], ["+14155552671"]),
    "bearers of emails": (activity.BEARERS["email"], ["a@example.org"]),
    "members of a list": (lists.MEMBERS, ID, ID, 51),
    "ids of a list's members": (lists.MEMBER_IDS, ID, ID, 1001),
    "change many": (writing.UPDATE, [ID], datetime.now(UTC), ["a"], ["b"], [ID], [ID]),
    "untag many": (writing.UNTAG, [ID], ["a"]),
    "leave lists": (memberships.REMOVE, [ID], [ID]),
    "channels of opt-outs": (consent.OPTOUTS, [ID]),
    "import by phone": (staging.HOLDERS["phone"], ["+14155552671"]),
    "import by email": (staging.HOLDERS["email"], ["a@example.org"]),
}


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
