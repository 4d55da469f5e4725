"""A database with one table of its own, so that the chassis is tested without any service."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest_asyncio
import sqlalchemy as sa

from chassis import ids, migrations, tables
from chassis.db import Database
from deploy.local import databases
from deploy.local import postgres as local_postgres
from tests.service import stack

METADATA = sa.MetaData()
NOTES = sa.Table(
    "notes",
    METADATA,
    sa.Column("account_id", sa.Uuid(), primary_key=True),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)
tables.add_to(METADATA)


@dataclass
class Databases:
    serve: Database
    work: Database
    urls: databases.Urls


class Execute:
    """What `protect` needs of Alembic's operations."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str) -> None:
        self._connection.execute(sa.text(sql))


def create(connection: sa.Connection) -> None:
    METADATA.create_all(connection)
    migrations.protect(Execute(connection), "notes", "outbox", "idempotency_keys", service="contacts")


@pytest_asyncio.fixture(scope="package")
async def urls(postgres: local_postgres.Server) -> databases.Urls:
    urls = databases.create(postgres.url, "contacts", passwords=stack.PASSWORDS, database=f"chassis_{ids.new().hex}")
    engine = migrations.make_engine(urls.owner)
    async with engine.begin() as connection:
        await connection.run_sync(create)
    await engine.dispose()
    return urls


@pytest_asyncio.fixture
async def dbs(urls: databases.Urls) -> AsyncIterator[Databases]:
    serve, work = await Database.open(urls.serve, pool_size=6), await Database.open(urls.work, pool_size=6)
    yield Databases(serve, work, urls)
    await serve.stop()
    await work.stop()


@pytest_asyncio.fixture
async def admin(urls: databases.Urls) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(urls.admin)
    yield connection
    await connection.close()
