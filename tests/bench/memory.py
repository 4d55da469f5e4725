"""The most memory that a process held while something ran."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Peak:
    # Resident, of the process and its children together.
    bytes: int = 0

    @property
    def mib(self) -> float:
        return self.bytes / 2**20


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    peak = Peak()
    stop = threading.Event()
    process = psutil.Process(pid)

    def watch() -> None:
        while not stop.wait(LOOK_SECONDS):
            try:
                members = [process, *process.children(recursive=True)]
                peak.bytes = max(peak.bytes, sum(member.memory_info().rss for member in members))
            except psutil.NoSuchProcess:
                continue

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
