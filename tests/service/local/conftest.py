"""A stack of Postgres, NATS and the carrier alone: what the supervisor does does not depend on what it runs."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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


@pytest.fixture(scope="module")
def make_small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Small]]:
    made: list[Small] = []

    def make(folder: str) -> Small:
        environ = {"PATH": os.environ["PATH"], "CARILLON_PORT": str(ports.choose())}
        made.append(Small(Home(tmp_path_factory.mktemp("stack") / folder), environ))
        return made[-1]

    yield make
    for small in made:
        stack.reset(small.home)


@pytest.fixture(scope="module")
def small(make_small: Callable[[str], Small]) -> Small:
    """Shared by a module's tests, for it costs seconds to make: each calls up() first and may leave it in any state."""
    return make_small("home")
