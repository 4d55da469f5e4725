"""A nats-server as production has it: the services in an account of theirs, each subscriber in another."""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chassis import ids
from chassis.ids import AccountId, encode_account
from deploy.local import nats as local_nats
from deploy.local import ports
from services.gateway.domain.subscribers import SERVICES, Subscriber

START_SECONDS = 30.0
PASSWORD = "subscriber"


@dataclass
class Server:
    port: int
    crm: Subscriber
    other: Subscriber

    @property
    def operator(self) -> str:
        return f"nats://operator:operator@{ports.HOST}:{self.port}"

    def url(self, subscriber: Subscriber) -> str:
        return f"nats://{subscriber.user}:{PASSWORD}@{ports.HOST}:{self.port}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With two subscribers of two accounts of ours, configured as `carillon events subscriber` prints it."""
    folder = tmp_path_factory.mktemp("nats")
    port = ports.choose()
    crm, other = (
        Subscriber(name, encode_account(AccountId(ids.new())), types)
        for name, types in (("crm", ["contact.*", "segment.members_changed"]), ("other", []))
    )
    accounts = {
        SERVICES: {
            "jetstream": "enabled",
            "users": [{"user": "operator", "password": "operator"}],
            "exports": [*crm.exports(), *other.exports()],
        }
    }
    for one in (crm, other):
        accounts |= one.nats_configuration(PASSWORD)
    monitor = ports.choose(frozenset({port}))
    settings = {
        "listen": f"{ports.HOST}:{port}",
        "http": f"{ports.HOST}:{monitor}",
        "jetstream": {"store_dir": str(folder / "data")},
        "accounts": accounts,
    }
    # NATS reads JSON as it reads its own language.
    (folder / "nats.conf").write_text(json.dumps(settings))
    process = start(folder, monitor=monitor)
    yield Server(port, crm, other)
    process.kill()
    process.wait()


def start(folder: Path, *, monitor: int) -> "subprocess.Popen[bytes]":
    with (folder / "nats.log").open("wb") as log:
        process = subprocess.Popen(
            [str(local_nats.binary()), "--config", str(folder / "nats.conf")], stdout=log, stderr=log
        )
    probe = local_nats.Installation(folder, 0, monitor, password="")
    deadline = time.monotonic() + START_SECONDS
    while not local_nats.is_ready(probe):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError((folder / "nats.log").read_text())
        time.sleep(0.02)
    return process
