"""Contacts through the REST API with 32 clients, against an empty handler under the same server.

The whole path: gateway, gRPC, Postgres commit and outbox, with keys, rate limits, an Idempotency-Key on every POST, and
traces sent to a collector that throws them away.
"""

import asyncio
import itertools
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import psutil
import uvloop

from deploy.local.demo import contacts_csv
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.decisions import child
from tests.bench.freshness import import_file
from tests.bench.measure import Load, closed_loop, median
from tests.bench.record import Outcome
from tests.bench.usage import cpu_seconds
from tests.throwaway_stack import ThrowawayStack

CLIENTS = 32
SECONDS = 3.0
ROUNDS = 5
ROWS = 20_000
SEED = 1
BATCH = 100
BATCHES = f"batch of {BATCH} upserts"
EMPTY = "empty handler"
# The bench is one key that calls as fast as it can: its budget is counted and never spent.
ENVIRON = {"CARILLON_RATE_LIMIT_PER_SECOND": "100000"}
LEAST_PER_SECOND = {"create": 700.0, "get": 1000.0}
# Of the gateway over the empty handler's, for the calls of one contact.
MOST_CPU_MS = 1.5
OF_ONE_CONTACT = ("create", "update", "get", "lookup")


def once() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


async def read(answer: aiohttp.ClientResponse) -> None:
    await answer.read()
    if not answer.ok:
        raise RuntimeError(f"{answer.method} {answer.url.path} answered {answer.status}: {await answer.text()}")


def calls(
    http: aiohttp.ClientSession, url: str, *, contacts: list[tuple[str, str]], empty_port: int
) -> dict[str, Callable[[int], Awaitable[None]]]:
    """By name: one request each. contacts: (id, phone) of some that are there."""
    rng = random.Random(SEED)
    numbers = itertools.count(rng.randrange(10**6))

    async def empty(_: int) -> None:
        async with http.get(f"http://127.0.0.1:{empty_port}/bare") as answer:
            await read(answer)

    async def create(_: int) -> None:
        body = {"phone": f"+1555{next(numbers):07d}", "name": "Käthe Müller", "tags": ["premium", "active"]}
        async with http.post(f"{url}/v1/contacts", json=body, headers=once()) as answer:
            await read(answer)

    async def update(_: int) -> None:
        body = {"stage": f"stage {rng.randrange(10**6)}"}
        async with http.patch(f"{url}/v1/contacts/{rng.choice(contacts)[0]}", json=body) as answer:
            await read(answer)

    async def upsert(_: int) -> None:
        body = {"phone": rng.choice(contacts)[1], "stage": f"stage {rng.randrange(10**6)}"}
        async with http.post(
            f"{url}/v1/contacts", params={"on_conflict": "update"}, json=body, headers=once()
        ) as answer:
            await read(answer)

    async def batch(_: int) -> None:
        """Half of them new, half of them there."""
        stage = f"stage {rng.randrange(10**6)}"
        rows: list[dict[str, object]] = [
            {"phone": f"+1555{next(numbers):07d}", "name": "Käthe Müller", "tags": ["premium", "active"]}
            for _ in range(BATCH // 2)
        ]
        rows += [{"phone": phone, "stage": stage} for _, phone in rng.sample(contacts, BATCH // 2)]
        async with http.post(f"{url}/v1/contacts/batch", json={"contacts": rows}, headers=once()) as answer:
            await read(answer)

    async def get(_: int) -> None:
        async with http.get(f"{url}/v1/contacts/{rng.choice(contacts)[0]}") as answer:
            await read(answer)

    async def page(_: int) -> None:
        async with http.get(f"{url}/v1/contacts", params={"limit": "100"}) as answer:
            await read(answer)

    async def lookup(_: int) -> None:
        async with http.get(f"{url}/v1/contacts/lookup", params={"phone": rng.choice(contacts)[1]}) as answer:
            await read(answer)

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


async def measure(stack: ThrowawayStack, empty: child.Child, *, rounds: int) -> dict[str, list[Measured]]:
    file = stack.home.folder / "demo" / "rest.csv"
    contacts_csv.write(file, rows=ROWS, seed=SEED)
    key = await asyncio.to_thread(stack.create_account, "bench rest")
    async with Rest(stack.url, key) as rest:
        await import_file(rest, file)
        contacts = await some_contacts(rest)
    gateway = psutil.Process(stack.pid("gateway"))
    found: dict[str, list[Measured]] = {}
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {key}"}, connector=aiohttp.TCPConnector(limit=CLIENTS)
    ) as http:
        requests = calls(http, stack.url, contacts=contacts, empty_port=empty.port)
        for round_number in range(-1, rounds):
            for name, call in requests.items():
                used = empty.cpu_seconds if name == EMPTY else lambda: cpu_seconds(gateway)
                before = used()
                load = await closed_loop(call, clients=CLIENTS, seconds=SECONDS if round_number >= 0 else 0.5)
                cpu_ms = (used() - before) / len(load.latencies) * 1000
                if round_number >= 0:
                    found.setdefault(name, []).append(Measured(load, cpu_ms))
    return found


def run(rounds: int = ROUNDS) -> Outcome:
    # The empty handler is FastAPI under granian too, so that the difference is the path behind it. It calls nobody.
    with child.running("tests.bench.span_sink") as sink:
        environ = {**ENVIRON, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}"}
        with (
            throwaway_stack.started("bench", environ=environ) as stack,
            child.running("tests.bench.decisions.asgi_subject", "granian", "1") as empty,
        ):
            found = uvloop.run(measure(stack, empty, rounds=rounds))
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
    for name in OF_ONE_CONTACT:
        over = figures[name]["cpu_ms"] - figures[EMPTY]["cpu_ms"]
        if over > MOST_CPU_MS:
            found.append(
                f"{name}: the gateway takes {over:.2f} ms of processor over an empty handler, over {MOST_CPU_MS}"
            )
    return found
