"""The circuit breaker: a provider that keeps failing pauses its campaigns, which come back by themselves."""

import asyncio
from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.errors import FailedPrecondition
from chassis.ids import AccountId
from services.campaigns.work.chunk import BATCH
from services.campaigns.work.scheduler import Scheduler
from tests.service.campaigns.workers import Gate
from tests.service.campaigns.world import World, numbers_csv, phone
from tests.service.stack import eventually


async def down(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
    return 503, {}


async def test_a_campaign_that_its_provider_paused_is_taken_up_again_by_itself(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.campaigns.domain.sending.ROUNDS", (0.01,))
    monkeypatch.setattr("services.campaigns.domain.sending.BREAKS", (0.01, 0.02))
    campaign = await world.ready(account, 300)
    world.provider.before = down

    async def told(kind: str) -> int:
        rows = await world.admin("SELECT 1 FROM outbox WHERE account_id = $1 AND type = $2", account, kind)
        return len(rows)

    async def paused_three_times() -> bool:
        return await told("campaign.paused") >= 3

    async with world.working():
        await world.start(account, campaign)
        await eventually(paused_three_times)
        world.provider.before = None
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (await world.check_stats(account, campaign)).sent == 300
    assert sorted(world.provider.addresses) == [phone(number) for number in range(300)]
    assert await told("campaign.resumed") == await told("campaign.paused")
    rows = await world.admin("SELECT failed_rounds, breaks FROM runs WHERE account_id = $1", account)
    assert [tuple(row) for row in rows] == [(0, 0)]


async def failed_rounds(world: World, account: AccountId) -> int:
    """Once nobody works on the campaign."""
    rows = await world.admin(
        "SELECT failed_rounds FROM runs WHERE account_id = $1 AND NOT EXISTS (SELECT FROM chunks AS k"
        " WHERE k.account_id = $1 AND k.lease_until > 'epoch')",
        account,
    )
    return max((row["failed_rounds"] for row in rows), default=0)


async def test_one_micro_batch_decides_whether_a_provider_is_back(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.campaigns.domain.sending.ROUNDS", (1.0, 60.0))
    campaign, gate = await world.ready(account, 3 * BATCH), Gate(3 * BATCH)

    async def down_together(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        if not gate.opened.is_set():
            if gate.waiting == 3 * BATCH - 1:
                gate.opened.set()
            await gate.hold(message)
        return 503, {}

    async def twice() -> bool:
        return await failed_rounds(world, account) == 2

    world.provider.before = down_together
    async with world.working():
        await world.start(account, campaign)
        await eventually(twice)
    # All of them the first time, and then a hundred.
    assert len(world.provider.requests) == 4 * BATCH


async def test_whoever_waits_for_a_place_is_not_sent_to_when_the_provider_turns_out_to_be_down(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.campaigns.domain.sending.ROUNDS", (60.0,))
    campaign = await world.ready(account, 3 * BATCH)
    world.provider.before = down

    async def once() -> bool:
        return await failed_rounds(world, account) == 1

    async with world.working(batches=1):
        await world.start(account, campaign)
        await eventually(once)
    assert len(world.provider.requests) == BATCH


async def test_credentials_that_are_refused_pause_the_campaign_at_once_and_nobody_fails(
    world: World, account: AccountId
) -> None:
    sender = await world.sender(account, secrets_json='{"authorization": "wrong"}')
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(300))

    async def check(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        return (200 if message["authorization"] == "right" else 401), {}

    world.provider.before = check
    async with world.working(batches=1):
        await world.start(account, campaign)
        paused = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_PAUSED)
        assert paused.status_reason == "credentials_refused"
        # One micro-batch found it out.
        assert len(world.provider.requests) == BATCH
        assert (await world.check_stats(account, campaign)).pending == 300
        # It is not taken up by itself: trying a wrong secret again and again may lock an account.
        assert not await Scheduler(world.work_db, wake=lambda: None).step()
        change = pb.UpdateSenderRequest(id=sender.id, secrets_json='{"authorization": "right"}')
        await world.call(account, "UpdateSender", change)
        await world.call(account, "ResumeCampaign", pb.ResumeCampaignRequest(id=campaign.id))
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (await world.check_stats(account, campaign)).sent == 300
    assert sorted(world.provider.addresses) == [phone(number) for number in range(300)]


async def test_whoever_pauses_a_campaign_that_its_provider_paused_keeps_it_paused(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.campaigns.domain.sending.ROUNDS", ())
    monkeypatch.setattr("services.campaigns.domain.sending.BREAKS", (0.0,))
    campaign = await world.ready(account, 3)
    world.provider.before = down
    await world.start(account, campaign)
    dispatching = asyncio.create_task(world.dispatcher().run())
    paused = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_PAUSED)
    dispatching.cancel()
    await asyncio.gather(dispatching, return_exceptions=True)
    assert paused.status_reason == "provider_unavailable"
    kept = await world.call(account, "PauseCampaign", pb.PauseCampaignRequest(id=campaign.id))
    assert (kept.campaign.status, kept.campaign.status_reason) == (pb.CAMPAIGN_STATUS_PAUSED, "")
    assert not await Scheduler(world.work_db, wake=lambda: None).step()
    # A second time it is paused already.
    with pytest.raises(FailedPrecondition):
        await world.call(account, "PauseCampaign", pb.PauseCampaignRequest(id=campaign.id))
    assert (await world.get(account, campaign)).status == pb.CAMPAIGN_STATUS_PAUSED
