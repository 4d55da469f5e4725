"""Whom a campaign is for: every kind of audience, what is left out of it, and the numbers and reasons."""

from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import errors, ids
from chassis.ids import AccountId
from services.campaigns import estimating
from tests.service.campaigns.world import World, member, phone

COUNTS = ("excluded", "no_address", "invalid", "opted_out", "do_not_contact", "duplicate", "final")


async def audience(world: World, account: AccountId, campaign: pb.Campaign, who: str = "") -> pb.GetAudienceResponse:
    request = pb.GetAudienceRequest(campaign_id=campaign.id, contact_id=who)
    answer: pb.GetAudienceResponse = await world.call(account, "GetAudience", request)
    assert answer.funnel.matched == sum(getattr(answer.funnel, name) for name in COUNTS)
    return answer


async def estimate(world: World, account: AccountId, campaign: pb.Campaign, **kw: Any) -> pb.EstimateAudienceResponse:
    request = pb.EstimateAudienceRequest(campaign_id=campaign.id)
    answer: pb.EstimateAudienceResponse = await world.call(account, "EstimateAudience", request, **kw)
    assert answer.funnel.matched == sum(getattr(answer.funnel, name) for name in COUNTS)
    return answer


def counted(funnel: pb.Funnel) -> dict[str, int]:
    """Those that are not 0."""
    return {name: number for name in COUNTS if (number := getattr(funnel, name))}


async def completed(world: World, account: AccountId, campaign: pb.Campaign) -> pb.Campaign:
    await world.start(account, campaign)
    async with world.working():
        return await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)


def people_with_every_fault(world: World) -> list[contacts_pb.Contact]:
    """Ten: five are fit, and one each has no address, is invalid, opted out, on the do-not-contact list, a double."""
    people = [member(number) for number in range(10)]
    people[5].ClearField("phone")
    people[9].phone = phone(0)
    world.contacts.refused = {
        phone(6): contacts_pb.REFUSAL_INVALID_ADDRESS,
        phone(7): contacts_pb.REFUSAL_OPTED_OUT,
        phone(8): contacts_pb.REFUSAL_SUPPRESSED,
    }
    return people


FAULTS = {"no_address": 1, "invalid": 1, "opted_out": 1, "do_not_contact": 1, "duplicate": 1, "final": 5}


@pytest.mark.parametrize("kind", ["segment_id", "list_id", "contact_ids"])
async def test_the_funnel_counts_everybody_whom_the_audience_names(world: World, account: AccountId, kind: str) -> None:
    people = people_with_every_fault(world)
    world.contacts.add(account, *people)
    named = {
        "segment_id": lambda: world.segments.add(account, people, page=4),
        "list_id": lambda: world.lists.add(account, people, page=4),
        "contact_ids": lambda: [one.id for one in reversed(people)],
    }[kind]()
    campaign = await world.campaign(account, **{kind: named})
    assert getattr(campaign, kind) == named
    before = await estimate(world, account, campaign)
    assert (counted(before.funnel), before.estimate) == (FAULTS, False)
    # An estimate writes nothing.
    assert counted((await audience(world, account, campaign)).funnel) == {}
    done = await completed(world, account, campaign)
    after = await audience(world, account, campaign)
    assert (counted(after.funnel), after.funnel.matched, after.frozen) == (FAULTS, 10, True)
    assert done.stats.total == done.stats.sent == 5
    assert sorted(world.provider.addresses) == [phone(number) for number in range(5)]


async def test_members_of_excluded_segments_are_left_out(world: World, account: AccountId) -> None:
    people = [member(number) for number in range(20)]
    campaign = await world.campaign(
        account,
        list_id=world.lists.add(account, people, page=7),
        exclude_segment_ids=[
            world.segments.add(account, [*people[:5], member(99)], page=2),
            world.segments.add(account, people[3:8]),
        ],
    )
    assert counted((await estimate(world, account, campaign)).funnel) == {"excluded": 8, "final": 12}
    await completed(world, account, campaign)
    found = await audience(world, account, campaign, people[4].id)
    assert counted(found.funnel) == {"excluded": 8, "final": 12}
    assert (found.place, found.reason) == (pb.PLACE_LEFT_OUT, "excluded")
    assert sorted(world.provider.addresses) == [phone(number) for number in range(8, 20)]


async def test_uploaded_recipients_who_are_members_of_an_excluded_segment_are_skipped(
    world: World, account: AccountId
) -> None:
    people = [member(number) for number in range(3)]
    world.contacts.add(account, *people)
    excluded = world.segments.add(account, [people[0], people[1], member(77)])
    campaign = await world.ready(account, 5, exclude_segment_ids=[excluded])
    assert counted((await estimate(world, account, campaign)).funnel) == {"excluded": 2, "final": 3}
    done = await completed(world, account, campaign)
    assert (done.stats.total, done.stats.sent, done.stats.skipped) == (5, 3, 2)
    await world.check_stats(account, campaign)
    assert sorted(world.provider.addresses) == [phone(2), phone(3), phone(4)]
    found = await audience(world, account, campaign, people[1].id)
    assert counted(found.funnel) == {"excluded": 2, "final": 3}
    assert (found.place, found.recipient.reason) == (pb.PLACE_RECIPIENT, "excluded")
    assert (await audience(world, account, campaign, people[2].id)).recipient.status == pb.RECIPIENT_STATUS_SENT


async def test_the_funnel_of_an_upload_counts_its_rows(world: World, account: AccountId) -> None:
    quiet, stranger = member(8), member(50)
    world.contacts.add(account, quiet, stranger)
    world.contacts.refused = {phone(8): contacts_pb.REFUSAL_DO_NOT_DISTURB, phone(9): contacts_pb.REFUSAL_OPTED_OUT}
    campaign = await world.campaign(account)
    rows = [phone(1), phone(2), phone(1), "nonsense", "", phone(8), phone(9)]
    await world.upload(account, campaign, "phone,name\n" + "".join(f"{row},x\n" for row in rows))
    await world.upload(account, campaign, f"phone\n{phone(2)}\n{phone(3)}\n")
    expected = {"no_address": 1, "invalid": 1, "opted_out": 1, "do_not_contact": 1, "duplicate": 2, "final": 3}
    found = await audience(world, account, campaign, quiet.id)
    assert (counted(found.funnel), found.frozen) == (expected, False)
    assert (found.place, found.reason) == (pb.PLACE_LEFT_OUT, "do_not_disturb")
    assert (await audience(world, account, campaign, stranger.id)).place == pb.PLACE_UNDECIDED
    assert counted((await estimate(world, account, campaign)).funnel) == expected
    await completed(world, account, campaign)
    assert (await audience(world, account, campaign, stranger.id)).place == pb.PLACE_NOT_IN_AUDIENCE


async def test_why_a_contact_did_or_did_not_get_it(world: World, account: AccountId) -> None:
    people = people_with_every_fault(world)
    world.contacts.add(account, *people, late := member(42))
    campaign = await world.campaign(account, segment_id=world.segments.add(account, people))
    assert (await audience(world, account, campaign, people[0].id)).place == pb.PLACE_UNDECIDED
    await completed(world, account, campaign)
    got = await audience(world, account, campaign, people[0].id)
    assert (got.place, got.recipient.status) == (pb.PLACE_RECIPIENT, pb.RECIPIENT_STATUS_SENT)
    reasons = [(await audience(world, account, campaign, people[number].id)).reason for number in range(5, 10)]
    assert reasons == ["no_address", "invalid_address", "opted_out", "suppressed", "duplicate"]
    double = await audience(world, account, campaign, people[9].id)
    assert (double.place, double.instead.contact_id) == (pb.PLACE_LEFT_OUT, people[0].id)
    assert (await audience(world, account, campaign, late.id)).place == pb.PLACE_NOT_IN_AUDIENCE
    for nobody in (ids.encode("cnt", ids.new()), "cnt_x"):
        with pytest.raises(errors.NotFound):
            await audience(world, account, campaign, nobody)


async def test_an_address_is_not_lost_with_a_contact_who_shares_it_and_must_not_be_messaged(
    world: World, account: AccountId
) -> None:
    """Two contacts of one email: the first opted out by himself, the second is written to."""
    template = await world.template(account, channel=contacts_pb.CHANNEL_EMAIL, subject="Hi")
    sender = await world.sender(account, channel=contacts_pb.CHANNEL_EMAIL)
    people = [member(number, email="home@example.com") for number in range(3)]
    world.contacts.refused_contacts = {people[0].id: contacts_pb.REFUSAL_OPTED_OUT}
    campaign = await world.campaign(
        account, template_id=template.id, sender_id=sender.id, segment_id=world.segments.add(account, people)
    )
    await completed(world, account, campaign)
    assert counted((await audience(world, account, campaign)).funnel) == {"opted_out": 1, "duplicate": 1, "final": 1}
    assert world.provider.addresses == ["home@example.com"]


async def test_who_joins_after_the_freeze_is_no_recipient(world: World, account: AccountId) -> None:
    people = [member(number) for number in range(4)]
    segment_id = world.segments.add(account, people[:3])
    campaign = await world.campaign(account, segment_id=segment_id)
    await world.start(account, campaign)
    assert await world.freezer().step()
    world.segments.members[account, segment_id] = [people]
    async with world.working():
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert done.stats.total == 3


async def test_a_large_audience_is_reckoned_from_its_first_contacts(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "MOST", 100)
    people = [member(number) for number in range(1000)]
    for at in range(0, 1000, 4):
        people[at].ClearField("phone")
    excluded = [one for at, one in enumerate(people) if at % 4 == 1]
    campaign = await world.campaign(
        account,
        segment_id=world.segments.add(account, people, page=30),
        exclude_segment_ids=[world.segments.add(account, excluded, page=30)],
    )
    found = await estimate(world, account, campaign)
    assert found.estimate
    assert counted(found.funnel) == {"excluded": 250, "no_address": 250, "final": 500}


async def test_an_estimate_is_of_a_draft_that_has_an_audience(world: World, account: AccountId) -> None:
    with pytest.raises(errors.FailedPrecondition) as caught:
        await estimate(world, account, await world.campaign(account))
    assert caught.value.reason == "audience_missing"
    segment_id = world.segments.add(account, [])
    gone = await world.campaign(account, segment_id=segment_id)
    del world.segments.members[account, segment_id]
    with pytest.raises(errors.FailedPrecondition) as caught:
        await estimate(world, account, gone)
    assert caught.value.reason == "audience_missing"
    started = await world.ready(account, 1)
    first = await estimate(world, account, started, key="e")
    await world.start(account, started)
    # A repeated call gets its first answer.
    assert await estimate(world, account, started, key="e") == first
    with pytest.raises(errors.FailedPrecondition) as caught:
        await estimate(world, account, started)
    assert caught.value.reason == "invalid_state"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"list_id": ids.encode("lst", ids.new())}, "/list_id"),
        ({"list_id": "seg_x"}, "/list_id"),
        ({"contact_ids": [ids.encode("cnt", ids.new()), "cnt_x"]}, "/contact_ids/1"),
        ({"contact_ids": [ids.encode("cnt", ids.new())] * 1001}, "/contact_ids"),
        ({"exclude_segment_ids": [""]}, "/exclude_segment_ids/0"),
        ({"exclude_segment_ids": [ids.encode("seg", ids.new())]}, "/exclude_segment_ids/0"),
        ({"exclude_segment_ids": ["seg_x"] * 11}, "/exclude_segment_ids"),
    ],
)
async def test_bad_audiences_point_at_their_field(
    world: World, account: AccountId, fields: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        await world.campaign(account, **fields)
    assert [violation.pointer for violation in caught.value.violations] == [pointer]
    draft = await world.campaign(account)
    wrapped: dict[str, Any] = {
        name: pb.Ids(values=value) if isinstance(value, list) else value for name, value in fields.items()
    }
    with pytest.raises(errors.InvalidArgument) as caught:
        await world.call(account, "UpdateCampaign", pb.UpdateCampaignRequest(id=draft.id, **wrapped))
    assert [violation.pointer for violation in caught.value.violations] == [pointer]


async def test_audiences_are_exchanged_but_never_two_at_once(world: World, account: AccountId) -> None:
    segment_id, list_id = world.segments.add(account, []), world.lists.add(account, [])
    with pytest.raises(errors.InvalidArgument) as invalid:
        await world.campaign(account, segment_id=segment_id, list_id=list_id)
    assert invalid.value.violations[0].pointer == "/list_id"
    campaign = await world.campaign(account, segment_id=segment_id, exclude_segment_ids=[segment_id])
    with pytest.raises(errors.FailedPrecondition) as caught:
        await world.call(account, "UpdateCampaign", pb.UpdateCampaignRequest(id=campaign.id, list_id=list_id))
    assert caught.value.reason == "audience_conflict"
    request = pb.UpdateCampaignRequest(id=campaign.id, list_id=list_id, clear=["segment_id", "exclude_segment_ids"])
    changed = (await world.call(account, "UpdateCampaign", request)).campaign
    assert (changed.segment_id, changed.list_id, list(changed.exclude_segment_ids)) == ("", list_id, [])
    who = [ids.encode("cnt", ids.new()), ids.encode("cnt", ids.new())]
    request = pb.UpdateCampaignRequest(id=campaign.id, contact_ids=pb.Ids(values=[*who, who[0]]), clear=["list_id"])
    changed = (await world.call(account, "UpdateCampaign", request)).campaign
    assert (changed.list_id, list(changed.contact_ids)) == ("", who)


@pytest.mark.parametrize("missing", ["list", "excluded segment", "excluded from an upload"])
async def test_an_audience_that_is_gone_pauses_the_campaign(world: World, account: AccountId, missing: str) -> None:
    segment_id = world.segments.add(account, [member(1)])
    list_id = world.lists.add(account, [member(1), member(2)])
    fields: dict[str, Any] = {} if missing == "excluded from an upload" else {"list_id": list_id}
    if missing != "list":
        fields["exclude_segment_ids"] = [segment_id]
    campaign = await world.campaign(account, **fields)
    if missing == "excluded from an upload":
        await world.upload(account, campaign, f"phone\n{phone(1)}\n")
    await world.start(account, campaign)
    world.lists.members.clear()
    world.segments.members.clear()
    async with world.working():
        paused = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_PAUSED)
    assert paused.status_reason == ("list_not_found" if missing == "list" else "segment_not_found")
    assert world.provider.requests == []
