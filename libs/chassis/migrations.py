"""Schema migrations by Alembic, without its command line: `carillon SERVICE migrate`.

Run as the schema's owner. An advisory lock lets any number of them start at once; a short lock timeout keeps a
migration from queueing behind a long transaction with the whole table's traffic behind it.
"""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chassis import database_url

LOCK_TIMEOUT = "5s"
# "carillon" in telephone keys; one number for all, because each service has a database of its own.
ADVISORY_LOCK = 22745566


def run(url: str, versions: Path) -> None:
    """Upgrade to the newest version in the folder. Raises ValueError: see database_url."""
    asyncio.run(upgrade(url, versions))


async def upgrade(url: str, versions: Path) -> None:
    engine = make_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(upgrade_sync, versions)
            await connection.commit()
    finally:
        await engine.dispose()


def upgrade_sync(connection: sa.Connection, versions: Path) -> None:
    scripts = script_directory(versions)
    connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))

    def steps(revision: Any, _: MigrationContext) -> Any:
        return scripts._upgrade_revs("head", revision)

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()


def script_directory(versions: Path) -> ScriptDirectory:
    return ScriptDirectory(str(versions.parent), version_locations=[str(versions)])


def make_engine(url: str) -> AsyncEngine:
    """asyncpg reads the URL, as it does for the pool: SQLAlchemy would take `sslmode` for an argument of connect()."""
    target = database_url.read(url)

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(target.url, timeout=target.timeout)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect)


def protect(op: Operations | Any, *tables: str, service: str) -> None:
    """Row-level security for tables that lead with account_id, and the two roles' rights on them.

    `<service>_serve` sees and writes the rows of the account that its transaction is set to; `<service>_work` sees
    all, and its queries name the account. Neither owns the tables, so neither can switch the policy off.
    """
    for table in tables:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY account ON {table} TO {service}_serve "
            "USING (account_id = nullif(current_setting('carillon.account', true), '')::uuid)"
        )
        op.execute(f"CREATE POLICY across ON {table} TO {service}_work USING (true)")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {service}_serve, {service}_work")


def grant_schema(op: Operations | Any, *, service: str) -> None:
    """Once per schema, in its first version: the roles may look, stage in temporary tables, and read the version."""
    op.execute(f"GRANT USAGE ON SCHEMA public TO {service}_serve, {service}_work")
    op.execute(f"GRANT SELECT ON alembic_version TO {service}_serve, {service}_work")


def drift(connection: sa.Connection, metadata: sa.MetaData) -> list[Any]:
    """What differs between the database and the tables that the code describes; empty when nothing does."""
    return list(compare_metadata(MigrationContext.configure(connection), metadata))
