"""Until nothing is on its way any more: jobs done, events published and taken, segments built, nothing due."""

import asyncio
import time
from collections.abc import Mapping

import asyncpg
import nats
from nats.aio.client import Client

from chassis.nats import EVENTS
from services.segments.consumers import BULK, LIVE, MESSAGES
from tests.throwaway_stack import ThrowawayStack

QUIET_SECONDS = 300.0
POLL_SECONDS = 0.25

# Database, how many of it there are.
Waiting = Mapping[str, tuple[str, str]]
BEFORE_EVENTS: Waiting = {
    "bulk changes": ("contacts", "SELECT count(*) FROM bulk_jobs WHERE status IN ('queued', 'running')"),
    "imports": ("contacts", "SELECT count(*) FROM imports WHERE status IN ('queued', 'running', 'undoing')"),
    "events of contacts": ("contacts", "SELECT count(*) FROM outbox WHERE published_at IS NULL"),
}
BEHIND_EVENTS: Waiting = {
    "builds": (
        "segments",
        "SELECT (SELECT count(*) FROM builds WHERE state <> 'serving') + count(next_build) FROM segments",
    ),
    # A second, for what became due just now.
    "due": ("segments", "SELECT count(*) FROM due WHERE due_at < extract(epoch FROM now() - interval '1 s') * 1000000"),
    "events of segments": ("segments", "SELECT count(*) FROM outbox WHERE published_at IS NULL"),
}


class NotQuiet(Exception):
    """Something was still on its way after QUIET_SECONDS."""


async def quiet(stack: ThrowawayStack) -> float:
    """Waits; for how many seconds. Raises NotQuiet, saying what is left of what."""
    began = time.monotonic()
    broker = await nats.connect(stack.nats_url)
    databases = {name: await asyncpg.connect(stack.database_url(name)) for name in ("contacts", "segments")}
    try:
        while left := await waiting(broker, databases):
            if time.monotonic() - began > QUIET_SECONDS:
                raise NotQuiet(f"after {QUIET_SECONDS:.0f} s there are still {left}")
            await asyncio.sleep(POLL_SECONDS)
    finally:
        for connection in databases.values():
            await connection.close()
        await broker.close()
    return time.monotonic() - began


async def waiting(broker: Client, databases: Mapping[str, asyncpg.Connection]) -> dict[str, int]:
    """What there is, in the order in which one follows from the other: a look that finds nothing is the end."""
    left = await counted(databases, BEFORE_EVENTS)
    for durable in (LIVE, BULK, MESSAGES):
        info = await broker.jetstream().consumer_info(EVENTS, durable)
        left[durable] = (info.num_pending or 0) + (info.num_ack_pending or 0)
    left |= await counted(databases, BEHIND_EVENTS)
    return {name: number for name, number in left.items() if number}


async def counted(databases: Mapping[str, asyncpg.Connection], what: Waiting) -> dict[str, int]:
    return {name: await databases[where].fetchval(sql) for name, (where, sql) in what.items()}
