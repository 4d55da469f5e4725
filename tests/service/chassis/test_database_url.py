"""What libpq takes in a URL is taken by the processes and by their migrations, which connect in different ways."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from chassis import migrations
from chassis.db import Database
from deploy.local import databases

Ask = Callable[[str, str], Awaitable[object]]

USUAL = {
    "sslmode": "sslmode=prefer&sslrootcert=",
    "application_name": "application_name=somebody",
    "connect_timeout": "connect_timeout=7",
    "keepalives": "keepalives=1&keepalives_idle=30&tcp_user_timeout=1000",
    "channel_binding": "channel_binding=prefer&gssencmode=disable",
    "client_encoding": "client_encoding=utf8",
    "target_session_attrs": "target_session_attrs=read-write",
}


async def by_pool(url: str, sql: str) -> object:
    db = await Database.open(url, pool_size=1)
    try:
        async with db.across() as tx:
            return await tx.fetchval(sql)
    finally:
        await db.stop()


async def by_migration(url: str, sql: str) -> object:
    engine = migrations.make_engine(url)
    try:
        async with engine.connect() as connection:
            return (await connection.execute(sa.text(sql))).scalar_one()
    finally:
        await engine.dispose()


WAYS = pytest.mark.parametrize("ask", [by_pool, by_migration])


@WAYS
@pytest.mark.parametrize("query", USUAL.values(), ids=USUAL)
async def test_the_usual_parameters_are_taken(ask: Ask, query: str, urls: databases.Urls) -> None:
    assert await ask(f"{urls.owner}?{query}", "SELECT 7") == 7


@WAYS
async def test_options_reach_the_server(ask: Ask, urls: databases.Urls) -> None:
    asked = f"{urls.owner}?options=-c%20statement_timeout%3D7s"
    assert await ask(asked, "SELECT current_setting('statement_timeout')") == "7s"


@WAYS
async def test_sslmode_is_obeyed(ask: Ask, urls: databases.Urls) -> None:
    """The server of the tests has no TLS."""
    with pytest.raises(Exception, match=r"SSL|reached"):
        await ask(f"{urls.owner}?sslmode=require", "SELECT 7")


async def test_migrate_takes_sslmode(urls: databases.Urls, tmp_path: Path) -> None:
    """It was a TypeError of the driver's."""
    (tmp_path / "versions").mkdir()
    await migrations.upgrade(f"{urls.owner}?sslmode=prefer&connect_timeout=5", tmp_path / "versions")
