"""Audiences: who of a segment is on the ledger, and who is not and why."""

import asyncio

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import ids
from chassis.errors import FailedPrecondition, Reason
from chassis.ids import AccountId
from services.campaigns.repository import freezing as queries
from tests.service.campaigns.world import World, member, phone


async def test_the_audience_is_frozen_and_sent_to(world: World, account: AccountId) -> None:
    people = [member(number) for number in range(1200)]
    # No phone, the same phone as another, and refused.
    people[3].ClearField("phone")
    people[4].phone = phone(5)
    people[700].phone = phone(5)
    world.contacts.refused = {phone(6): contacts_pb.REFUSAL_DO_NOT_DISTURB}
    campaign = await world.campaign(account, segment_id=world.segments.add(account, people))
    started = await world.start(account, campaign)
    assert started.freezing
    async with world.working():
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert not done.freezing
    stats = await world.check_stats(account, campaign)
    assert (stats.total, stats.sent) == (1196, 1196)
    # Once each; a call that took too long may have been repeated, by its key.
    assert len(set(world.provider.addresses)) == len(world.provider.accepted) == 1196
    rows = await world.admin("SELECT contact_id, reason FROM exclusions WHERE account_id = $1", account)
    assert {ids.encode("cnt", row["contact_id"]): row["reason"] for row in rows} == {
        people[3].id: "no_address",
        people[5].id: "duplicate",
        people[700].id: "duplicate",
        people[6].id: "do_not_disturb",
    }


async def test_variables_come_from_the_contact(world: World, account: AccountId) -> None:
    template = await world.template(
        account,
        "{{ first_name }} {{ country }} {{ plan }} {{ metadata.deep.er }} {{ tags | join: '+' }} "
        "{{ stage | default: '' }}",
    )
    person = member(
        1,
        first_name="Ann",
        country="GB",
        metadata_json='{"plan": "gold", "deep": {"er": 7}, "private": "x"}',
        tags=["a", "b"],
    )
    campaign = await world.campaign(account, template_id=template.id, segment_id=world.segments.add(account, [person]))
    await world.start(account, campaign)
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert [message["text"] for message in world.provider.accepted.values()] == ["Ann GB gold 7 a+b "]
    (line,) = await world.recipients(account, campaign)
    assert line.contact_id == person.id
    # The ledger keeps what the message needs.
    assert '"stage"' not in line.variables_json


async def test_an_empty_audience_completes(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account, segment_id=world.segments.add(account, []))
    await world.start(account, campaign)
    async with world.working():
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert done.stats.total == 0


async def test_a_segment_that_is_gone_pauses_the_campaign(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is resumed waits for the end of the lease.
    monkeypatch.setattr("services.campaigns.work.freezer.LEASE_SECONDS", 1.0)
    segment_id = world.segments.add(account, [member(1)])
    campaign = await world.campaign(account, segment_id=segment_id)
    pages = world.segments.members.pop((account, segment_id))
    await world.start(account, campaign)
    async with world.working():
        paused = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_PAUSED)
        assert paused.status_reason == "segment_not_found"
        world.segments.members[account, segment_id] = pages
        await world.call(account, "ResumeCampaign", pb.ResumeCampaignRequest(id=campaign.id))
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)


async def test_a_segment_that_cannot_be_built_pauses_the_campaign(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account, segment_id=world.segments.add(account, [member(1)]))

    async def refuse(_: int) -> None:
        raise FailedPrecondition(Reason.INVALID_STATE, "could not be built")

    world.segments.before_page = refuse
    await world.start(account, campaign)
    assert await world.freezer().step()
    paused = await world.get(account, campaign)
    assert (paused.status, paused.status_reason) == (pb.CAMPAIGN_STATUS_PAUSED, "segment_failed")


async def test_cancelling_while_freezing_leaves_nobody_pending(world: World, account: AccountId) -> None:
    campaign = await world.campaign(
        account, segment_id=world.segments.add(account, [member(number) for number in range(300)], page=100)
    )
    reached, cancelled = asyncio.Event(), asyncio.Event()

    async def hold_the_second(number: int) -> None:
        if number == 1:
            reached.set()
            await cancelled.wait()

    world.segments.before_page = hold_the_second
    await world.start(account, campaign)
    freezing = asyncio.create_task(world.freezer().step())
    await reached.wait()
    await world.until(account, campaign, lambda found: found.stats.total == 100)
    await world.call(account, "CancelCampaign", pb.CancelCampaignRequest(id=campaign.id))
    cancelled.set()
    await freezing
    async with world.working():
        done = await world.until(account, campaign, lambda found: found.stats.pending == 0)
    assert (done.status, done.stats.total, done.stats.skipped) == (pb.CAMPAIGN_STATUS_CANCELLED, 100, 100)
    assert not done.freezing
    await world.check_stats(account, campaign)


async def test_two_freezers_share_nothing(world: World, account: AccountId) -> None:
    """A job whose lease was taken writes no more pages."""
    campaign = await world.campaign(
        account, segment_id=world.segments.add(account, [member(number) for number in range(300)], page=100)
    )
    reached, taken = asyncio.Event(), asyncio.Event()

    async def hold_the_first(number: int) -> None:
        if number == 1 and not taken.is_set():
            reached.set()
            await taken.wait()

    world.segments.before_page = hold_the_first
    await world.start(account, campaign)
    old = asyncio.create_task(world.freezer().step())
    await reached.wait()
    await world.until(account, campaign, lambda found: found.stats.total == 100)
    await world.admin("UPDATE runs SET freeze_lease_until = 'epoch' WHERE account_id = $1", account)
    world.segments.before_page = None
    assert await world.freezer().step()
    assert (await world.get(account, campaign)).stats.total == 300
    taken.set()
    assert await old
    assert (await world.check_stats(account, campaign)).total == 300


async def test_a_stale_freeze_lease_holds_nothing(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account, segment_id=world.segments.add(account, [member(1)]))
    await world.start(account, campaign)
    async with world.work_db.across() as tx:
        old = await queries.claim(tx, lease_seconds=-1)
    async with world.work_db.across() as tx:
        new = await queries.claim(tx, lease_seconds=60)
        assert await queries.claim(tx, lease_seconds=60) is None
    assert old is not None
    assert new is not None
    async with world.work_db.across() as tx:
        assert await queries.hold(tx, old) is None
        assert not await queries.renew(tx, old, lease_seconds=60)
        assert await queries.hold(tx, new) == 0
        assert await queries.renew(tx, new, lease_seconds=60)
