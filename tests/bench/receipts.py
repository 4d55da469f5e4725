"""Receipts a second through the webhook: taken, one a post and a hundred a post, and applied to the ledger."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.dispatch import RECIPIENTS, write_recipients
from tests.bench.measure import median, percentile
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

ROUNDS = 3
# Posts under way at once, as of a provider that has many messages to report.
CLIENTS = 64
# Receipts of a post, and how many a second are to be taken and applied, of the median round.
SIZES = {1: 1_000, 100: 5_000}
BODY = "{{ code }} is your code."


@dataclass(frozen=True, slots=True)
class Round:
    """One campaign's receipts. Rates a second; latencies of a post in milliseconds."""

    size: int
    taken: float
    p50: float
    p99: float
    # From the first post to the last line of the ledger moved.
    applied: float


async def campaign(rest: Rest, stack: ThrowawayStack, file: Path) -> tuple[str, list[str]]:
    """Its path, and the provider's names of its messages, none of which it has reported."""
    template = await rest.post("/v1/templates", {"name": "bench", "channel": "sms", "body": BODY})
    made = await rest.post("/v1/campaigns", {"name": "bench", "template_id": template["id"]})
    path = f"/v1/campaigns/{made['id']}"
    await rest.upload(f"{path}/recipients", file, on_bytes=lambda done, size: None)
    log = stack.home.carrier / "accepted.jsonl"
    before = log.stat().st_size if log.exists() else 0
    await rest.post(f"{path}/start")
    async with asyncio.timeout(200):
        made = await rest.get(path)
        while made["status"] != "completed":
            await asyncio.sleep(0.2)
            made = await rest.get(path)
    with log.open("rb") as accepted:
        accepted.seek(before)
        names = [orjson.loads(line)["id"] for line in accepted]
    if len(names) != RECIPIENTS:
        raise RuntimeError(f"{len(names)} messages were accepted, not {RECIPIENTS}")
    return path, names


async def report(url: str, names: list[str], size: int) -> list[float]:
    """Seconds that each post took."""
    posts = iter([names[start : start + size] for start in range(0, len(names), size)])
    took: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as http:

        async def client() -> None:
            for part in posts:
                body = orjson.dumps({"receipts": [{"id": name, "status": "delivered"} for name in part]})
                began = time.perf_counter()
                async with http.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
                    await answer.read()
                    answer.raise_for_status()
                took.append(time.perf_counter() - began)

        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(client())
    return took


async def one_round(rest: Rest, stack: ThrowawayStack, file: Path, url: str, size: int) -> Round:
    path, names = await campaign(rest, stack, file)
    began = time.perf_counter()
    took = await report(url, names, size)
    taken = time.perf_counter() - began
    async with asyncio.timeout(120):
        made = await rest.get(path)
        while made["stats"]["delivered"] < RECIPIENTS:
            await asyncio.sleep(0.05)
            made = await rest.get(path)
    applied = time.perf_counter() - began
    return Round(
        size, RECIPIENTS / taken, percentile(took, 0.5) * 1000, percentile(took, 0.99) * 1000, RECIPIENTS / applied
    )


async def measure(stack: ThrowawayStack, rounds: int) -> list[Round]:
    file = stack.home.folder / "demo" / "recipients.csv"
    write_recipients(file)
    key = await asyncio.to_thread(stack.create_account, "bench receipts")
    control = f"{stack.carrier_url}/control"
    async with aiohttp.ClientSession() as http, http.put(control, json={"receipts": "hold"}) as answer:
        answer.raise_for_status()
    async with Rest(stack.url, key) as rest:
        sender = await rest.post(
            "/v1/senders",
            {
                "name": "bench", "channel": "sms", "address": "CARILLON", "provider": "http", "is_default": True,
                "settings": {"url": f"{stack.carrier_url}/messages"},
            },
        )  # fmt: skip
        return [
            await one_round(rest, stack, file, sender["receipts_url"], size) for _ in range(rounds) for size in SIZES
        ]


def run(rounds: int = ROUNDS) -> Outcome:
    with throwaway_stack.started("bench") as stack:
        found = asyncio.run(measure(stack, rounds))
    figures = {
        f"{name}_per_second_by_{size}": median([getattr(one, name) for one in found if one.size == size])
        for size in SIZES
        for name in ("taken", "applied")
    }
    rates = {size: figures[f"applied_per_second_by_{size}"] for size in SIZES}
    return Outcome(
        "receipts",
        f"{RECIPIENTS:,} receipts by {CLIENTS} clients",
        ["a post", "taken/s", "post p50, ms", "post p99, ms", "taken and applied/s"],
        [
            [str(one.size), f"{one.taken:,.0f}", f"{one.p50:.1f}", f"{one.p99:.1f}", f"{one.applied:,.0f}"]
            for one in found
        ],
        figures,
        {"recipients": RECIPIENTS, "rounds": rounds, "clients": CLIENTS},
        [f"{rate:,.0f}/s, {size} a post, under {SIZES[size]:,}" for size, rate in rates.items() if rate < SIZES[size]],
    )
