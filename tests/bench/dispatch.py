"""Messages a second from the ledger to the carrier, against the same HTTP calls with no ledger behind them."""

import asyncio
import time
from datetime import datetime
from pathlib import Path

import aiohttp
import orjson

from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.measure import median
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

RECIPIENTS = 20_000
ROUNDS = 3
# Open connections of the bare client: as many as a worker overlaps.
OVERLAP = 100
BODY = 'Hi {{ name | default: "there" }}, {{ code }} is your code.'


def write_recipients(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"+1555{number:07d},Käthe {number},CODE{number}\r\n" for number in range(RECIPIENTS)]
    path.write_text("phone,name,code\r\n" + "".join(lines), encoding="utf-8", newline="")


async def campaign(rest: Rest, stack: ThrowawayStack, file: Path) -> tuple[float, float]:
    """(messages a second between the first and the last acceptance, seconds from start to completed)."""
    template = await rest.post("/v1/templates", {"name": "bench", "channel": "sms", "body": BODY})
    made = await rest.post("/v1/campaigns", {"name": "bench", "template_id": template["id"]})
    path = f"/v1/campaigns/{made['id']}"
    await rest.upload(f"{path}/recipients", file, on_bytes=lambda done, size: None)
    log = stack.home.carrier / "accepted.jsonl"
    before = log.stat().st_size if log.exists() else 0
    began = time.perf_counter()
    await rest.post(f"{path}/start")
    async with asyncio.timeout(300):
        made = await rest.get(path)
        while made["status"] != "completed":
            await asyncio.sleep(0.1)
            made = await rest.get(path)
    seconds = time.perf_counter() - began
    times = acceptance_times(log, before)
    if len(times) != RECIPIENTS:
        raise RuntimeError(f"{len(times)} messages were accepted, not {RECIPIENTS}")
    return RECIPIENTS / (max(times) - min(times)), seconds


def acceptance_times(log: Path, start: int) -> list[float]:
    """Of the lines from the byte `start` on, in seconds."""
    with log.open("rb") as accepted:
        accepted.seek(start)
        return [datetime.fromisoformat(orjson.loads(line)["at"]).timestamp() for line in accepted]


async def bare(carrier_url: str, mark: int) -> float:
    """Messages a second of a client that does nothing but post them."""
    numbers = iter(range(RECIPIENTS))
    began = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=OVERLAP)) as http:

        async def post() -> None:
            for number in numbers:
                body = {"to": f"+1555{number:07d}", "from": "CARILLON", "channel": "sms", "text": f"Hi, CODE{number}"}
                key = {"Idempotency-Key": f"bare-{mark}-{number}"}
                async with http.post(f"{carrier_url}/messages", json=body, headers=key) as answer:
                    await answer.read()
                    answer.raise_for_status()

        async with asyncio.TaskGroup() as group:
            for _ in range(OVERLAP):
                group.create_task(post())
    return RECIPIENTS / (time.perf_counter() - began)


async def measure(stack: ThrowawayStack, rounds: int) -> list[tuple[float, float, float]]:
    file = stack.home.folder / "demo" / "recipients.csv"
    write_recipients(file)
    key = await asyncio.to_thread(stack.create_account, "bench dispatch")
    found = []
    async with Rest(stack.url, key) as rest:
        await rest.post(
            "/v1/senders",
            {
                "name": "bench", "channel": "sms", "address": "CARILLON", "provider": "http", "is_default": True,
                "settings": {"url": f"{stack.carrier_url}/messages"},
            },
        )  # fmt: skip
        for number in range(rounds):
            without = await bare(stack.carrier_url, number)
            rate, seconds = await campaign(rest, stack, file)
            found.append((rate, seconds, without))
    return found


def run(rounds: int = ROUNDS) -> Outcome:
    with throwaway_stack.started("bench") as stack:
        found = asyncio.run(measure(stack, rounds))
    rows = [
        [str(number), f"{rate:,.0f}", f"{RECIPIENTS / seconds:,.0f}", f"{without:,.0f}", f"{rate / without:.2f}"]
        for number, (rate, seconds, without) in enumerate(found, start=1)
    ]
    return Outcome(
        "dispatch",
        f"Dispatch of {RECIPIENTS:,} messages, receipts coming back meanwhile",
        ["round", "messages/s", "start to completed, messages/s", "bare client, messages/s", "ratio"],
        rows,
        {
            "messages_per_second_median": median([rate for rate, _, _ in found]),
            "ratio_to_bare_median": median([rate / without for rate, _, without in found]),
            "rounds": found,
        },
        {"recipients": RECIPIENTS, "rounds": rounds, "overlap": OVERLAP},
    )
