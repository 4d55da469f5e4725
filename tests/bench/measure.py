"""Closed-loop load and the arithmetic of figures."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of concurrent clients came to."""

    seconds: float
    # Seconds each call took.
    latencies: list[float] = field(repr=False)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def ms(self, quantile: float) -> float:
        return percentile(self.latencies, quantile) * 1000


def percentile(values: Sequence[float], quantile: float) -> float:
    """Nearest rank: a value that was really measured. quantile is within 0 and 1."""
    if not values:
        raise ValueError("nothing was measured")
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(quantile * len(ranked)))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


async def closed_loop(call: Callable[[int], Awaitable[object]], *, clients: int, seconds: float) -> Load:
    """Each of `clients` calls again as soon as it was answered; `call` gets the client's number."""
    latencies: list[float] = []
    started = time.perf_counter()
    until = started + seconds

    async def client(number: int) -> None:
        now = time.perf_counter()
        while now < until:
            await call(number)
            after = time.perf_counter()
            latencies.append(after - now)
            now = after

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
    return Load(time.perf_counter() - started, latencies)
