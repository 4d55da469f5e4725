"""The database was restored to a moment after which campaigns were sent: nothing goes out until somebody has looked."""

from datetime import UTC, datetime, timedelta

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.ids import AccountId
from chassis.restoring import LEAP
from services.campaigns.restoring import Held, after_restore
from tests.service.campaigns.test_lifecycle import at
from tests.service.campaigns.world import World, member

SOME = 20


async def test_whoever_may_have_been_sent_to_is_uncertain_where_no_keys_are_honoured(
    world: World, account: AccountId
) -> None:
    campaign = await world.start(account, await world.ready(account, SOME, ', "honours_keys": false'))
    moment = datetime.now(UTC)
    assert await after_restore(world.work_db, moment=moment) == Held(paused=1)
    held = await world.get(account, campaign)
    assert (held.status, held.status_reason) == (pb.CAMPAIGN_STATUS_PAUSED, "restored")
    assert held.version > campaign.version + LEAP
    async with world.working():
        await world.call(account, "ResumeCampaign", pb.ResumeCampaignRequest(id=campaign.id))
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (await world.check_stats(account, campaign)).uncertain == SOME
    assert world.provider.requests == []
    assert {line.reason for line in await world.recipients(account, campaign)} == {"no_answer"}


async def test_whoever_may_have_been_sent_to_is_repeated_while_the_provider_keeps_keys(
    world: World, account: AccountId
) -> None:
    paused = await world.start(account, await world.ready(account, SOME))
    await world.call(account, "PauseCampaign", pb.PauseCampaignRequest(id=paused.id))
    aged = await world.start(account, await world.ready(account, SOME))
    # What was paused may have been resumed, and paused again.
    assert await after_restore(world.work_db, moment=datetime.now(UTC)) == Held(paused=2)
    await world.admin(
        "UPDATE recipients SET unanswered_since = '2026-01-01' WHERE campaign_id = $1", ids.decode("cmp", aged.id)
    )
    # A second time changes nothing that counts: who was unanswered earlier stays so.
    assert await after_restore(world.work_db, moment=datetime.now(UTC)) == Held(paused=2)
    async with world.working():
        for campaign in (paused, aged):
            await world.call(account, "ResumeCampaign", pb.ResumeCampaignRequest(id=campaign.id))
            await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (await world.check_stats(account, paused)).sent == SOME
    assert (await world.check_stats(account, aged)).uncertain == SOME


async def test_an_audience_that_was_being_frozen_is_cancelled_and_a_due_draft_held(
    world: World, account: AccountId
) -> None:
    segment_id = world.segments.add(account, [member(number) for number in range(SOME)])
    freezing = await world.start(account, await world.campaign(account, segment_id=segment_id))
    now = datetime.now(UTC)
    due = await world.ready(account, SOME, schedule_at=at(now - timedelta(seconds=1)))
    later = await world.ready(account, SOME, schedule_at=at(now + timedelta(hours=1)))
    assert await after_restore(world.work_db, moment=now) == Held(cancelled=1, drafts=1)
    shown = [await world.get(account, one) for one in (freezing, due, later)]
    assert [(one.status, one.status_reason) for one in shown] == [
        (pb.CAMPAIGN_STATUS_CANCELLED, "restored"),
        (pb.CAMPAIGN_STATUS_DRAFT, "restored"),
        (pb.CAMPAIGN_STATUS_DRAFT, ""),
    ]
    events = await world.admin(
        "SELECT type FROM outbox WHERE account_id = $1 ORDER BY created_at DESC LIMIT 2", account
    )
    assert sorted(row["type"] for row in events) == ["campaign.cancelled", "campaign.updated"]
