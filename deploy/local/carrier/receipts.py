"""Delivery receipts: kept in a journal until the other side took them, so that a killed simulator loses none.

owed.jsonl is the journal; receipts.jsonl, which tests read, has one line (`at, id, status, reason`) for each receipt
that the other side answered with 2xx, duplicates too.

A receipt may be posted twice (the simulator dies after the post and before the journal says so), as real ones are.
"""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from deploy.local.carrier import lines
from deploy.local.carrier.acceptances import now
from deploy.local.carrier.control import Control

BATCH = 500
# How long a receipt waits for others to travel with.
LINGER_SECONDS = 0.02
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
# Of answers that say the address is wrong for good (a sender that was deleted).
REFUSALS_ENOUGH = 10
REFUSED = (400, 401, 403, 404, 410, 422)


@dataclass(frozen=True, slots=True)
class Receipt:
    """`dialect` says how it is posted; `extra` is what the dialect needs besides."""

    id: str
    url: str
    failed: bool
    dialect: str = "generic"
    extra: dict[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """How a batch is posted. Returns the HTTP status."""

    batch: int

    async def post(self, session: aiohttp.ClientSession, receipts: list[Receipt]) -> int: ...


class Generic:
    batch = BATCH

    async def post(self, session: aiohttp.ClientSession, receipts: list[Receipt]) -> int:
        body = {"receipts": [generic(receipt) for receipt in receipts]}
        async with session.post(receipts[0].url, json=body) as answer:
            return answer.status


def generic(receipt: Receipt) -> dict[str, str]:
    return {name: value for name, value in taken(receipt).items() if value is not None}


def taken(receipt: Receipt) -> dict[str, str | None]:
    return {
        "at": now(),
        "id": receipt.id,
        "status": "failed" if receipt.failed else "delivered",
        "reason": "unreachable" if receipt.failed else None,
    }


class Receipts:
    def __init__(self, folder: Path, dialects: dict[str, Dialect], *, accepted: Container[str] | None = None) -> None:
        """accepted: the messages there are; a receipt is owed before its message is written down, and a kill may come
        between. None: all that are owed.
        """
        self._dialects = dialects
        journal = folder / "owed.jsonl"
        self.held, waiting = (
            [receipt for receipt in receipts if accepted is None or receipt.id in accepted]
            for receipts in unsettled(journal)
        )
        rewrite(journal, self.held, waiting)
        self._journal = lines.Appender(journal)
        self._taken = lines.Appender(folder / "receipts.jsonl")
        self._session: aiohttp.ClientSession | None = None
        self._queues: dict[tuple[str, str], Queue] = {}
        self.delivered = 0
        self.dropped = 0
        self._restored = waiting

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))
        for receipt in self._restored:
            self._send(receipt, delay=0)
        self._restored = []

    async def stop(self) -> None:
        for queue in self._queues.values():
            queue.task.cancel()
        await asyncio.gather(*(queue.task for queue in self._queues.values()), return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        self._journal.close()
        self._taken.close()

    def owe(self, receipt: Receipt, control: Control) -> None:
        """In the journal when this returns."""
        hold = control.receipts == "hold"
        self._journal.append(line(receipt, held=hold))
        if hold:
            self.held.append(receipt)
            return
        self._send(receipt, delay=control.receipt_delay_ms / 1000)
        if random.random() < control.receipt_duplicate_rate:
            self._send(receipt, delay=control.receipt_delay_ms / 500 + LINGER_SECONDS)

    def release(self) -> int:
        """Sends what was held, at once; the number of receipts."""
        released, self.held = self.held, []
        if released:
            self._journal.append({"released": [receipt.id for receipt in released]})
        for receipt in released:
            self._send(receipt, delay=0)
        return len(released)

    def waiting(self) -> int:
        return len(self._restored) + sum(queue.length() for queue in self._queues.values())

    def _send(self, receipt: Receipt, *, delay: float) -> None:
        key = (receipt.dialect, receipt.url)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = Queue(self._dialects[receipt.dialect].batch, self._post)
        queue.put(receipt, delay=delay)

    async def _post(self, batch: list[Receipt]) -> None:
        """Returns once the batch was taken, or has been refused for good."""
        if self._session is None:
            raise RuntimeError("not started")
        dialect, attempts, refusals = self._dialects[batch[0].dialect], 0, 0
        while refusals < REFUSALS_ENOUGH:
            try:
                status = await dialect.post(self._session, batch)
            except (aiohttp.ClientError, TimeoutError):
                status = 0
            if 200 <= status < 300:
                self.delivered += len(batch)
                self._taken.append_all([taken(receipt) for receipt in batch])
                break
            refusals += status in REFUSED
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempts, 10))
            attempts += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1))
        else:
            self.dropped += len(batch)
        self._journal.append({"settled": [receipt.id for receipt in batch]})


class Queue:
    """The receipts for one address, each with the time from which it may go."""

    def __init__(self, batch: int, post: Callable[[list[Receipt]], Awaitable[None]]) -> None:
        self._batch = batch
        self._post = post
        self._heap: list[tuple[float, int, Receipt]] = []
        self._counter = self._in_flight = 0
        self._filled = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    def length(self) -> int:
        return len(self._heap) + self._in_flight

    def put(self, receipt: Receipt, *, delay: float) -> None:
        self._counter += 1
        heapq.heappush(self._heap, (asyncio.get_running_loop().time() + delay, self._counter, receipt))
        self._filled.set()

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._heap:
                wait = self._heap[0][0] - clock()
                await asyncio.sleep(max(LINGER_SECONDS, min(wait, 0.5)))
                batch: list[Receipt] = []
                while self._heap and len(batch) < self._batch and self._heap[0][0] <= clock():
                    batch.append(heapq.heappop(self._heap)[2])
                if batch:
                    self._in_flight = len(batch)
                    await self._post(batch)
                    self._in_flight = 0


def line(receipt: Receipt, *, held: bool) -> dict[str, Any]:
    return {
        "owed": receipt.id,
        "url": receipt.url,
        "failed": receipt.failed,
        "dialect": receipt.dialect,
        "extra": receipt.extra,
        "held": held,
    }


def unsettled(path: Path) -> tuple[list[Receipt], list[Receipt]]:
    """(held, waiting) of the journal."""
    held: dict[str, Receipt] = {}
    waiting: dict[str, Receipt] = {}
    for entry in lines.read(path):
        if "owed" in entry:
            receipt = Receipt(entry["owed"], entry["url"], entry["failed"], entry["dialect"], entry["extra"])
            (held if entry["held"] else waiting)[receipt.id] = receipt
        for released in entry.get("released", []):
            if released in held:
                waiting[released] = held.pop(released)
        for settled in entry.get("settled", []):
            waiting.pop(settled, None)
    return list(held.values()), list(waiting.values())


def rewrite(path: Path, held: list[Receipt], waiting: list[Receipt]) -> None:
    """Only what is still owed, so that the journal does not grow from start to start."""
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    journal = lines.Appender(scratch)
    for receipts, is_held in ((held, True), (waiting, False)):
        for receipt in receipts:
            journal.append(line(receipt, held=is_held))
    journal.close()
    scratch.replace(path)
