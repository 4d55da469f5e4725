"""A stack of Postgres, NATS and the carrier alone: what the supervisor does does not depend on what it runs."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local import identity, ports, processes, stack
from deploy.local.home import Home

DEADLINE_SECONDS = 30.0


@dataclass
class Small:
    """`environ` is what `up` is called with."""

    home: Home
    environ: dict[str, str]

    def up(self, **more: str) -> None:
        stack.up(self.home, only=processes.INFRASTRUCTURE, environ=self.environ | more)

    def pid(self, name: str) -> int:
        return int(self.home.pid(name).read_text())

    def pids(self) -> dict[str, int]:
        return {name: self.pid(name) for name in processes.INFRASTRUCTURE}

    def supervisor(self) -> identity.Identity:
        record = identity.read(self.home.record("supervisor"))
        assert record is not None
        return record.identity

    def conditions(self) -> dict[str, str]:
        return {name: condition for name, _, condition, _ in stack.status(self.home)}


def wait_until(probe: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not probe():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.02)


@pytest.fixture
def make_small(tmp_path: Path, unused_gateway_port: Callable[[], int]) -> Iterator[Callable[[str], Small]]:
    made: list[Small] = []

    def make(folder: str = "home") -> Small:
        environ = {"PATH": os.environ["PATH"], "CARILLON_PORT": str(unused_gateway_port())}
        made.append(Small(Home(tmp_path / folder), environ))
        return made[-1]

    yield make
    for small in made:
        stack.reset(small.home)


@pytest.fixture
def small(make_small: Callable[[], Small]) -> Small:
    return make_small()


@pytest.fixture
def unused_gateway_port() -> Callable[[], int]:
    return ports.choose
