"""What users of other tools complain of, where campaigns are concerned. The threads are public."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import ids
from chassis.ids import AccountId
from services.campaigns.repository import dispatch as dispatch_queries
from services.campaigns.work.scheduler import Scheduler
from tests.service.campaigns.world import Behaviour, World, member, phone


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


async def test_listmonk_2070_resuming_sends_again_to_nobody(world: World, account: AccountId) -> None:
    """listmonk#2070, #2313: after a pause people got a second and a third copy, and others none."""
    campaign = await world.ready(account, 600)

    for wanted in (100, 300):
        enough = asyncio.Event()
        world.provider.before = when(world, wanted, enough)
        async with world.working(batches=1):
            await world.start(account, campaign)
            await asyncio.wait_for(enough.wait(), 60)
            await world.call(account, "PauseCampaign", pb.PauseCampaignRequest(id=campaign.id))
        stats = await world.check_stats(account, campaign)
        assert stats.sent == len(world.provider.requests) < 600
    world.provider.before = None
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert sorted(world.provider.addresses) == [phone(number) for number in range(600)]
    assert len(world.provider.requests) == 600


async def test_listmonk_2278_workers_that_come_and_go_finish_with_nobody_unsent(
    world: World, account: AccountId
) -> None:
    """listmonk#2278, #2591: restarted in between, a campaign was "finished" with 100 to 940 people unsent."""
    campaign = await world.ready(account, 800)
    await world.start(account, campaign)
    for wanted in (50, 200, 350):
        enough = asyncio.Event()
        world.provider.before = when(world, wanted, enough)
        async with world.working(batches=1):
            await asyncio.wait_for(enough.wait(), 60)
        assert (await world.get(account, campaign)).status == pb.CAMPAIGN_STATUS_RUNNING
    world.provider.before = None
    async with world.working():
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (done.stats.sent, done.stats.pending) == (800, 0)
    assert sorted(world.provider.addresses) == [phone(number) for number in range(800)]


async def test_listmonk_3022_a_crash_after_the_fetch_skips_nobody(world: World, account: AccountId) -> None:
    """listmonk#3022: the checkpoint moved when people were read, so a crash left them out for good."""
    campaign = await world.ready(account, 600)
    await world.start(account, campaign)
    campaign_id = ids.decode("cmp", campaign.id)
    assert campaign_id is not None
    read: set[str] = set()
    # Whoever leases, reads, and is never heard of again: all chunks, twice.
    for _ in range(6):
        async with world.work_db.across() as tx:
            lease = await dispatch_queries.lease(tx, account, campaign_id, seconds=0)
            assert lease is not None
            read |= {row["address"] for row in await dispatch_queries.open_recipients(tx, lease)}
    assert read
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert sorted(world.provider.addresses) == [phone(number) for number in range(600)]


async def test_listmonk_3031_sent_is_what_the_provider_answered(world: World, account: AccountId) -> None:
    """listmonk#3031: "sent" was off by 500."""
    campaign = await world.ready(account, 700)
    world.contacts.refused = {phone(number): contacts_pb.REFUSAL_OPTED_OUT for number in range(0, 700, 70)}
    tried: Counter[str] = Counter()

    async def mixed(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        number = int(message["to"][-4:])
        tried[message["to"]] += 1
        if number % 50 == 1:
            return 400, {}
        return (503 if number % 30 == 2 and tried[message["to"]] == 1 else 200), {}

    world.provider.before = mixed
    async with world.working(), world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=60)
    stats = await world.check_stats(account, campaign)
    refused = [number for number in range(700) if number % 50 == 1]
    assert (stats.total, stats.skipped, stats.failed) == (700, 10, len(refused))
    assert stats.sent == len(world.provider.accepted) + len(refused) == 690


async def test_mautic_9880_workers_that_overlap_send_one_copy(world: World, account: AccountId) -> None:
    """mautic#9880, #11763: overlapping jobs each sent the same message."""
    campaign = await world.ready(account, 900)
    async with world.working(), world.working(), world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=60)
    assert sorted(world.provider.addresses) == [phone(number) for number in range(900)]
    # No call was repeated under another key.
    assert len({message["key"] for message in world.provider.requests}) == 900


async def test_chatwoot_11980_one_failure_halts_nobody_else(world: World, account: AccountId) -> None:
    """chatwoot#11980: one contact that could not be sent to halted the campaign."""
    template = await world.template(account, "{{ name | upcase }}{{ code | divided_by: 0 }}")
    broken = await world.campaign(account, template_id=template.id)
    await world.upload(account, broken, "phone,name,code\n+15550000001,A,1\n")
    campaign = await world.ready(account, 300)

    async def refuse(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        return (400 if message["to"] in (phone(0), phone(150)) else 200), {}

    world.provider.before = refuse
    async with world.working():
        for one in (broken, campaign):
            await world.start(account, one)
        left_out = await world.until_status(account, broken, pb.CAMPAIGN_STATUS_COMPLETED)
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (left_out.stats.skipped, left_out.stats.sent) == (1, 0)
    assert (done.stats.sent, done.stats.failed, len(world.provider.accepted)) == (300, 2, 298)


def when(world: World, wanted: int, enough: asyncio.Event) -> Behaviour:
    """A provider that accepts, and tells when it was asked so often."""

    async def count(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        if len(world.provider.requests) >= wanted:
            enough.set()
        return 200, {}

    return count
