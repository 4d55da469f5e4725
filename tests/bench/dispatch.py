"""Messages a second from the ledger to the carrier, against the same program that sends with no ledger behind it."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from deploy.local.demo.rest import Rest, control
from tests import throwaway_stack
from tests.bench.measure import median
from tests.bench.no_ledger import BODY
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

RECIPIENTS = 20_000
ROUNDS = 3
# On two cores, with everything on them; of the median round.
LEAST_HELD = 1_500.0
LEAST_WITH_RECEIPTS = 800.0
LEAST_RATIO = 0.5


@dataclass(frozen=True, slots=True)
class Way:
    """How a campaign's messages get out."""

    name: str
    # "hold", "auto": when the carrier posts receipts.
    receipts: str
    least_per_second: float = 0.0
    # Of the sender, beside `url`; {carrier} stands for the carrier's address.
    settings: tuple[tuple[str, str], ...] = ()

    def more(self, carrier_url: str) -> dict[str, str]:
        return {name: value.format(carrier=carrier_url) for name, value in self.settings}


WAYS = (
    Way("one call a message, receipts held back", "hold", LEAST_HELD),
    Way("one call a message, a receipt for each", "auto", LEAST_WITH_RECEIPTS),
    Way("up to 50 in a call, receipts held back", "hold", settings=(("batch_url", "{carrier}/messages/batch"),)),
)


@dataclass(frozen=True, slots=True)
class Sent:
    # Between the first and the last acceptance.
    per_second: float
    # From start to completed.
    seconds: float


def write_recipients(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"+1555{number:07d},Käthe {number},CODE{number}\r\n" for number in range(RECIPIENTS)]
    path.write_text("phone,name,code\r\n" + "".join(lines), encoding="utf-8", newline="")


async def campaign(rest: Rest, stack: ThrowawayStack, file: Path, sender_id: str) -> Sent:
    template = await rest.post("/v1/templates", {"name": "bench", "channel": "sms", "body": BODY})
    body = {"name": "bench", "template_id": template["id"], "sender_id": sender_id}
    path = f"/v1/campaigns/{(await rest.post('/v1/campaigns', body))['id']}"
    await rest.upload(f"{path}/recipients", file, on_bytes=lambda done, size: None)
    log = stack.home.carrier / "accepted.jsonl"
    before = log.stat().st_size if log.exists() else 0
    began = time.perf_counter()
    await rest.post(f"{path}/start")
    made = await until(lambda: rest.get(path), lambda found: found["status"] == "completed")
    seconds = time.perf_counter() - began
    times = acceptance_times(log, before)
    if len(times) != RECIPIENTS or made["stats"]["sent"] != RECIPIENTS:
        raise RuntimeError(f"{len(times)} messages were accepted and {made['stats']}, not {RECIPIENTS}")
    # Receipts that are still on their way are not to cost the next round anything.
    if (await rest.get(path))["stats"]["delivered"] > 0:
        await until(lambda: rest.get(path), lambda found: found["stats"]["delivered"] == RECIPIENTS)
    return Sent(RECIPIENTS / (max(times) - min(times)), seconds)


async def until(look: Callable[[], Awaitable[Any]], done: Callable[[Any], bool], *, seconds: float = 300.0) -> Any:
    deadline = time.perf_counter() + seconds
    found = await look()
    while not done(found):
        if time.perf_counter() > deadline:
            raise RuntimeError(f"still {found} after {seconds:.0f} s")
        await asyncio.sleep(0.1)
        found = await look()
    return found


def acceptance_times(log: Path, start: int) -> list[float]:
    """Of the lines from the byte `start` on, in seconds."""
    with log.open("rb") as accepted:
        accepted.seek(start)
        return [datetime.fromisoformat(orjson.loads(line)["at"]).timestamp() for line in accepted]


async def no_ledger(way: Way, carrier_url: str) -> float:
    """Messages a second of the same program without a ledger, in a process of its own. It wants no receipts."""
    settings = orjson.dumps(way.more(carrier_url)).decode()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.no_ledger", f"{carrier_url}/messages", str(RECIPIENTS), settings,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the program without a ledger failed")
    return float(told)


async def measure(stack: ThrowawayStack, way: Way, rounds: int) -> list[tuple[Sent, float]]:
    """By turns, with the ledger and without."""
    file = stack.home.folder / "demo" / "recipients.csv"
    write_recipients(file)
    key = await asyncio.to_thread(stack.create_account, way.name)
    found = []
    async with Rest(stack.url, key) as rest:
        sender = await rest.post(
            "/v1/senders",
            {
                "name": "bench", "channel": "sms", "address": "CARILLON", "provider": "http",
                "settings": {"url": f"{stack.carrier_url}/messages"} | way.more(stack.carrier_url),
            },
        )  # fmt: skip
        for _ in range(rounds):
            async with control(stack.carrier_url, {"receipts": "hold"}):
                without = await no_ledger(way, stack.carrier_url)
            async with control(stack.carrier_url, {"receipts": way.receipts}):
                found.append((await campaign(rest, stack, file, sender["id"]), without))
    return found


def run(rounds: int = ROUNDS) -> Outcome:
    rows, figures, missed = [], {}, []
    with throwaway_stack.started("bench") as stack:
        for way in WAYS:
            found = asyncio.run(measure(stack, way, rounds))
            # The first round warms up.
            counted = found[1:] or found
            rate = median([sent.per_second for sent, _ in counted])
            without = median([bare for _, bare in counted])
            ratio = median([sent.per_second / bare for sent, bare in counted])
            whole = RECIPIENTS / median([sent.seconds for sent, _ in counted])
            rows.append([way.name, f"{rate:,.0f}", f"{whole:,.0f}", f"{without:,.0f}", f"{ratio:.2f}"])
            figures[way.name] = {
                "messages_per_second": rate,
                "without_ledger_per_second": without,
                "ratio": ratio,
                "rounds": [(sent.per_second, bare) for sent, bare in found],
            }
            if rate < way.least_per_second:
                missed.append(f"{way.name}: {rate:,.0f} messages/s, under {way.least_per_second:,.0f}")
            if way.receipts == "hold" and ratio < LEAST_RATIO:
                missed.append(f"{way.name}: {ratio:.2f} of the same program without a ledger, under {LEAST_RATIO}")
    return Outcome(
        "dispatch",
        f"Dispatch of {RECIPIENTS:,} messages",
        ["", "messages/s", "start to completed, messages/s", "no ledger, messages/s", "ratio"],
        rows,
        figures,
        {"recipients": RECIPIENTS, "rounds": rounds},
        missed,
    )
