"""How long messages still go out: after a pause was acknowledged, and to somebody after an opt-out was.

By the carrier's own log, of a campaign at full speed. Opt-outs are acknowledged with NATS stopped, as the worst case.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from deploy.local.demo.rest import Rest, control
from services.campaigns.work.chunk import BATCH
from tests import throwaway_stack
from tests.bench import dispatch
from tests.bench.measure import percentile
from tests.bench.no_ledger import BODY
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

PAUSES = 40
# Recipients that are sent to, at the most, before a pause takes effect.
A_PAUSE = 2_000
OPT_OUTS = 400
# Whose turn is next when somebody of a chunk has had theirs: about when an opt-out is acknowledged.
AHEAD = BATCH
CLIENTS = 4
# Of the carrier's log: the last hundred acceptances or so.
TAIL_BYTES = 16 * 1024
LIMIT_PAUSE = 1.0
LIMIT_OPT_OUT_P99 = 1.0
LIMIT_OPT_OUT_MOST = 2.0


@dataclass(frozen=True, slots=True)
class Acceptance:
    at: float
    to: str


def accepted(log: Path, start: int = 0) -> list[Acceptance]:
    with log.open("rb") as lines:
        lines.seek(start)
        # The first may be the end of a line, the last the beginning of one.
        found = [orjson.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"\n")]
    return [Acceptance(datetime.fromisoformat(line["at"]).timestamp(), line["to"]) for line in found]


async def draft(rest: Rest, stack: ThrowawayStack, *, count: int) -> str:
    """The path of a campaign with so many recipients."""
    file = stack.home.folder / "demo" / "recipients.csv"
    dispatch.write_recipients(file, count=count)
    template = await rest.post("/v1/templates", {"name": "bench", "channel": "sms", "body": BODY})
    made = await rest.post("/v1/campaigns", {"name": "bench", "template_id": template["id"]})
    path = f"/v1/campaigns/{made['id']}"
    await rest.upload(f"{path}/recipients", file, on_bytes=lambda done, size: None)
    return path


async def grown(log: Path, size: int) -> None:
    await dispatch.until(lambda: asyncio.to_thread(log.stat), lambda stat: stat.st_size > size)


async def pauses(rest: Rest, stack: ThrowawayStack) -> list[float]:
    """Seconds from each pause's answer to the last acceptance before the resume; 0 where none came after it."""
    log = stack.home.carrier / "accepted.jsonl"
    path, found = await draft(rest, stack, count=PAUSES * A_PAUSE), []
    for _ in range(PAUSES):
        before = log.stat().st_size if log.exists() else 0
        await rest.post(f"{path}/start")
        await grown(log, before)
        await rest.post(f"{path}/pause")
        acknowledged = time.time()
        # Twice the limit: whoever still sends, does it by then.
        await asyncio.sleep(2 * LIMIT_PAUSE)
        last = max(one.at for one in accepted(log, before))
        found.append(max(last - acknowledged, 0.0))
    await rest.post(f"{path}/cancel")
    return found


@dataclass(frozen=True, slots=True)
class OptOuts:
    asked: int
    # Of those that got their message less than a second before the acknowledgement: it was a close race.
    just_before: int
    # Seconds from the acknowledgement to the message, of those that got one after it.
    late: list[float]


async def opt_outs(rest: Rest, stack: ThrowawayStack) -> OptOuts:
    log = stack.home.carrier / "accepted.jsonl"
    path = await draft(rest, stack, count=dispatch.RECIPIENTS)
    before = log.stat().st_size if log.exists() else 0
    await rest.post(f"{path}/start")
    acknowledged: dict[str, float] = {}
    os.kill(stack.pid("nats"), signal.SIGSTOP)
    try:
        await grown(log, before)

        async def client() -> None:
            while len(acknowledged) < OPT_OUTS:
                # Chunks are worked on side by side, so that the next are near those that were just accepted.
                numbers = [int(one.to[-7:]) for one in accepted(log, max(before, log.stat().st_size - TAIL_BYTES))]
                phones = [f"+1555{number + AHEAD:07d}" for number in numbers if number % 7 == 0]
                phone = next((one for one in phones if one not in acknowledged), None)
                if phone is None:
                    await asyncio.sleep(0.01)
                    continue
                acknowledged[phone] = float("inf")
                await rest.post("/v1/suppressions", {"phone": phone})
                acknowledged[phone] = time.time()

        clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
        await dispatch.until(lambda: rest.get(path), lambda found: found["status"] == "completed")
        for one in clients:
            one.cancel()
        for failure in await asyncio.gather(*clients, return_exceptions=True):
            if isinstance(failure, Exception):
                raise failure
    finally:
        os.kill(stack.pid("nats"), signal.SIGCONT)
    after = [one.at - acknowledged[one.to] for one in accepted(log, before) if one.to in acknowledged]
    return OptOuts(
        asked=len(acknowledged),
        just_before=sum(-1 < seconds <= 0 for seconds in after),
        late=[seconds for seconds in after if seconds > 0],
    )


async def measure(stack: ThrowawayStack) -> tuple[list[float], OptOuts]:
    key = await asyncio.to_thread(stack.create_account, "bench stopping")
    async with Rest(stack.url, key) as rest, control(stack.carrier_url, {"receipts": "hold"}):
        await rest.post(
            "/v1/senders",
            {
                "name": "bench", "channel": "sms", "address": "CARILLON", "provider": "http", "is_default": True,
                "settings": {"url": f"{stack.carrier_url}/messages"},
            },
        )  # fmt: skip
        return await pauses(rest, stack), await opt_outs(rest, stack)


def row(name: str, seconds: Sequence[float], of: int) -> list[str]:
    if not seconds:
        return [name, str(of), "0", "", "", ""]
    figures = [percentile(seconds, 0.5), percentile(seconds, 0.99), max(seconds)]
    return [name, str(of), str(sum(one > 0 for one in seconds)), *(f"{one * 1000:.0f}" for one in figures)]


def run(rounds: int = 1) -> Outcome:
    del rounds  # Forty pauses and some hundred opt-outs are their own repetition.
    with throwaway_stack.started("bench") as stack:
        paused, opted_out = asyncio.run(measure(stack))
    late = opted_out.late
    missed = []
    if percentile(paused, 0.99) > LIMIT_PAUSE:
        missed.append(f"messages went out {percentile(paused, 0.99):.2f} s after a pause, over {LIMIT_PAUSE} s")
    if late and (percentile(late, 0.99) > LIMIT_OPT_OUT_P99 or max(late) > LIMIT_OPT_OUT_MOST):
        missed.append(
            f"messages went out {percentile(late, 0.99):.2f} s (p99), {max(late):.2f} s (most) after an opt-out"
        )
    return Outcome(
        "stopping",
        "How long messages still go out after the answer",
        ["", "times", "with a message after it", "p50 ms", "p99 ms", "most ms"],
        [
            row("pause, at full speed", paused, len(paused)),
            row("opt-out, at full speed, NATS stopped", late, opted_out.asked),
        ],
        {
            "pause_s": paused,
            "opt_out_s": late,
            "opted_out": opted_out.asked,
            "sent_just_before_the_opt_out": opted_out.just_before,
        },
        {"recipients": dispatch.RECIPIENTS},
        missed,
    )
