"""Contacts through the REST API with 32 clients, against an empty handler under the same server."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

from deploy.local.demo import contacts_csv
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.decisions import child
from tests.bench.freshness import import_file
from tests.bench.measure import Load, closed_loop, median, percentile
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

CLIENTS = 32
SECONDS = 3.0
ROUNDS = 5
ROWS = 20_000
SEED = 1
BATCH = 100
BATCHES = f"batch of {BATCH} upserts"


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
        async with http.post(f"{url}/v1/contacts", json=body) as answer:
            await read(answer)

    async def upsert(_: int) -> None:
        body = {"phone": rng.choice(contacts)[1], "stage": f"stage {rng.randrange(10**6)}"}
        async with http.post(f"{url}/v1/contacts", params={"on_conflict": "update"}, json=body) as answer:
            await read(answer)

    async def batch(_: int) -> None:
        """Half of them new, half of them there."""
        stage = f"stage {rng.randrange(10**6)}"
        rows: list[dict[str, object]] = [
            {"phone": f"+1555{next(numbers):07d}", "name": "Käthe Müller", "tags": ["premium", "active"]}
            for _ in range(BATCH // 2)
        ]
        rows += [{"phone": phone, "stage": stage} for _, phone in rng.sample(contacts, BATCH // 2)]
        async with http.post(f"{url}/v1/contacts/batch", json={"contacts": rows}) as answer:
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
        "empty handler": empty,
        "create": create,
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


async def measure(stack: ThrowawayStack, empty_port: int, *, rounds: int) -> dict[str, list[Load]]:
    file = stack.home.folder / "demo" / "rest.csv"
    contacts_csv.write(file, rows=ROWS, seed=SEED)
    key = await asyncio.to_thread(stack.create_account, "bench rest")
    async with Rest(stack.url, key) as rest:
        await import_file(rest, file)
        contacts = await some_contacts(rest)
    found: dict[str, list[Load]] = {}
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {key}"}, connector=aiohttp.TCPConnector(limit=CLIENTS)
    ) as http:
        requests = calls(http, stack.url, contacts=contacts, empty_port=empty_port)
        for round_number in range(-1, rounds):
            for name, call in requests.items():
                result = await closed_loop(call, clients=CLIENTS, seconds=SECONDS if round_number >= 0 else 0.5)
                if round_number >= 0:
                    found.setdefault(name, []).append(result)
    return found


def run(rounds: int = ROUNDS) -> Outcome:
    # The empty handler is FastAPI under granian too, so that the difference is the path behind it. It calls nobody.
    with (
        throwaway_stack.started("bench") as stack,
        child.running("tests.bench.decisions.asgi_subject", "granian", "1") as empty,
    ):
        found = uvloop.run(measure(stack, empty.port, rounds=rounds))
    rows, figures = [], {}
    reference = median([one.per_second for one in found["empty handler"]])
    for name, loads in found.items():
        rate = median([one.per_second for one in loads])
        p50 = median([percentile(one.latencies, 0.5) * 1000 for one in loads])
        p99 = median([percentile(one.latencies, 0.99) * 1000 for one in loads])
        rows.append([name, f"{rate:,.0f}", f"{rate / reference:.2f}", f"{p50:.1f}", f"{p99:.1f}"])
        figures[name] = {"per_second": rate, "ratio_to_empty": rate / reference, "p50_ms": p50, "p99_ms": p99}
    return Outcome(
        "rest",
        f"REST with {CLIENTS} clients, medians of interleaved rounds",
        ["call", "requests/s", "of empty", "p50 ms", "p99 ms"],
        rows,
        figures,
        {"clients": CLIENTS, "seconds": SECONDS, "rounds": rounds, "rows": ROWS, "seed": SEED},
    )
