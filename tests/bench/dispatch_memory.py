"""Memory of the sending worker, with 10,000 recipients and with 1,000,000: it must be the same.

A million messages are not sent for it: the ledger holds them all, and the worker sends for as long in both cases.
"""

import asyncio
from pathlib import Path

from deploy.local.demo.rest import Rest, control
from tests import throwaway_stack
from tests.bench import dispatch
from tests.bench.no_ledger import BODY
from tests.bench.record import Outcome
from tests.bench.usage import watched
from tests.throwaway_stack import ThrowawayStack

SIZES = (10_000, 1_000_000)
SENT = 9_000
LIMIT_GROWTH_BYTES = 30_000_000


async def peak(stack: ThrowawayStack, rest: Rest, size: int) -> int:
    """The most that campaigns-work held while it sent to SENT of so many recipients."""
    file = stack.home.folder / "demo" / f"recipients-{size}.csv"
    await asyncio.to_thread(write, file, size)
    template = await rest.post("/v1/templates", {"name": "bench", "channel": "sms", "body": BODY})
    made = await rest.post("/v1/campaigns", {"name": "bench", "template_id": template["id"]})
    path = f"/v1/campaigns/{made['id']}"
    await rest.upload(f"{path}/recipients", file, on_bytes=lambda done, size: None)
    with watched(stack.pid("campaigns-work")) as usage:
        await rest.post(f"{path}/start")
        await dispatch.until(lambda: rest.get(path), lambda found: found["stats"]["sent"] >= SENT)
        if (await rest.get(path))["status"] == "running":
            await rest.post(f"{path}/pause")
    return usage.peak_bytes


def write(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write("phone,name,code\r\n")
        for number in range(size):
            out.write(f"+1555{number:07d},Käthe {number},CODE{number}\r\n")


async def measure(stack: ThrowawayStack) -> list[int]:
    key = await asyncio.to_thread(stack.create_account, "bench dispatch memory")
    async with Rest(stack.url, key) as rest, control(stack.carrier_url, {"receipts": "hold"}):
        await rest.post(
            "/v1/senders",
            {
                "name": "bench", "channel": "sms", "address": "CARILLON", "provider": "http", "is_default": True,
                "settings": {"url": f"{stack.carrier_url}/messages"},
            },
        )  # fmt: skip
        return [await peak(stack, rest, size) for size in SIZES]


def run(rounds: int = 1) -> Outcome:
    del rounds
    with throwaway_stack.started("bench") as stack:
        peaks = asyncio.run(measure(stack))
    grown = peaks[-1] - peaks[0]
    missed = [] if grown <= LIMIT_GROWTH_BYTES else [f"{grown / 1e6:.0f} MB more, over {LIMIT_GROWTH_BYTES / 1e6:.0f}"]
    return Outcome(
        "dispatch_memory",
        f"Memory of campaigns-work while it sends to {SENT:,} recipients",
        ["recipients on the ledger", "peak RSS MB"],
        [[f"{size:,}", f"{most / 1e6:.0f}"] for size, most in zip(SIZES, peaks, strict=True)],
        {"sizes": SIZES, "peak_rss_bytes": peaks},
        {"sent": SENT},
        missed,
    )
