"""The database of a service and its roles: `owner` migrates, the processes log in as `serve` and `work`."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

SERVICES = ("contacts", "segments", "campaigns", "gateway")
ROLES = ("owner", "serve", "work")
LOCK = 7_209_114  # any number that nothing else on the server locks


@dataclass(frozen=True, slots=True)
class Urls:
    """One database, as each role reaches it; `admin` is the superuser."""

    owner: str
    serve: str
    work: str
    admin: str


def create(
    server_url: str,
    service: str,
    *,
    passwords: Mapping[str, str],
    database: str | None = None,
) -> Urls:
    """Make the database (named after the service unless told) and the roles `<service>_owner|_serve|_work`.

    `server_url` is the superuser's on any database of the server; `passwords` has one per role of ROLES. Safe to
    repeat: roles get the passwords given. Roles belong to the server, so several databases of one service on one
    server (tests) share them and must pass the same passwords.
    """
    database = database or service
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])  # test workers may call this at once
        for role in ROLES:
            ensure_role(connection, f"{service}_{role}", passwords[role])
        lock_out_others(connection)
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        if not exists:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(database), sql.Identifier(f"{service}_owner")
                )
            )
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
        connection.execute(
            sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}, {}").format(
                sql.Identifier(database),
                sql.Identifier(f"{service}_serve"),
                sql.Identifier(f"{service}_work"),
            )
        )
    urls = Urls(
        admin=with_login(server_url, database),
        **{role: with_login(server_url, database, login=(f"{service}_{role}", passwords[role])) for role in ROLES},
    )
    hand_over_schema(urls.admin, service)
    return urls


def ensure_role(connection: psycopg.Connection, name: str, password: str) -> None:
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOREPLICATION PASSWORD {}").format(
            sql.SQL("ALTER" if exists else "CREATE"),
            sql.Identifier(name),
            sql.Literal(password),
        )
    )


def lock_out_others(connection: psycopg.Connection) -> None:
    """Without this every role may connect to the server's own databases."""
    for name in ("postgres", "template1"):
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def hand_over_schema(admin_url: str, service: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        owner, serve, work = (sql.Identifier(f"{service}_{role}") for role in ROLES)
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(owner))
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}, {}").format(serve, work))


def with_login(server_url: str, database: str, *, login: tuple[str, str] | None = None) -> str:
    """The same server, another database and, when given, another (role, password)."""
    parts = urlsplit(server_url)
    netloc = parts.netloc
    if login is not None:
        netloc = f"{quote(login[0])}:{quote(login[1], safe='')}@{parts.netloc.rpartition('@')[2]}"
    return parts._replace(netloc=netloc, path=f"/{quote(database)}").geturl()
