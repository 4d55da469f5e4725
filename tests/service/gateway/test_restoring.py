"""A database that was restored to an earlier moment: who may use it when, and where the feed goes on."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
import pytest_asyncio

from chassis.db import Database
from chassis.errors import FailedPrecondition, Unavailable
from chassis.ids import AccountId
from chassis.restoring import LEAP, restored
from deploy.local import databases
from services.gateway.feed import reading
from services.gateway.migrations import VERSIONS
from services.gateway.restoring import after_restore


@pytest_asyncio.fixture(scope="module")
async def urls(make_database: Callable[[str], Awaitable[databases.Urls]]) -> databases.Urls:
    return await make_database("gateway")


@pytest_asyncio.fixture
async def admin(urls: databases.Urls) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(urls.admin)
    yield connection
    await connection.close()


async def take_up(urls: databases.Urls, work: Callable[[Database], Awaitable[None]] = after_restore) -> None:
    await restored(urls.owner, service="gateway", versions=VERSIONS, work=work)


async def test_readers_of_the_feed_are_told_that_they_have_missed_some(
    urls: databases.Urls, admin: "asyncpg.Connection[asyncpg.Record]", account: AccountId
) -> None:
    await admin.execute("INSERT INTO feed_heads VALUES ($1, 3)", account)
    await admin.execute(
        "INSERT INTO feed_events SELECT $1, n, gen_random_uuid(), 'contact.created', now(), '', now()"
        " FROM generate_series(1, 3) AS n",
        account,
    )
    await admin.execute(
        "INSERT INTO webhook_deliveries (account_id, webhook_id, event_id, type, time, position, objects, next_at)"
        " SELECT account_id, account_id, id, type, time, position, '', now() FROM feed_events WHERE account_id = $1",
        account,
    )
    await take_up(urls)
    db = await Database.open(urls.serve, pool_size=1)
    # A reader that was given 5 before the database was lost, one that was behind, and one that begins.
    for after in (5, 2):
        with pytest.raises(FailedPrecondition) as refused:
            await reading.page(db, account, after=after, types=[], limit=10)
        assert int(refused.value.metadata["resume_after"]) == LEAP
    page = await reading.page(db, account, after=0, types=[], limit=10)
    assert [event.position for event in page.events] == [LEAP + n for n in (1, 2, 3)]
    await db.stop()
    found = await admin.fetch("SELECT position FROM webhook_deliveries WHERE account_id = $1 ORDER BY 1", account)
    assert [row["position"] for row in found] == [LEAP + n for n in (1, 2, 3)]


async def test_a_database_in_use_is_left_alone(urls: databases.Urls) -> None:
    serving = await Database.open(urls.serve, pool_size=1)
    await serving.ping()

    async def never(db: Database) -> None:
        raise AssertionError

    with pytest.raises(FailedPrecondition, match="1 connections of the service's processes are open"):
        await take_up(urls, never)
    # Nor was it locked out.
    another = await Database.open(urls.work, pool_size=1)
    await another.ping()
    await another.stop()
    await serving.stop()


async def test_nobody_comes_in_before_it_is_done(urls: databases.Urls, account: AccountId) -> None:
    async def can_enter() -> bool:
        try:
            await (await asyncpg.connect(urls.work)).close()
        except asyncpg.InsufficientPrivilegeError:
            return False
        return True

    async def fail(db: Database) -> None:
        assert not await can_enter()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await take_up(urls, fail)
    assert not await can_enter()
    await take_up(urls)
    assert await can_enter()


async def test_an_older_schema_is_refused(urls: databases.Urls, admin: "asyncpg.Connection[asyncpg.Record]") -> None:
    newest = await admin.fetchval("SELECT version_num FROM alembic_version")
    await admin.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(Unavailable, match="run the migration"):
        await take_up(urls)
    await admin.execute("UPDATE alembic_version SET version_num = $1", newest)
