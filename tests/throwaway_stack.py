"""A whole stack of its own, beside whatever else runs: for benchmarks and fault runs, which need one that is theirs."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import demo_account, env, ports, processes, stack, state
from deploy.local.home import REPOSITORY, Home
from deploy.local.state import State


@dataclass(frozen=True, slots=True)
class ThrowawayStack:
    home: Home
    known: State

    @property
    def url(self) -> str:
        return processes.gateway_url(self.known)

    @property
    def carrier_url(self) -> str:
        return processes.carrier_url(self.known)

    @property
    def nats_url(self) -> str:
        return env.values(self.home, self.known)["CARILLON_NATS_URL"]

    def database_url(self, service: str) -> str:
        """An administrator's, who sees every row."""
        return env.values(self.home, self.known)[f"CARILLON_{service.upper()}_DATABASE_URL"]

    def pid(self, name: str) -> int:
        """Of the process that runs under the name now. Raises FileNotFoundError where none does."""
        return int(self.home.pid(name).read_text())

    def environment(self, name: str) -> dict[str, str]:
        """What the process of the name was started with."""
        return processes.specs(self.home, self.known)[name].env

    def log(self, name: str) -> Path:
        return self.home.log(name)

    def create_account(self, name: str) -> str:
        """Its API key. Blocks: the gateway's command is run."""
        return demo_account.create_account(self.home, self.known, name)


@contextmanager
def started(
    name: str,
    *,
    environ: dict[str, str] | None = None,
    only: Sequence[str] = processes.ALL,
    prepare: Callable[[ThrowawayStack], None] | None = None,
) -> Iterator[ThrowawayStack]:
    """Up in a folder of its own at free ports, without the demo account; gone with its data afterwards.

    prepare: called when the servers run that the processes need, and none of these yet. Where the block fails, the logs
    are kept beside the folder.
    """
    home = Home(REPOSITORY / f".carillon-{name}")
    stack.reset(home)
    settings = {**processes.environment(home, os.environ), "CARILLON_PORT": str(ports.choose()), **(environ or {})}
    try:
        if prepare is not None:
            stack.up(home, only=processes.INFRASTRUCTURE, environ=settings, demo=False)
            prepare(ThrowawayStack(home, state.load(home)))
        stack.up(home, only=only, environ=settings, demo=False)
        yield ThrowawayStack(home, state.load(home))
    except BaseException:
        keep_logs(home)
        raise
    finally:
        stack.reset(home)


def keep_logs(home: Home) -> None:
    """Copied beside the folder, instead of those kept before."""
    kept = home.folder.with_name(f"{home.folder.name}-logs")
    shutil.rmtree(kept, ignore_errors=True)
    if (home.folder / "logs").exists():
        shutil.copytree(home.folder / "logs", kept)
