"""Keeps the processes of a stack running: `python -m deploy.local.supervisor FOLDER`, which `up` starts and leaves.

SIGHUP: read the plan again and start what it names and does not run. SIGTERM: stop everything in order, then exit.
When the supervisor itself is killed the processes run on, and the next one adopts them by their records.
"""

import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from deploy.local import identity, plan, postgres
from deploy.local.files import write_private
from deploy.local.home import Home
from deploy.local.identity import Identity, Record
from deploy.local.processes import STOP_ORDER, Spec

LOOK_SECONDS = 0.1
# A process that ran this long was fine: when it ends, it is started anew at once.
STABLE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 15.0
# Of a row of STOP_ORDER, before what is left of it is killed.
GRACE_SECONDS = 15.0


@dataclass(slots=True)
class Child:
    """One supervised process; `popen` is None for one adopted from an earlier supervisor."""

    spec: Spec
    record: Record | None = None
    popen: subprocess.Popen[bytes] | None = None
    failures: int = 0
    restarts: int = 0
    start_at: float = field(default_factory=time.monotonic)

    def is_alive(self) -> bool:
        if self.popen is not None:
            return self.popen.poll() is None
        return self.record is not None and self.record.identity.is_alive()


class Supervisor:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.children: dict[str, Child] = {}
        self.restart = True
        self.stopping = threading.Event()
        self.reload = threading.Event()

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self.on_signal)
        signal.signal(signal.SIGHUP, self.on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.read_plan()
        while not self.stopping.is_set():
            if self.reload.is_set():
                self.reload.clear()
                self.read_plan()
            for child in self.children.values():
                self.look(child)
            self.stopping.wait(LOOK_SECONDS)
        stop_all(self.home, self.children)
        self.home.record("supervisor").unlink(missing_ok=True)

    def on_signal(self, signum: int, _: FrameType | None) -> None:
        (self.stopping if signum == signal.SIGTERM else self.reload).set()

    def read_plan(self) -> None:
        """Adopt what runs already; everything else that the plan names is due now."""
        text = self.home.plan.read_text()
        wanted = plan.parse(text)
        self.restart = wanted.restart
        for name, spec in wanted.specs.items():
            child = self.children.get(name)
            if child is None:
                child = self.children[name] = Child(spec, record=identity.read(self.home.record(name)))
                child.restarts = child.record.restarts if child.record else 0
            child.spec = spec
            if not child.is_alive():
                child.failures = 0
                self.start(child)
        plan.acknowledge(self.home, text)

    def look(self, child: Child) -> None:
        if child.is_alive():
            return
        if child.record is not None:
            self.ended(child, child.record)
        if self.restart and time.monotonic() >= child.start_at:
            child.restarts += 1
            self.start(child)

    def ended(self, child: Child, record: Record) -> None:
        code = child.popen.returncode if child.popen is not None else None
        killed = code is None or code < 0
        stable = time.time() - record.since >= STABLE_SECONDS
        child.failures = 0 if killed or stable else child.failures + 1
        child.start_at = time.monotonic() + pause(child.failures)
        say(f"{child.spec.name} (pid {record.identity.pid}) ended with {code}; failures in a row: {child.failures}")
        record.identity.kill_group()
        child.record = child.popen = None

    def start(self, child: Child) -> None:
        spec = child.spec
        if child.record is not None:
            child.record.identity.kill_group()
        if spec.data is not None:
            postgres.kill_strays(Path(spec.data))
        try:
            child.popen = spawn(self.home, spec)
        except OSError as error:
            say(f"{spec.name} cannot be started: {error}")
            child.failures += 1
            child.start_at = time.monotonic() + pause(child.failures)
            return
        started = identity.of(child.popen.pid) or Identity(child.popen.pid, "ended at once")
        child.record = Record(started, time.time(), child.restarts)
        identity.write(self.home.record(spec.name), child.record)
        write_private(self.home.pid(spec.name), f"{child.popen.pid}\n")
        say(f"{spec.name} started, pid {child.popen.pid}")


def pause(failures: int) -> float:
    """Before the next start: none after a kill, doubling while a process keeps failing, never for ever."""
    if failures == 0:
        return 0.0
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (failures - 1)))


def spawn(home: Home, spec: Spec) -> subprocess.Popen[bytes]:
    """In a session of its own, so that neither a closed terminal nor Ctrl-C reaches it."""
    user: dict[str, Any] = {} if spec.uid is None else {"user": spec.uid, "group": spec.gid, "extra_groups": []}
    with home.log(spec.name).open("ab") as log:
        return subprocess.Popen(
            spec.command,
            cwd=spec.folder,
            env=spec.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **user,
        )


def stop_all(home: Home, children: dict[str, Child]) -> None:
    for row in STOP_ORDER:
        here = [child for name, child in children.items() if name in row and child.is_alive()]
        for child in here:
            signal_stop(child)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and any(child.is_alive() for child in here):
            time.sleep(0.05)
        for name in row:
            if name in children:
                bury(home, children[name])


def signal_stop(child: Child) -> None:
    # Postgres takes SIGTERM as "once the last client has left".
    signum = signal.SIGINT if child.spec.name == "postgres" else signal.SIGTERM
    if child.record is not None:
        child.record.identity.send(signum)


def bury(home: Home, child: Child) -> None:
    """End what is left of a process and remove its traces."""
    if child.record is not None:
        if child.is_alive():
            say(f"{child.spec.name} did not stop in {GRACE_SECONDS:.0f} s and is killed")
        child.record.identity.kill_group()
        if child.popen is not None:
            child.popen.wait()
    if child.spec.data is not None:
        postgres.kill_strays(Path(child.spec.data))
    home.pid(child.spec.name).unlink(missing_ok=True)
    home.record(child.spec.name).unlink(missing_ok=True)


def say(message: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), message, flush=True)


if __name__ == "__main__":
    Supervisor(Home(Path(sys.argv[1]))).run()
