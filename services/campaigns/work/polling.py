"""The loop of every background job: woken by a poke, or each second, it works until nothing is left."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from chassis.errors import CarillonError

log = structlog.get_logger()

INTERVAL_SECONDS = 1.0


async def poll(
    name: str,
    step: Callable[[], Awaitable[bool]],
    *,
    woken: asyncio.Event | None = None,
    interval: float = INTERVAL_SECONDS,
    linger: float = 0.0,
) -> None:
    """step: does one piece of work; False where there was none. What it raises is logged, and tried again.

    linger: how long it lets more come after it was woken, where many small pieces cost more than a large one.
    """
    wake = woken or asyncio.Event()
    while True:
        wake.clear()
        if not await attempted(name, step):
            await wait(wake, interval)
            await asyncio.sleep(linger)


async def attempted(name: str, step: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await step()
    except CarillonError as error:
        log.warning("work.interrupted", job=name, reason=error.reason)
    except Exception:
        log.exception("work.failed", job=name)
    return False


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event, or so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
