"""A worker killed, or stopped, at the worst moments: real processes and real signals."""

import asyncio
import signal

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.ids import AccountId
from services.campaigns.work.chunk import BATCH
from tests.service.campaigns.workers import STARTED, Gate, worker
from tests.service.campaigns.world import World, member, phone
from tests.service.stack import eventually

WHOLE = 400


async def test_killed_before_the_answer_is_repeated_with_the_same_key(
    world: World, account: AccountId, environment: dict[str, str]
) -> None:
    campaign = await world.ready(account, WHOLE)
    gate = Gate()
    world.provider.after = gate.hold
    await world.start(account, campaign)
    async with worker(environment) as process:
        await eventually(gate.someone, seconds=STARTED)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    in_flight = set(world.provider.accepted)
    assert in_flight
    gate.opened.set()
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=40)
    assert (await world.check_stats(account, campaign)).sent == WHOLE
    # Nobody has two messages, and whoever was under way was asked for again by its key.
    assert sorted(world.provider.addresses) == [phone(number) for number in range(WHOLE)]
    assert in_flight <= set(world.provider.repeats)


async def test_killed_before_the_answer_is_uncertain_where_keys_are_not_honoured(
    world: World, account: AccountId, environment: dict[str, str]
) -> None:
    campaign = await world.ready(account, WHOLE, ', "honours_keys": false')
    gate = Gate()
    world.provider.after = gate.hold
    await world.start(account, campaign)
    async with worker(environment) as process:
        await eventually(gate.someone, seconds=STARTED)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    in_flight = dict(world.provider.accepted)
    gate.opened.set()
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=40)
    stats = await world.check_stats(account, campaign)
    # A batch may have been killed between its intents and its calls: uncertain as well, as nobody can tell.
    assert stats.uncertain >= len(in_flight) > 0
    assert stats.sent == WHOLE - stats.uncertain
    assert not world.provider.repeats
    lines = await world.recipients(account, campaign)
    uncertain = {line.id for line in lines if line.status == pb.RECIPIENT_STATUS_UNCERTAIN}
    assert uncertain >= set(in_flight)
    # Whoever is `sent` has the message, once.
    assert {line.id for line in lines} - uncertain <= set(world.provider.accepted)
    assert {line.reason for line in lines if line.id in uncertain} == {"no_answer"}


async def test_stopped_past_its_lease_and_continued_sends_nobody_twice(
    world: World, account: AccountId, environment: dict[str, str]
) -> None:
    # One micro-batch, all of which is at the provider: a call that a worker had not begun is not made any more.
    campaign = await world.ready(account, BATCH, ', "honours_keys": false')
    gate = Gate()
    world.provider.after = gate.hold
    await world.start(account, campaign)
    async with worker(environment) as stopped:
        await eventually(gate.someone, seconds=STARTED)
        stopped.send_signal(signal.SIGSTOP)
        gate.opened.set()
        world.provider.after = None
        async with world.working():
            await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=40)
            assert (await world.check_stats(account, campaign)).uncertain > 0
            stopped.send_signal(signal.SIGCONT)
            # Its answers came after its recipients were given up: facts, which are taken.
            await world.until(account, campaign, lambda found: found.stats.uncertain == 0, seconds=STARTED)
    assert (await world.check_stats(account, campaign)).sent == BATCH
    assert len(world.provider.requests) == len(world.provider.accepted) == BATCH


async def test_killed_between_intent_and_call_sends_everybody(
    world: World, account: AccountId, environment: dict[str, str]
) -> None:
    campaign = await world.ready(account, WHOLE)
    gate = Gate()
    world.provider.before = gate.hold_before
    await world.start(account, campaign)
    async with worker(environment) as process:
        await eventually(gate.someone, seconds=STARTED)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert not world.provider.accepted
    world.provider.before = None
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=40)
    gate.opened.set()
    assert (await world.check_stats(account, campaign)).sent == WHOLE
    assert sorted(world.provider.addresses) == [phone(number) for number in range(WHOLE)]


async def test_killed_while_freezing_resumes_without_duplicates(
    world: World, account: AccountId, environment: dict[str, str]
) -> None:
    segment_id = world.segments.add(account, [member(number) for number in range(WHOLE)], page=100)
    campaign = await world.campaign(account, segment_id=segment_id)
    reached, held = asyncio.Event(), asyncio.Event()

    async def hold_the_third(number: int) -> None:
        if number == 2:
            reached.set()
            await held.wait()

    world.segments.before_page = hold_the_third
    await world.start(account, campaign)
    async with worker(environment) as process:
        await asyncio.wait_for(reached.wait(), STARTED)
        await world.until(account, campaign, lambda found: found.stats.total == 200)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    frozen_half = await world.get(account, campaign)
    assert (frozen_half.freezing, frozen_half.stats.total) == (True, 200)
    world.segments.before_page = None
    held.set()
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=40)
    stats = await world.check_stats(account, campaign)
    assert (stats.total, stats.sent) == (WHOLE, WHOLE)
    assert sorted(world.provider.addresses) == [phone(number) for number in range(WHOLE)]


async def test_sigterm_finishes_what_is_under_way(
    world: World, account: AccountId, environment: dict[str, str]
) -> None:
    campaign = await world.ready(account, WHOLE, ', "honours_keys": false')
    gate = Gate()
    world.provider.after = gate.hold
    await world.start(account, campaign)
    async with worker(environment) as process:
        await eventually(gate.someone, seconds=STARTED)
        process.send_signal(signal.SIGTERM)
        gate.opened.set()
        assert await asyncio.wait_for(process.wait(), 20) == 0
    stats = await world.check_stats(account, campaign)
    assert stats.uncertain == 0
    assert stats.sent == len(world.provider.accepted) > 0
    lines = await world.recipients(account, campaign)
    assert pb.RECIPIENT_STATUS_CLAIMED not in {line.status for line in lines}
