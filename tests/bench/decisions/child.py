"""A server under test in a process of its own, so that the load does not share its interpreter."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.local import stopping
from tests.bench.usage import cpu_seconds

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 20.0


class Child:
    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.port = port
        self._process = psutil.Process(process.pid)

    def cpu_seconds(self) -> float:
        """Used so far, the workers that it started included."""
        return cpu_seconds(self._process)


@contextmanager
def running(module: str, *arguments: str) -> Iterator[Child]:
    """Runs `python -m module arguments`, which prints its port on a line when it serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    try:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline().strip() if ready else ""
        if not line.isdigit():
            raise RuntimeError(f"{module} {' '.join(arguments)} did not start")
        yield Child(process, int(line))
    finally:
        stopping.stop(process)
