"""What a process took while something ran: the most memory, and its CPU time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

LOOK_SECONDS = 0.02
# To find the children every process of the machine is asked: by each look, that took a tenth of two cores.
CHILDREN_SECONDS = 0.5


@dataclass(slots=True)
class Usage:
    """Of the process and its children together."""

    # The most that was resident at a time.
    peak_bytes: int = 0
    cpu_seconds: float = 0.0


@contextmanager
def watched(pid: int) -> Iterator[Usage]:
    usage = Usage()
    stop = threading.Event()
    process = psutil.Process(pid)

    def watch() -> None:
        members, found = [process], 0.0
        while not stop.wait(LOOK_SECONDS):
            try:
                if time.monotonic() - found > CHILDREN_SECONDS:
                    members, found = [process, *process.children(recursive=True)], time.monotonic()
                usage.peak_bytes = max(usage.peak_bytes, sum(member.memory_info().rss for member in members))
            except psutil.NoSuchProcess:
                members, found = [process], 0.0

    thread = threading.Thread(target=watch, daemon=True)
    before = cpu_seconds(process)
    thread.start()
    try:
        yield usage
    finally:
        usage.cpu_seconds = cpu_seconds(process) - before
        stop.set()
        thread.join()


def cpu_seconds(process: psutil.Process) -> float:
    """Used so far by the process and the children that it has now."""
    members = [process, *process.children(recursive=True)]
    return sum(times.user + times.system for times in (member.cpu_times() for member in members))
