"""files/databases.sql and the program that pods wait with, on a real Postgres."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from chassis import migrations
from deploy.local import databases
from deploy.local import postgres as local_postgres
from deploy.local.databases import ROLES, SERVICES
from tests.helm.rendering import CHART
from tests.helm.settings import ROOT

PASSWORDS = {f"{service}_{role}": f"p'{service}\"{role}" for service in SERVICES for role in ROLES}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_postgres.Server]:
    """Its own: databases.sql makes databases by their real names and closes the server's."""
    started = local_postgres.start(tmp_path_factory.mktemp("postgres"), durable=False)
    yield started
    started.stop(remove=True)


@pytest.fixture(scope="module")
def made(server: local_postgres.Server, tmp_path_factory: pytest.TempPathFactory) -> local_postgres.Server:
    """Twice, since it has to be safe to repeat."""
    file = tmp_path_factory.mktemp("passwords") / "passwords.json"
    file.write_text(json.dumps(PASSWORDS))
    for _ in range(2):
        done = run_sql(server, file)
        assert done.returncode == 0, done.stderr
    return server


def run_sql(server: local_postgres.Server, passwords: Path) -> subprocess.CompletedProcess[str]:
    psql = server.installation.binaries / "psql"
    return subprocess.run(
        [str(psql), server.url, "--file", str(CHART / "files" / "databases.sql")],
        env=os.environ | {"PASSWORDS_FILE": str(passwords)},
        capture_output=True,
        text=True,
        check=False,
    )


def url(server: local_postgres.Server, service: str, role: str, *, database: str | None = None) -> str:
    login = (f"{service}_{role}", PASSWORDS[f"{service}_{role}"])
    return databases.with_login(server.url, database or service, login=login)


def roles(server: local_postgres.Server) -> list[tuple[str, ...]]:
    with psycopg.connect(server.url) as connection:
        return connection.execute("SELECT rolname FROM pg_roles ORDER BY 1").fetchall()


def await_schema(url: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(ROOT / "deploy" / "docker" / "await_schema.py"), *arguments],
        env=os.environ | {"CARILLON_DATABASE_URL": url},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_missing_password_is_named_and_nothing_is_made(server: local_postgres.Server, tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"
    file.write_text(json.dumps(PASSWORDS | {"gateway_work": ""}))
    before = roles(server)
    done = run_sql(server, file)
    assert done.returncode != 0
    assert "no password for gateway_work" in done.stderr
    assert roles(server) == before


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_waits_until_its_schema_is_there(made: local_postgres.Server, service: str) -> None:
    """As in a cluster: the pods start with the migration, and wait as the role that they will serve as."""
    waiting = await_schema(url(made, service, "serve"), service)
    try:
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        assert "run the migration" in said or "InsufficientPrivilege" in said
        assert waiting.poll() is None
        await migrations.upgrade(url(made, service, "owner"), ROOT / "services" / service / "migrations" / "versions")
        assert waiting.wait(30) == 0
        assert await_schema(url(made, service, "work"), service).wait(30) == 0
    finally:
        waiting.kill()
        waiting.wait()


def test_the_wait_outlasts_a_database_that_is_not_there_yet(server: local_postgres.Server) -> None:
    port = urlsplit(server.url)
    waiting = await_schema(f"postgresql://x:y@{port.hostname}:1/contacts", "contacts")
    try:
        assert waiting.stderr is not None
        assert "cannot be reached" in waiting.stderr.readline()
        assert waiting.poll() is None
    finally:
        waiting.kill()
        waiting.wait()


@pytest.mark.parametrize("wrong", ["", "../contacts", "carrier"])
def test_a_service_that_is_none_is_refused(wrong: str) -> None:
    asked = await_schema("postgresql://x:y@127.0.0.1:1/x", *([wrong] if wrong else []))
    assert asked.wait(30) == 2
    assert asked.stderr is not None
    assert repr(wrong) in asked.stderr.read()


@pytest.mark.parametrize("database", ["segments", "postgres", "template1"])
def test_nobody_enters_anothers_database(made: local_postgres.Server, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(url(made, "contacts", "work", database=database))


@pytest.mark.parametrize("role", ["serve", "work"])
def test_who_does_not_own_the_schema_makes_no_table_in_it(made: local_postgres.Server, role: str) -> None:
    with psycopg.connect(url(made, "gateway", role)) as connection:
        connection.execute("CREATE TEMPORARY TABLE staged ()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE public.planted ()")


def test_the_roles_are_what_the_local_stack_makes_them(made: local_postgres.Server) -> None:
    with psycopg.connect(made.url) as connection:
        rows = connection.execute(
            "SELECT rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication"
            " FROM pg_roles WHERE rolname = ANY(%s)",
            [list(PASSWORDS)],
        ).fetchall()
    assert {row[0] for row in rows} == PASSWORDS.keys()
    assert {row[1:] for row in rows} == {(True, False, False, False, False, False)}
