"""Brings every service's schema to its head, as the role that owns it."""

import os
import subprocess

from deploy.local import processes
from deploy.local.databases import SERVICES
from deploy.local.home import REPOSITORY, Home
from deploy.local.state import State


class MigrationFailed(Exception):
    """The message carries what the migration said."""


def run(home: Home, state: State) -> None:
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
        for service in SERVICES
    }
    for service, process in started.items():
        output, _ = process.communicate()
        home.log(f"{service}-migrate").write_text(output)
        if process.returncode != 0:
            raise MigrationFailed(f"the schema of {service} could not be migrated:\n{output.strip()[-3000:]}")
