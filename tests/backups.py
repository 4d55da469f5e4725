"""The scripts that back up and restore, as an operator runs them, on local stacks."""

import os
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local import databases, postgres, processes, unprivileged
from deploy.local.home import REPOSITORY
from deploy.local.state import State
from tests.throwaway_stack import ThrowawayStack

SCRIPTS = REPOSITORY / "deploy" / "helm" / "carillon" / "files"


def environment(known: State) -> dict[str, str]:
    """The databases, each as its owner, and Postgres' programs."""
    urls = {
        f"CARILLON_{service.upper()}_DATABASE_URL": processes.database_url(known, service, "owner")
        for service in databases.SERVICES
    }
    programs = postgres.binaries(unprivileged.current())
    return {"PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", **urls}


def script(name: str, argument: Path, known: State, **more: str) -> list[str]:
    """`env NAME=VALUE… SCRIPT ARGUMENT`."""
    given = [f"{key}={value}" for key, value in (environment(known) | more).items()]
    return ["env", "-i", *given, str(SCRIPTS / name), str(argument)]


def moment(backup: Path) -> str:
    lines = (backup / "backup.txt").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)["moment"]


def restore(backup: Path, original: State, target: ThrowawayStack) -> None:
    """Into the empty databases of a stack whose processes do not run yet; it gets the original's keys."""
    known = target.known
    known.secrets_key, known.webhooks_key, known.erasure_key = (
        original.secrets_key,
        original.webhooks_key,
        original.erasure_key,
    )
    known.save(target.home)
    server = postgres.prepare(target.home.postgres).url(known.ports["postgres"])
    for service in databases.SERVICES:
        databases.create(server, service, passwords=known.passwords[service])
    run(script("restore.sh", backup, known))
    commands = [after_restore(known, service, backup) for service in databases.SERVICES]
    with ThreadPoolExecutor() as pool:
        list(pool.map(run, commands))


def after_restore(known: State, service: str, backup: Path) -> list[str]:
    settings = processes.service_settings(known, service, mode="migrate", nats_url="")
    at = ["--at", moment(backup)] if service == "campaigns" else []
    given = [f"{key}={value}" for key, value in settings.items()]
    return ["env", *given, *processes.carillon(service, "after-restore"), *at]


def run(command: Iterable[str]) -> str:
    """What it printed. Raises AssertionError with it where the command failed."""
    done = subprocess.run(list(command), cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
