"""What users of other tools complain of, where audiences, schedules and hours are concerned. The threads are public."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis.ids import AccountId
from services.campaigns.work.scheduler import Scheduler
from tests.service.campaigns.world import World, member, phone


def ago(**span: float) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(datetime.now(UTC) - timedelta(**span))
    return made


async def funnel(world: World, account: AccountId, campaign: pb.Campaign) -> pb.Funnel:
    answer = await world.call(account, "GetAudience", pb.GetAudienceRequest(campaign_id=campaign.id))
    found: pb.Funnel = answer.funnel
    return found


async def test_plunk_337_a_segment_that_shows_5040_members_accounts_for_5040(world: World, account: AccountId) -> None:
    """plunk#337: 5,040 were shown and 5 were sent to, and nobody could say why."""
    people = [member(number) for number in range(5_040)]
    for number in range(0, 5_040, 3):
        people[number].ClearField("phone")
    world.contacts.refused = {phone(number): contacts_pb.REFUSAL_OPTED_OUT for number in range(1, 5_040, 3)}
    campaign = await world.campaign(account, segment_id=world.segments.add(account, people))
    asked = pb.EstimateAudienceRequest(campaign_id=campaign.id)
    before = (await world.call(account, "EstimateAudience", asked)).funnel
    assert (before.matched, before.no_address, before.opted_out, before.final) == (5_040, 1_680, 1_680, 1_680)
    await world.start(account, campaign)
    async with world.working():
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert await funnel(world, account, campaign) == before
    assert done.stats.sent == len(world.provider.requests) == 1_680


async def test_parcelvoy_533_an_audience_whose_freeze_is_killed_again_and_again_is_sent_to_the_end(
    world: World, account: AccountId
) -> None:
    """parcelvoy#533: a list of 350k stood at 99k for 14 hours."""
    people = [member(number) for number in range(1_000)]
    for number in range(0, 1_000, 10):
        people[number].phone = phone(1)
    campaign = await world.campaign(account, segment_id=world.segments.add(account, people, page=100))
    await world.start(account, campaign)
    for killed_at in (3, 7, 9):
        reached = asyncio.Event()

        async def hold(number: int, at: int = killed_at, here: asyncio.Event = reached) -> None:
            if number == at:
                here.set()
                await asyncio.Event().wait()

        world.segments.before_page = hold
        freezing = asyncio.create_task(world.freezer().step())
        await reached.wait()
        freezing.cancel()
        await asyncio.gather(freezing, return_exceptions=True)
        # As after a kill: nobody gave the lease back.
        await world.admin("UPDATE runs SET freeze_lease_until = 'epoch' WHERE account_id = $1", account)
        # Nothing is sent of an audience that is not whole.
        assert world.provider.requests == []
    world.segments.before_page = None
    async with world.working():
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    found = await funnel(world, account, campaign)
    assert (found.matched, found.duplicate, found.final) == (1_000, 100, 900)
    assert (done.stats.total, done.stats.sent) == (900, 900)
    await world.check_stats(account, campaign)
    assert len(set(world.provider.addresses)) == len(world.provider.requests) == 900


async def test_chatwoot_12821_schedulers_that_overlap_start_a_campaign_once(world: World, account: AccountId) -> None:
    """chatwoot#12821, mautic#2215: overlapping jobs sent two or three copies."""
    campaign = await world.ready(account, 40, schedule_at=ago(minutes=1))
    schedulers = [Scheduler(world.work_db, wake=lambda: None) for _ in range(4)]
    assert sum(await asyncio.gather(*(scheduler.step() for scheduler in schedulers))) == 1
    async with world.working(), world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(set(world.provider.addresses)) == len(world.provider.requests) == 40


@pytest.mark.parametrize("hours", [2, 14])
async def test_listmonk_1801_an_overdue_schedule_does_not_fire_hours_late(
    world: World, account: AccountId, hours: int
) -> None:
    """listmonk#1801: campaigns scheduled for while the server was down went out whenever it came back."""
    campaign = await world.ready(account, 1, schedule_at=ago(hours=hours))
    assert await Scheduler(world.work_db, wake=lambda: None).step()
    found = await world.get(account, campaign)
    assert (found.status, found.status_reason) == (pb.CAMPAIGN_STATUS_DRAFT, "schedule_missed")


async def test_listmonk_2168_pausing_and_resuming_during_the_freeze_leaves_nobody_out(
    world: World, account: AccountId
) -> None:
    """listmonk#2168, #2591: a pause and a restart made a campaign "finished" with hundreds unsent."""
    people = [member(number) for number in range(600)]
    campaign = await world.campaign(account, list_id=world.lists.add(account, people, page=50))
    await world.start(account, campaign)
    await world.call(account, "PauseCampaign", pb.PauseCampaignRequest(id=campaign.id))
    assert not await world.freezer().step()
    await world.call(account, "ResumeCampaign", pb.ResumeCampaignRequest(id=campaign.id))
    async with world.working():
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (done.stats.total, done.stats.sent) == (600, 600)


async def test_listmonk_2681_no_message_goes_out_at_night_where_the_recipient_is(
    world: World, account: AccountId
) -> None:
    """listmonk#2681, #3117: sending windows are wanted."""
    now = datetime.now(UTC)
    night = (now.hour * 60 + now.minute - 30) % 1440
    quiet = pb.QuietHours(start_minute=night, end_minute=(night + 60) % 1440)
    await world.call(account, "SetQuietHours", pb.SetQuietHoursRequest(quiet_hours=quiet))
    people = [member(0, timezone="UTC"), member(1, timezone="Asia/Tokyo")]
    campaign = await world.campaign(account, segment_id=world.segments.add(account, people))
    await world.start(account, campaign)
    async with world.working():
        found = await world.until(account, campaign, lambda seen: seen.stats.sent == 1)
    assert (found.stats.pending, world.provider.addresses) == (1, [phone(1)])
