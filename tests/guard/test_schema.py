"""What holds for every table of every service."""

from collections.abc import Awaitable, Callable
from importlib import import_module

import pytest
import sqlalchemy as sa

from chassis import migrations
from chassis.db import Database
from chassis.erasing import erase
from chassis.ids import AccountId
from deploy.local import databases
from tests.service.stack import SERVICES

MakeDatabase = Callable[[str], Awaitable[databases.Urls]]

POLICIES = """
SELECT c.relname, c.relrowsecurity,
    array_agg(DISTINCT r.rolname ORDER BY r.rolname) FILTER (WHERE r.rolname IS NOT NULL) AS roles
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'public'
LEFT JOIN pg_policy AS p ON p.polrelid = c.oid
LEFT JOIN pg_roles AS r ON r.oid = ANY (p.polroles)
WHERE c.relkind IN ('r', 'p') AND c.relname <> 'alembic_version'
GROUP BY 1, 2
"""
SERVE_POLICY = """
SELECT polrelid::regclass::text, pg_get_expr(polqual, polrelid) FROM pg_policy AS p
JOIN pg_roles AS r ON r.oid = ANY (p.polroles) WHERE r.rolname = $1
"""


@pytest.mark.parametrize("service", databases.SERVICES)
async def test_every_table_is_behind_row_level_security(service: str, make_database: MakeDatabase) -> None:
    urls = await make_database(service)
    engine = migrations.make_engine(urls.owner)
    async with engine.connect() as connection:
        rows = (await connection.execute(sa.text(POLICIES))).all()
    await engine.dispose()
    assert rows
    for table, enabled, roles in rows:
        assert enabled, f"{service}.{table} has no row-level security"
        assert {f"{service}_serve", f"{service}_work"} <= set(roles), f"{service}.{table} lacks a policy"


@pytest.mark.parametrize("service", databases.SERVICES)
async def test_serve_owns_nothing_and_bypasses_nothing(service: str, make_database: MakeDatabase) -> None:
    urls = await make_database(service)
    engine = migrations.make_engine(urls.serve)
    query = "SELECT (SELECT count(*) FROM pg_class WHERE relowner = r.oid), rolsuper, rolbypassrls FROM pg_roles AS r"
    async with engine.connect() as connection:
        row = (await connection.execute(sa.text(query + " WHERE rolname = current_user"))).one()
    await engine.dispose()
    assert tuple(row) == (0, False, False)


@pytest.mark.parametrize("service", databases.SERVICES)
def test_every_key_leads_with_the_account(service: str) -> None:
    metadata: sa.MetaData = import_module(f"services.{service}.tables").metadata
    for table in metadata.tables.values():
        assert next(iter(table.primary_key.columns)).name in FIRST_OF_KEY.get(table.name, {"account_id"}), table.name
        for constraint in table.constraints:
            if isinstance(constraint, sa.UniqueConstraint):
                assert next(iter(constraint.columns)).name == "account_id", constraint.name
        for index in table.indexes:
            if index.unique:
                assert next(iter(index.columns)).name == "account_id", index.name


# `accounts` is the list of accounts itself.
FIRST_OF_KEY: dict[str, set[str]] = {"accounts": {"account_id", "id"}}


@pytest.mark.parametrize("service", databases.SERVICES)
async def test_the_migrations_make_the_tables_that_the_code_describes(
    service: str, make_database: MakeDatabase
) -> None:
    urls = await make_database(service)
    metadata: sa.MetaData = import_module(f"services.{service}.tables").metadata
    engine = migrations.make_engine(urls.owner)
    async with engine.connect() as connection:
        assert await connection.run_sync(migrations.drift, metadata) == []
    await engine.dispose()


@pytest.mark.parametrize("service", databases.SERVICES)
async def test_the_work_role_may_take_an_account_out_of_every_table(
    service: str, make_database: MakeDatabase, account: AccountId
) -> None:
    """With `carillon SERVICE erase-account`; who may not delete is refused where there are no rows, too."""
    db = await Database.open((await make_database(service)).work, pool_size=1)
    metadata: sa.MetaData = import_module(f"services.{service}.tables").metadata
    assert [step async for step in erase(db, account, metadata)] == []
    await db.stop()


@pytest.mark.parametrize("service", databases.SERVICES)
def test_there_is_one_migration_head(service: str) -> None:
    scripts = migrations.script_directory(SERVICES / service / "migrations" / "versions")
    assert len(scripts.get_heads()) == 1


@pytest.mark.parametrize("service", databases.SERVICES)
async def test_a_second_migration_changes_nothing(service: str, make_database: MakeDatabase) -> None:
    urls = await make_database(service)
    await migrations.upgrade(urls.owner, SERVICES / service / "migrations" / "versions")
