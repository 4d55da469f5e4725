"""Which process a pid means. Pids are reused, so a pid is only trusted together with when its process started."""

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from deploy.local.files import write_private

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Identity:
    """`started` is opaque: two processes with the same pid never share it."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        return started(self.pid) == self.started

    def send(self, signum: int) -> bool:
        """False when the process is gone."""
        if not self.is_alive():
            return False
        try:
            os.kill(self.pid, signum)
        except ProcessLookupError:
            return False
        return True

    def kill_group(self) -> None:
        """End it and the helpers it started that outlive it: each process of a stack leads its own group."""
        if self.is_alive() and os.getpgid(self.pid) != self.pid:
            self.send(signal.SIGKILL)
            return
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a process of the stack, kept in a file so that any later command knows it too."""

    identity: Identity
    since: float
    restarts: int = 0


def of(pid: int) -> Identity | None:
    start = started(pid)
    return None if start is None else Identity(pid, start)


def started(pid: int) -> str | None:
    """None when no such process runs; one that has ended and only waits for its parent does not run."""
    if BOOT_ID.exists():
        # Ticks since the boot: unlike a time of day it does not move when the clock is set.
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else f"{BOOT_ID.read_text().strip()}:{fields[19]}"
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.1f}"
    except psutil.NoSuchProcess:
        return None


def write(path: Path, record: Record) -> None:
    write_private(path, json.dumps(asdict(record)))


def read(path: Path) -> Record | None:
    """None when there is no such file; the process need not run any more."""
    try:
        known = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return Record(Identity(**known["identity"]), known["since"], known["restarts"])
