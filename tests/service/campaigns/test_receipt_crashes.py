"""A worker killed while it applies receipts, or tells contacts of a STOP: real processes and real signals."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chassis import errors
from chassis.ids import AccountId
from tests.service.campaigns.hooks import record, say, sent, told
from tests.service.campaigns.workers import STARTED, worker
from tests.service.campaigns.world import World, phone
from tests.service.stack import eventually

COUNT = 60
# Statements of the applier's transaction: held there by a lock of the test's, it is killed with that much done.
POINTS = {
    "before it has read the ledger": "LOCK TABLE recipients IN ACCESS EXCLUSIVE MODE",
    "before the numbers": "LOCK TABLE campaign_stats IN ACCESS EXCLUSIVE MODE",
    "before the events": "LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE",
}
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'campaigns'
  AND query ILIKE '%' || $1 || '%'
"""
# What the applier's statement there says, and nobody else's.
WAITS_IN = {
    "before it has read the ledger": "JOIN recipients AS r ON r.account_id = k.account_id AND r.id = k.id",
    "before the numbers": "INSERT INTO campaign_minutes",
    "before the events": "INSERT INTO outbox",
}


def waiting(world: World, point: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        (row,) = await world.admin(WAITING, WAITS_IN[point])
        return bool(row["count"])

    return look


@pytest.mark.parametrize("point", list(POINTS))
async def test_killed_while_it_applies_receipts_it_loses_and_repeats_nothing(
    world: World, account: AccountId, environment: dict[str, str], point: str
) -> None:
    sender, campaign, lines = await sent(world, account, COUNT)
    await record(world, account, sender, *(told(line, "delivered") for line in lines[:40]))
    await record(world, account, sender, *(told(line, "failed") for line in lines[20:50]))
    async with world.holding(POINTS[point]), worker(environment) as process:
        await eventually(waiting(world, point), seconds=STARTED)
        process.kill()
        await process.wait()
    # Of what it had done nothing is there.
    assert len(await world.admin("SELECT FROM receipts")) == 70
    assert (await world.check_stats(account, campaign)).delivered == 0
    async with worker(environment):
        await world.until(account, campaign, lambda found: found.stats.delivered == 40, seconds=STARTED)
        await world.until(account, campaign, lambda found: found.stats.failed == 10, seconds=STARTED)
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.delivered, stats.failed) == (COUNT, 40, 10)
    assert not await world.admin("SELECT FROM receipts")
    rows = await world.admin("SELECT sum(delivered) AS delivered, sum(failed) AS failed FROM campaign_minutes")
    assert (rows[0]["delivered"], rows[0]["failed"]) == (40, 10)


@pytest.mark.parametrize("told_before", [True, False], ids=["contacts has it", "contacts has it not"])
async def test_a_stop_outlives_the_worker_that_had_it_in_hand(
    world: World, account: AccountId, environment: dict[str, str], told_before: bool
) -> None:
    sender, _, _ = await sent(world, account, 1)
    world.contacts.available = False
    with pytest.raises(errors.Unavailable):
        await say(world, account, sender, "STOP", address=phone(0))
    world.contacts.available = True
    in_hand, free = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        in_hand.set()
        await free.wait()

    if told_before:
        world.replies.after = hold
    else:
        world.replies.before = hold
    async with worker(environment) as process:
        async with asyncio.timeout(STARTED):
            await in_hand.wait()
        process.kill()
        await process.wait()
    world.replies.before = world.replies.after = None
    free.set()
    # Its claim runs out by itself; the test does not wait for that.
    await world.admin("UPDATE inbound SET due_at = now()")

    async def done() -> bool:
        return not await world.admin("SELECT FROM inbound WHERE done_at IS NULL")

    async with worker(environment):
        await eventually(done, seconds=STARTED)
    assert [one.text for one in world.replies.taken.values()] == ["STOP"]
    (row,) = await world.admin("SELECT count(*) FROM outbox WHERE type = 'message.received'")
    assert row["count"] == 1
