"""`up`, `down`, `reset` and `status` of one stack."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil

from deploy.local import (
    databases,
    demo_account,
    env,
    identity,
    migrate,
    plan,
    postgres,
    processes,
    readiness,
    state,
    supervisor,
)
from deploy.local.home import REPOSITORY, Home
from deploy.local.identity import Identity
from deploy.local.plan import Plan
from deploy.local.processes import INFRASTRUCTURE, TAG, Spec
from deploy.local.state import State

TAKEN_SECONDS = 30.0
READY_SECONDS = float(os.environ.get("CARILLON_READY_SECONDS", "180"))
# A process that ended this often while it was waited for will not come up by waiting.
RESTARTS_ENOUGH = 5
STOP_SECONDS = 90.0
LOG_LINES = 15
LOG_BYTES_KEPT = 20_000_000


class NotUp(Exception):
    """The stack, or one process of it, did not come up; the message says why and where to look."""


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """One command at a time on one stack."""
    home.make()
    with home.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another command on {home.folder}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def up(
    home: Home, *, only: Sequence[str] = processes.ALL, environ: Mapping[str, str] = os.environ, demo: bool = True
) -> None:
    """Start what does not run, wait until it is ready. `only`: names of processes, for tests that need a few."""
    with locked(home):
        known = state.load(home)
        alive = running(home)
        state.choose_ports(home, known, running=bool(alive), environ=environ)
        known.save(home)
        specs = {name: spec for name, spec in processes.specs(home, known, environ=environ).items() if name in only}
        wanted = Plan(specs, restart=environ.get("CARILLON_SUPERVISE", "1") != "0")
        env.write(home, known)
        cold = not is_up(home, wanted, alive)
        if cold:
            start(home, known, wanted)
        if demo and "gateway" in specs and (cold or known.demo_carrier != processes.carrier_url(known)):
            demo_account.make(home, known)
            env.write(home, known)


def is_up(home: Home, wanted: Plan, alive: Mapping[str, Identity]) -> bool:
    supervising = identity.read(home.record("supervisor"))
    if supervising is None or not supervising.identity.is_alive() or not set(wanted.specs) <= set(alive):
        return False
    current = plan.read(home)
    same = current.restart == wanted.restart and set(wanted.specs) <= set(current.specs)
    return same and all(readiness.problem(spec) is None for spec in wanted.specs.values())


def start(home: Home, known: State, wanted: Plan) -> None:
    """The databases first, then their schemas, then what uses them."""
    kept = {name: spec for name, spec in wanted.specs.items() if name in INFRASTRUCTURE or name in running(home)}
    supervise(home, Plan(kept, wanted.restart))
    wait_taken(home)
    infrastructure = {name: spec for name, spec in kept.items() if name in INFRASTRUCTURE}
    wait_ready(home, infrastructure)
    if set(wanted.specs) <= set(INFRASTRUCTURE):
        return
    prepare_databases(home, known)
    supervise(home, wanted)
    wait_taken(home)
    wait_ready(home, wanted.specs)


def prepare_databases(home: Home, known: State) -> None:
    """Each service's, with its roles and at the newest schema. Postgres runs."""
    server_url = postgres.prepare(home.postgres).url(known.ports["postgres"])
    for service in databases.SERVICES:
        databases.create(server_url, service, passwords=known.passwords[service])
    migrate.run(home, known)


def supervise(home: Home, wanted: Plan) -> None:
    """Hand the plan to the supervisor, which is started when none runs."""
    plan.write(home, wanted)
    current = identity.read(home.record("supervisor"))
    if current is not None and current.identity.send(signal.SIGHUP):
        return
    if not running(home):
        end_strays(home)
        shorten_logs(home)
    with home.log("supervisor").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local.supervisor", str(home.folder)],
            cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            preexec_fn=ignore_reload,
        )  # fmt: skip
    started = identity.of(process.pid)
    if started is None:
        raise NotUp(f"the supervisor did not start; see {home.log('supervisor')}")
    identity.write(home.record("supervisor"), identity.Record(started, time.time()))


def ignore_reload() -> None:
    """A SIGHUP that comes before the supervisor listens must not end it; it has the plan still to read anyway."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def wait_taken(home: Home) -> None:
    """Processes that are ready already do not show that the supervisor has the new plan."""
    deadline = time.monotonic() + TAKEN_SECONDS
    while not plan.is_taken(home):
        if time.monotonic() > deadline:
            raise NotUp(f"the supervisor did not take the plan; see {home.log('supervisor')}")
        time.sleep(0.02)


def wait_ready(home: Home, specs: Mapping[str, Spec]) -> None:
    waiting = dict(specs)
    deadline = time.monotonic() + READY_SECONDS
    before = {name: restarts(home, name) for name in specs}
    while waiting:
        for name, spec in list(waiting.items()):
            problem = readiness.problem(spec)
            if problem is None:
                del waiting[name]
            elif time.monotonic() > deadline or restarts(home, name) - before[name] >= RESTARTS_ENOUGH:
                raise NotUp(explain(home, name, problem))
        time.sleep(0.05)


def restarts(home: Home, name: str) -> int:
    record = identity.read(home.record(name))
    return record.restarts if record else 0


def explain(home: Home, name: str, problem: str) -> str:
    log = home.log(name)
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
    tail = "\n".join(f"  | {line[:400]}" for line in lines) or "  | (empty)"
    return f"{name} is not ready: it {problem}. The last lines of {log}:\n{tail}"


def running(home: Home) -> dict[str, Identity]:
    found = {}
    for name in processes.ALL:
        record = identity.read(home.record(name))
        if record is not None and record.identity.is_alive():
            found[name] = record.identity
    return found


def down(home: Home) -> None:
    """Stop everything in order, also when the supervisor was killed. Keeps the data."""
    if not home.folder.exists():
        return
    with locked(home):
        stop(home)


def stop(home: Home) -> None:
    current = identity.read(home.record("supervisor"))
    if current is not None and current.identity.send(signal.SIGTERM):
        deadline = time.monotonic() + STOP_SECONDS
        while current.identity.is_alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        current.identity.send(signal.SIGKILL)
    if home.plan.exists():
        orphans = {
            name: supervisor.Child(spec, record=identity.read(home.record(name)))
            for name, spec in plan.read(home).specs.items()
        }
        supervisor.stop_all(home, orphans)
    end_strays(home)
    home.record("supervisor").unlink(missing_ok=True)


def end_strays(home: Home) -> None:
    """Processes of this stack that no record names: a killed gateway's workers, say."""
    strays = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(TAG) == str(home.folder) and process.pid != os.getpid():
                process.kill()
                strays.append(process)
        except psutil.Error:
            continue
    psutil.wait_procs(strays, timeout=5)


def reset(home: Home) -> None:
    """Stop, and drop the data, the keys, the ports and the logs."""
    down(home)
    if (home.postgres / postgres.RECORD).exists():
        shutil.rmtree(postgres.data_folder(home.postgres), ignore_errors=True)  # may lie elsewhere, for root
    home.remove()


def shorten_logs(home: Home) -> None:
    for log in (home.folder / "logs").glob("*.log"):
        if log.stat().st_size > LOG_BYTES_KEPT:
            log.replace(log.with_suffix(".log.1"))


def status(home: Home) -> list[tuple[str, str, str, str]]:
    """(name, pid, state, restarts) of each process, the supervisor first."""
    rows = []
    specs = plan.read(home).specs if home.plan.exists() else {}
    for name in ("supervisor", *processes.ALL):
        record = identity.read(home.record(name))
        if record is None or not record.identity.is_alive():
            rows.append((name, "", "not running", ""))
            continue
        problem = readiness.problem(specs[name]) if name in specs else None
        rows.append((name, str(record.identity.pid), problem or "ready", str(record.restarts)))
    return rows
