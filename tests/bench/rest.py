"""Contacts through the REST API with 32 clients, against an empty handler under the same server.

The whole path: gateway, gRPC, Postgres commit and outbox, with keys, rate limits, an Idempotency-Key on every POST, and
traces sent to a collector that throws them away: as many as the chart has recorded, and beside that all of them.
"""

import asyncio
import itertools
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import uvloop
import yaml

from deploy.local.demo import contacts_csv
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench import settling
from tests.bench.decisions import child
from tests.bench.freshness import import_file
from tests.bench.http_client import Connection, connections
from tests.bench.measure import Load, closed_loop, median
from tests.bench.record import Outcome
from tests.bench.usage import cpu_seconds
from tests.throwaway_stack import ThrowawayStack

CLIENTS = 32
SECONDS = 3.0
ROUNDS = 3
ROWS = 20_000
SEED = 1
BATCH = 100
BATCHES = f"batch of {BATCH} upserts"
EMPTY = "empty handler"
# The bench is one key that calls as fast as it can: its budget is counted and never spent.
ENVIRON = {"CARILLON_RATE_LIMIT_PER_SECOND": "100000"}
CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "carillon" / "values.yaml"
# Measured with every trace recorded as well.
TRACED, ALL_TRACES = ("create", "get"), "{}, all traces recorded"
LEAST_PER_SECOND = {"create": 700.0, "get": 1000.0}
# Of the gateway over the empty handler's.
MOST_CPU_MS = 1.5
# What these leave to the workers goes on when they were answered.
WRITES = ("create", "update", "upsert", BATCHES)


def once() -> str:
    return f"Idempotency-Key: {uuid.uuid4().hex}\r\n"


def calls(
    gateway: Sequence[Connection], bare: Sequence[Connection], *, contacts: list[tuple[str, str]]
) -> dict[str, Callable[[int], Awaitable[bytes]]]:
    """By name: one request each, of the client with that number. gateway, bare: a connection for each client, the
    latter to the empty handler. contacts: (id, phone) of some that are there."""
    rng = random.Random(SEED)
    # Of a range that is given out, as nearly all numbers of an address book are.
    numbers = itertools.count(2_000_000 + rng.randrange(10**6))

    def new() -> dict[str, object]:
        return {"phone": f"+1415{next(numbers)}", "name": "Käthe Müller", "tags": ["premium", "active"]}

    def changed(phone: str) -> dict[str, object]:
        return {"phone": phone, "stage": f"stage {rng.randrange(10**6)}"}

    async def empty(client: int) -> bytes:
        return await bare[client].call("GET", "/bare")

    async def create(client: int) -> bytes:
        return await gateway[client].call("POST", "/v1/contacts", new(), headers=once())

    async def update(client: int) -> bytes:
        body = {"stage": f"stage {rng.randrange(10**6)}"}
        return await gateway[client].call("PATCH", f"/v1/contacts/{rng.choice(contacts)[0]}", body)

    async def upsert(client: int) -> bytes:
        body = changed(rng.choice(contacts)[1])
        return await gateway[client].call("POST", "/v1/contacts?on_conflict=update", body, headers=once())

    async def batch(client: int) -> bytes:
        """Half of them new, half of them there."""
        rows = [new() for _ in range(BATCH // 2)] + [changed(phone) for _, phone in rng.sample(contacts, BATCH // 2)]
        return await gateway[client].call("POST", "/v1/contacts/batch", {"contacts": rows}, headers=once())

    async def get(client: int) -> bytes:
        return await gateway[client].call("GET", f"/v1/contacts/{rng.choice(contacts)[0]}")

    async def page(client: int) -> bytes:
        return await gateway[client].call("GET", "/v1/contacts?limit=100")

    async def lookup(client: int) -> bytes:
        return await gateway[client].call("GET", f"/v1/contacts/lookup?phone={quote(rng.choice(contacts)[1])}")

    return {
        EMPTY: empty,
        "create": create,
        "update": update,
        "upsert": upsert,
        BATCHES: batch,
        "get": get,
        "list 100": page,
        "lookup": lookup,
    }


@asynccontextmanager
async def connected(url: str, key: str) -> AsyncIterator[list[Connection]]:
    """One for each client."""
    async with connections(url, CLIENTS, headers=f"Authorization: Bearer {key}\r\n") as made:
        yield made


async def some_contacts(rest: Rest) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    query = {"limit": "100"}
    while len(found) < 2000:
        answer = await rest.get("/v1/contacts", **query)
        found += [(contact["id"], contact["phone"]) for contact in answer["data"] if contact["phone"]]
        query["cursor"] = answer["next_cursor"]
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    load: Load
    # Of the process that answered: the gateway, or the empty handler's.
    cpu_ms_per_call: float


def environ(sink: child.Child) -> dict[str, str]:
    """Of a stack that is set up as the chart does, its traces going to the sink."""
    shipped = yaml.safe_load(CHART.read_text())["otlp"]
    return {
        **ENVIRON,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}",
        "OTEL_TRACES_SAMPLER": shipped["sampler"],
        "OTEL_TRACES_SAMPLER_ARG": str(shipped["samplerArg"]),
    }


async def measure(
    stack: ThrowawayStack, empty: child.Child, *, rounds: int, names: Sequence[str] | None = None
) -> dict[str, list[Measured]]:
    """names: of the calls, where not all are wanted."""
    file = stack.home.folder / "demo" / "rest.csv"
    contacts_csv.write(file, rows=ROWS, seed=SEED)
    key = await asyncio.to_thread(stack.create_account, "bench rest")
    async with Rest(stack.url, key) as rest:
        await import_file(rest, file)
        contacts = await some_contacts(rest)
    gateway = psutil.Process(stack.pid("gateway"))
    found: dict[str, list[Measured]] = {}
    async with (
        settling.of(stack) as settled,
        connected(stack.url, key) as to_gateway,
        connections(f"http://127.0.0.1:{empty.port}", CLIENTS) as to_empty,
    ):
        requests = calls(to_gateway, to_empty, contacts=contacts)
        requests = {name: requests[name] for name in names or requests}
        # The import, and then what the call before has left, are not this call's.
        to_settle = True
        for round_number in range(-1, rounds):
            for name, call in requests.items():
                used = empty.cpu_seconds if name == EMPTY else lambda: cpu_seconds(gateway)
                if to_settle:
                    await settled.wait()
                to_settle = name in WRITES
                before = used()
                load = await closed_loop(call, clients=CLIENTS, seconds=SECONDS if round_number >= 0 else 0.5)
                cpu_ms = (used() - before) / len(load.latencies) * 1000
                if round_number >= 0:
                    found.setdefault(name, []).append(Measured(load, cpu_ms))
    return found


def run(rounds: int = ROUNDS) -> Outcome:
    # The empty handler is FastAPI under granian too, so that the difference is the path behind it. It calls nobody.
    with child.running("tests.bench.span_sink") as sink:
        shipped = environ(sink)
        with child.running("tests.bench.decisions.asgi_subject", "granian", "1") as empty:
            with throwaway_stack.started("bench", environ=shipped) as stack:
                found = uvloop.run(measure(stack, empty, rounds=rounds))
            with throwaway_stack.started("bench", environ=shipped | {"OTEL_TRACES_SAMPLER": "always_on"}) as stack:
                traced = uvloop.run(measure(stack, empty, rounds=rounds, names=TRACED))
    found |= {ALL_TRACES.format(name): measured for name, measured in traced.items()}
    rows, figures = [], {}
    reference = median([one.load.per_second for one in found[EMPTY]])
    for name, measured in found.items():
        rate = median([one.load.per_second for one in measured])
        p50 = median([one.load.ms(0.5) for one in measured])
        p99 = median([one.load.ms(0.99) for one in measured])
        cpu = median([one.cpu_ms_per_call for one in measured])
        rows.append([name, f"{rate:,.0f}", f"{rate / reference:.2f}", f"{p50:.1f}", f"{p99:.1f}", f"{cpu:.2f}"])
        figures[name] = {
            "per_second": rate, "ratio_to_empty": rate / reference, "p50_ms": p50, "p99_ms": p99, "cpu_ms": cpu,
        }  # fmt: skip
    return Outcome(
        "rest",
        f"REST with {CLIENTS} clients, medians of interleaved rounds",
        ["call", "requests/s", "of empty", "p50 ms", "p99 ms", "gateway CPU ms"],
        rows,
        figures,
        {"clients": CLIENTS, "seconds": SECONDS, "rounds": rounds, "rows": ROWS, "seed": SEED},
        missed(figures),
    )


def missed(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    found = [
        f"{name}: {figures[name]['per_second']:,.0f}/s, under {least:,.0f}/s"
        for name, least in LEAST_PER_SECOND.items()
        if figures[name]["per_second"] < least
    ]
    for name in (name for name in figures if name != EMPTY):
        over = figures[name]["cpu_ms"] - figures[EMPTY]["cpu_ms"]
        if over > MOST_CPU_MS:
            found.append(
                f"{name}: the gateway takes {over:.2f} ms of processor over an empty handler, over {MOST_CPU_MS}"
            )
    return found
