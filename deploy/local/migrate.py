"""Brings every service's schema to its head, as the role that owns it."""

import hashlib
import os
import subprocess
from collections.abc import Iterable

import psycopg

from deploy.local import processes
from deploy.local.databases import SERVICES
from deploy.local.home import REPOSITORY, Home
from deploy.local.state import State


class MigrationFailed(Exception):
    """The message carries what the migration said."""


def run(home: Home, state: State) -> None:
    """Where neither the migrations nor the schema's version changed since the last run, nothing is started."""
    due = [service for service in SERVICES if mark(state, service) != state.migrated.get(service)]
    start_and_wait(home, state, due)
    for service in due:
        state.migrated[service] = mark(state, service)
    state.save(home)


def mark(state: State, service: str) -> str:
    """Of the migrations' files together with the version at which the database is."""
    digest = hashlib.sha256(version(processes.database_url(state, service, "owner")).encode())
    for path in sorted((REPOSITORY / "services" / service / "migrations").rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def version(owner_url: str) -> str:
    try:
        with psycopg.connect(owner_url) as connection:
            return str(connection.execute("SELECT version_num FROM alembic_version").fetchall())
    except psycopg.errors.UndefinedTable:
        return ""


def start_and_wait(home: Home, state: State, services: Iterable[str]) -> None:
    inherited = processes.environment(home, os.environ)
    started = {
        service: subprocess.Popen(
            processes.carillon(service, "migrate"),
            cwd=REPOSITORY,
            env=inherited | processes.service_settings(state, service, mode="migrate", nats_url=""),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for service in services
    }
    for service, process in started.items():
        output, _ = process.communicate()
        home.log(f"{service}-migrate").write_text(output)
        if process.returncode != 0:
            raise MigrationFailed(f"the schema of {service} could not be migrated:\n{output.strip()[-3000:]}")
