"""Where the processor time of a REST call goes: of each process of the stack, while the calls run and after them.

What a call leaves for later (publishing, projections, search, the feed) is counted until nothing is left of it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop

from deploy.local import processes
from deploy.local.demo import contacts_csv
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench import rest, settling
from tests.bench.decisions import child
from tests.bench.freshness import import_file
from tests.bench.measure import Load, closed_loop
from tests.bench.record import Outcome
from tests.bench.settling import Settling
from tests.throwaway_stack import ThrowawayStack

SECONDS = 5.0
NAMES = ("create", "update", "get", "list 100", "lookup", rest.BATCHES)
CLIENT, SINK = "this client", "span sink"
# How Postgres titles the process of a connection: role, database.
CONNECTION = re.compile(r"postgres: (\w+) \w+ ")
SMALLEST_MS = 0.005

# Seconds so far, by process.
Clock = dict[str, float]


@dataclass(frozen=True, slots=True)
class Costs:
    load: Load
    # Milliseconds of processor a call, by process: while calls ran, and from then until all was quiet.
    during: Clock
    after: Clock


class Clocks:
    def __init__(self, stack: ThrowawayStack, sink: child.Child) -> None:
        self._sink = sink
        self._processes = {name: psutil.Process(stack.pid(name)) for name in processes.ALL if name != "postgres"}
        self._processes[CLIENT] = psutil.Process()
        self._postgres = psutil.Process(stack.pid("postgres"))

    def read(self) -> Clock:
        found: Clock = {SINK: self._sink.cpu_seconds()}
        for name, process in self._processes.items():
            found[name] = seconds_of(process)
        for server in [self._postgres, *self._postgres.children()]:
            name = title(server)
            found[name] = found.get(name, 0.0) + seconds_of(server)
        return found


def seconds_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def title(server: psutil.Process) -> str:
    words = Path(f"/proc/{server.pid}/cmdline").read_text().replace("\0", " ")
    connection = CONNECTION.match(words)
    return f"postgres, {connection[1]}" if connection is not None else "postgres itself"


def between(before: Clock, after: Clock, *, calls: int) -> Clock:
    """Milliseconds a call."""
    return {name: (seconds - before.get(name, 0.0)) / calls * 1000 for name, seconds in after.items()}


async def costs(call: Callable[[int], Awaitable[object]], clocks: Clocks, settled: Settling) -> Costs:
    await closed_loop(call, clients=rest.CLIENTS, seconds=0.5)
    await settled.wait()
    began = clocks.read()
    load = await closed_loop(call, clients=rest.CLIENTS, seconds=SECONDS)
    ended = clocks.read()
    await settled.wait()
    calls = len(load.latencies)
    return Costs(load, between(began, ended, calls=calls), between(ended, clocks.read(), calls=calls))


async def measure(stack: ThrowawayStack, sink: child.Child) -> dict[str, Costs]:
    file = stack.home.folder / "demo" / "rest.csv"
    contacts_csv.write(file, rows=rest.ROWS, seed=rest.SEED)
    key = await asyncio.to_thread(stack.create_account, "bench rest costs")
    async with Rest(stack.url, key) as api:
        await import_file(api, file)
        contacts = await rest.some_contacts(api)
    clocks = Clocks(stack, sink)
    async with settling.of(stack) as settled, rest.connected(stack.url, key) as to_gateway:
        requests = rest.calls(to_gateway, [], contacts=contacts)
        return {name: await costs(requests[name], clocks, settled) for name in NAMES}


def run(rounds: int = 1) -> Outcome:
    del rounds  # Processor time, unlike a rate, is much the same from run to run.
    with (
        child.running("tests.bench.span_sink") as sink,
        throwaway_stack.started("bench", environ=rest.environ(sink)) as stack,
    ):
        found = uvloop.run(measure(stack, sink))
    everybody = dict.fromkeys(name for one in found.values() for name in (*one.during, *one.after))
    spent = {
        name: [one.during.get(name, 0.0) + one.after.get(name, 0.0) for one in found.values()] for name in everybody
    }
    rows = [["calls/s", *(f"{one.load.per_second:,.0f}" for one in found.values())]]
    for name in sorted(everybody, key=lambda name: -spent[name][0]):
        if max(spent[name]) >= SMALLEST_MS:
            rows.append(
                [name, *(f"{one.during.get(name, 0.0):.2f} + {one.after.get(name, 0.0):.2f}" for one in found.values())]
            )
    rows.append(["all", *(f"{sum(one.during.values()):.2f} + {sum(one.after.values()):.2f}" for one in found.values())])
    return Outcome(
        "rest_costs",
        f"Processor ms a call, {rest.CLIENTS} clients: while calls ran + afterwards",
        ["", *found],
        rows,
        {
            name: {"per_second": one.load.per_second, "during_ms": one.during, "after_ms": one.after}
            for name, one in found.items()
        },
        {"clients": rest.CLIENTS, "seconds": SECONDS, "rows": rest.ROWS, "seed": rest.SEED},
    )
