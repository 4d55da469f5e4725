"""The hot reads use their indexes, also behind row-level security, where a careless operator would not."""

import json

import asyncpg
import pytest

from chassis import ids
from services.segments import repository
from tests.service.segments.world import PREMIUM
from tests.service.stack import new_account

CONTACTS = 20_000
FILL = """
INSERT INTO contacts_projection (account_id, contact_id, version, deleted, tags, snapshot)
SELECT $1, uuidv7(), 1, false, '{premium}', repeat('x', 300)::bytea FROM generate_series(1, $2)
"""
JOIN_ALL = """
INSERT INTO members (account_id, build_id, contact_id, joined_at, revision)
SELECT $1, build, contact_id, now(), 1 FROM contacts_projection, unnest($2::uuid[]) AS build WHERE account_id = $1
"""


@pytest.fixture(scope="module")
async def crowd(work_db):
    """An account with three segments of 20,000 members each, beside another like it."""
    accounts = []
    for _ in range(2):
        account, builds = new_account(), [ids.new() for _ in range(3)]
        async with work_db.write(account) as tx:
            for build in builds:
                segment = ids.new()
                await repository.insert(tx, segment, name="All", build=build)
                await repository.insert_build(tx, build, segment=segment, definition=PREMIUM, inlined={})
                await tx.execute(
                    "UPDATE segments SET served_build = $3, next_build = NULL WHERE account_id = $1 AND id = $2",
                    account,
                    segment,
                    build,
                )
            await tx.execute(FILL, account, CONTACTS)
            await tx.execute(JOIN_ALL, account, builds)
            contact = await tx.fetchval("SELECT contact_id FROM contacts_projection WHERE account_id = $1", account)
        accounts.append((account, builds[0], contact))
    return accounts[0]


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


async def explained(db, account, sql, *args):
    async with db.read(account) as tx:
        text = await tx.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *args)
    return list(nodes(json.loads(text)[0]["Plan"]))


def rows_touched(plan):
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in plan
        if "Relation Name" in node
    )


@pytest.mark.parametrize("analysed", [False, True])
async def test_list_members(serve_db, urls, crowd, analysed):
    account, build, contact = crowd
    await analyse(urls, analysed)

    for after in (ids.LOWEST, contact):
        plan = await explained(serve_db, account, repository.MEMBERS, account, build, after, 51)

        assert {node["Index Name"] for node in plan if "Index Name" in node} >= {"members_pkey"}
        assert not [node for node in plan if node["Node Type"] in ("Seq Scan", "Sort")]
        assert rows_touched(plan) < 300


@pytest.mark.parametrize("analysed", [False, True])
async def test_list_contact_segments(serve_db, urls, crowd, analysed):
    account, _, contact = crowd
    await analyse(urls, analysed)

    plan = await explained(serve_db, account, repository.OF_CONTACT, account, contact, None, 51)

    assert not [node for node in plan if node.get("Relation Name") == "members" and node["Node Type"] == "Seq Scan"]
    assert rows_touched(plan) < 100


async def analyse(urls, wanted):
    """With and without statistics: the first minutes of an account have none."""
    if not wanted:
        return
    connection = await asyncpg.connect(urls.admin)
    await connection.execute("ANALYZE")
    await connection.close()
