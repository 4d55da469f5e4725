"""Messages a second from the ledger to the carrier, against the same program that sends with no ledger behind it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import psutil

from deploy.local import stopping
from deploy.local.demo.rest import Rest, control
from deploy.local.ports import HOST
from tests import throwaway_stack
from tests.bench import no_ledger
from tests.bench.measure import median
from tests.bench.no_ledger import address
from tests.bench.record import Outcome
from tests.bench.usage import cpu_seconds
from tests.throwaway_stack import ThrowawayStack

RECIPIENTS = 15_000
ROUNDS = 3
# On two cores, with everything on them; of the median round.
LEAST_HELD = 1_500.0
LEAST_WITH_RECEIPTS = 800.0
LEAST_RATIO = 0.5
# Whose processor time is counted.
USING = ("campaigns-work", "campaigns", "contacts", "gateway", "gateway-work", "contacts-work", "segments-work",
    "postgres", "nats", "carrier")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Peers:
    """Who takes the messages, and where each writes what it took."""

    carrier_url: str
    carrier_log: Path
    smtp_port: int
    smtp_log: Path


@dataclass(frozen=True, slots=True)
class Way:
    """How a campaign's messages get out."""

    name: str
    provider: str = "http"
    is_batched: bool = False
    # "hold", "auto": when the carrier posts receipts.
    receipts: str = "hold"
    least_per_second: float = 0.0
    least_ratio: float = LEAST_RATIO

    def sender(self, peers: Peers) -> dict[str, Any]:
        """As it is posted to /v1/senders."""
        made = {"name": "bench", "provider": self.provider}
        if self.provider == "smtp":
            settings: dict[str, Any] = {"host": HOST, "port": peers.smtp_port, "tls": "none"}
            return made | {"channel": "email", "address": "news@carillon.example", "settings": settings}
        settings = {"url": f"{peers.carrier_url}/messages"}
        if self.is_batched:
            settings["batch_url"] = f"{peers.carrier_url}/messages/batch"
        return made | {"channel": "sms", "address": "CARILLON", "settings": settings}

    def log(self, peers: Peers) -> Path:
        return peers.smtp_log if self.provider == "smtp" else peers.carrier_log


WAYS = (
    Way("one call a message, receipts held back", least_per_second=LEAST_HELD),
    Way("one call a message, a receipt for each", receipts="auto", least_per_second=LEAST_WITH_RECEIPTS, least_ratio=0),
    Way(
        "up to 50 in a call, receipts held back",
        is_batched=True,
        least_per_second=LEAST_HELD,
    ),
    Way("SMTP, one mail each", provider="smtp"),
)


@dataclass(frozen=True, slots=True)
class Sent:
    # Between the first and the last acceptance.
    per_second: float
    # From start to completed.
    seconds: float
    # Microseconds of the processor for each message, by process of the stack.
    processor_us: dict[str, float]


def write_recipients(path: Path, channel: str = "sms", *, count: int = RECIPIENTS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    heading = "email" if channel == "email" else "phone"
    lines = [f"{address(channel, number)},Käthe {number},CODE{number}\r\n" for number in range(count)]
    path.write_text(f"{heading},name,code\r\n" + "".join(lines), encoding="utf-8", newline="")


async def campaign(rest: Rest, stack: ThrowawayStack, sender: dict[str, Any], log: Path) -> Sent:
    """log: where the provider writes what it takes."""
    file = stack.home.folder / "demo" / "recipients.csv"
    write_recipients(file, sender["channel"])
    template = await rest.post("/v1/templates", no_ledger.template(sender["channel"]))
    body = {"name": "bench", "template_id": template["id"], "sender_id": sender["id"]}
    path = f"/v1/campaigns/{(await rest.post('/v1/campaigns', body))['id']}"
    await rest.upload(f"{path}/recipients", file, on_bytes=lambda done, size: None)
    before = size_of(log)
    used = processor_seconds(stack)
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
    used_since = {name: (after - used[name]) / RECIPIENTS * 1e6 for name, after in processor_seconds(stack).items()}
    return Sent(RECIPIENTS / (max(times) - min(times)), seconds, used_since)


def processor_seconds(stack: ThrowawayStack) -> dict[str, float]:
    """Used so far, by the stack's processes."""
    return {name: cpu_seconds(psutil.Process(stack.pid(name))) for name in USING}


async def until(look: Callable[[], Awaitable[Any]], done: Callable[[Any], bool], *, seconds: float = 300.0) -> Any:
    deadline = time.perf_counter() + seconds
    found = await look()
    while not done(found):
        if time.perf_counter() > deadline:
            raise RuntimeError(f"still {found} after {seconds:.0f} s")
        await asyncio.sleep(0.1)
        found = await look()
    return found


def size_of(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def acceptance_times(log: Path, start: int) -> list[float]:
    """Of the lines from the byte `start` on, in seconds."""
    with log.open("rb") as accepted:
        accepted.seek(start)
        return [datetime.fromisoformat(orjson.loads(line)["at"]).timestamp() for line in accepted]


async def bare(sender: dict[str, Any], environment: dict[str, str], *, checked: bool) -> float:
    """Messages a second of the same program without a ledger, in a process of its own. It wants no receipts.

    environment: of the sending worker. checked: contacts is asked before each micro-batch, as by the worker.
    """
    asking = "yes" if checked else "no"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.no_ledger", orjson.dumps(sender).decode(), str(RECIPIENTS), asking,
        stdout=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    told, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the program without a ledger failed")
    return float(told)


@dataclass(frozen=True, slots=True)
class Round:
    """By turns: with the ledger, without it (messages a second), and with nobody asked for consent either."""

    sent: Sent
    bare: float
    unchecked: float

    @property
    def ratio(self) -> float:
        return self.sent.per_second / self.bare


async def measure(stack: ThrowawayStack, way: Way, peers: Peers, *, rounds: int) -> list[Round]:
    key = await asyncio.to_thread(stack.create_account, way.name)
    wanted, found = way.sender(peers), []
    environment = stack.environment("campaigns-work")
    async with Rest(stack.url, key) as rest:
        sender = await rest.post("/v1/senders", wanted)
        for _ in range(rounds):
            async with control(stack.carrier_url, {"receipts": "hold"}):
                unchecked = await bare(wanted, environment, checked=False)
                without = await bare(wanted, environment, checked=True)
            async with control(stack.carrier_url, {"receipts": way.receipts}):
                found.append(Round(await campaign(rest, stack, sender, way.log(peers)), without, unchecked))
    return found


@contextmanager
def smtp_peer(log: Path) -> Iterator[int]:
    """Its port."""
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.smtp_peer", log], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        stopping.stop(process)


def run(rounds: int = ROUNDS) -> Outcome:
    rows, figures, missed = [], {}, []
    with throwaway_stack.started("bench") as stack:
        smtp_log = stack.home.folder / "demo" / "mails.jsonl"
        with smtp_peer(smtp_log) as smtp_port:
            peers = Peers(stack.carrier_url, stack.home.carrier / "accepted.jsonl", smtp_port, smtp_log)
            for way in WAYS:
                found = asyncio.run(measure(stack, way, peers, rounds=rounds))
                # The first round warms up.
                counted = found[1:] or found
                rate = median([one.sent.per_second for one in counted])
                without = median([one.bare for one in counted])
                unchecked = median([one.unchecked for one in counted])
                ratio = median([one.ratio for one in counted])
                whole = RECIPIENTS / median([one.sent.seconds for one in counted])
                numbers = [f"{one:,.0f}" for one in (rate, whole, without, unchecked)]
                rows.append([way.name, *numbers, f"{ratio:.2f}"])
                figures[way.name] = {
                    "messages_per_second": rate,
                    "without_ledger_per_second": without,
                    "without_ledger_and_check_per_second": unchecked,
                    "ratio": ratio,
                    "rounds": [(one.sent.per_second, one.bare, one.unchecked) for one in found],
                    "processor_us_a_message": found[-1].sent.processor_us,
                }
                if rate < way.least_per_second:
                    missed.append(f"{way.name}: {rate:,.0f} messages/s, under {way.least_per_second:,.0f}")
                if ratio < way.least_ratio:
                    missed.append(f"{way.name}: {ratio:.2f} of the program without a ledger, under {way.least_ratio}")
    return Outcome(
        "dispatch",
        f"Dispatch of {RECIPIENTS:,} messages",
        ["", "messages/s", "start to completed", "no ledger", "neither ledger nor consent check", "ratio to no ledger"],
        rows,
        figures,
        {"recipients": RECIPIENTS, "rounds": rounds},
        missed,
    )
