"""Copies of campaigns, messages sent to try one out, and schedules that were missed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import errors, ids
from chassis.ids import AccountId
from services.campaigns.work.scheduler import Scheduler
from tests.service.campaigns.world import World, member, phone


def ago(**span: float) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(datetime.now(UTC) - timedelta(**span))
    return made


async def clone(world: World, account: AccountId, campaign: pb.Campaign) -> pb.Campaign:
    answer = await world.call(account, "CloneCampaign", pb.CloneCampaignRequest(id=campaign.id))
    made: pb.Campaign = answer.campaign
    return made


async def send(
    world: World, account: AccountId, campaign: pb.Campaign, *to: str, key: str = "", **fields: Any
) -> list[pb.TestResult]:
    request = pb.TestCampaignRequest(id=campaign.id, to=to, **fields)
    answer = await world.call(account, "TestCampaign", request, key=key)
    return list(answer.results)


async def test_a_clone_is_a_draft_with_the_same_settings(world: World, account: AccountId) -> None:
    campaign = await world.campaign(
        account,
        list_id=world.lists.add(account, [member(1)]),
        exclude_segment_ids=[world.segments.add(account, [])],
        rate_limit_per_second=7,
        variables_json='{"a":1}',
        schedule_at=ago(hours=3),
        schedule_max_late_seconds=120,
    )
    await world.start(account, campaign)
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    made = await clone(world, account, campaign)
    assert made.id != campaign.id
    assert (made.name, made.status, made.HasField("schedule_at")) == ("C (copy)", pb.CAMPAIGN_STATUS_DRAFT, False)
    for field in (
        "template_id", "sender_id", "list_id", "exclude_segment_ids", "rate_limit_per_second", "variables_json",
        "schedule_max_late_seconds",
    ):  # fmt: skip
        assert getattr(made, field) == getattr(campaign, field), field
    # It has a life of its own: nobody of the original's ledger is on it, and it sends again.
    assert made.stats.total == 0
    await world.start(account, made)
    async with world.working():
        await world.until_status(account, made, pb.CAMPAIGN_STATUS_COMPLETED)
    assert world.provider.addresses == [phone(1), phone(1)]


async def test_a_clone_has_no_uploaded_recipients(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 3)
    made = await clone(world, account, campaign)
    assert made.stats.total == 0
    with pytest.raises(errors.FailedPrecondition) as caught:
        await world.start(account, made)
    assert caught.value.reason == "audience_missing"
    long = pb.UpdateCampaignRequest(id=made.id, name="x" * 200)
    await world.call(account, "UpdateCampaign", long)
    assert (await clone(world, account, made)).name == "x" * 193 + " (copy)"


async def test_a_clone_of_what_is_deleted_says_what_is_missing(world: World, account: AccountId) -> None:
    template = await world.template(account)
    campaign = await world.campaign(account, template_id=template.id)
    await world.call(account, "CancelCampaign", pb.CancelCampaignRequest(id=campaign.id))
    await world.call(account, "DeleteTemplate", pb.DeleteTemplateRequest(id=template.id))
    with pytest.raises(errors.InvalidArgument) as caught:
        await clone(world, account, campaign)
    assert [violation.pointer for violation in caught.value.violations] == ["/template_id"]


async def test_a_test_message_is_sent_beside_the_ledger(world: World, account: AccountId) -> None:
    template = await world.template(account, "{{ first_name }} {{ offer }} {{ code }}")
    person = member(5, first_name="Ann")
    world.contacts.add(account, person)
    campaign = await world.campaign(account, template_id=template.id, variables_json='{"offer":"-20 %","code":"A"}')
    world.contacts.refused = {phone(8): contacts_pb.REFUSAL_SUPPRESSED}
    results = await send(
        world, account, campaign, phone(7), phone(8), phone(7), contact_id=person.id, variables_json='{"code":"B"}'
    )
    assert [(one.address, one.status, one.reason) for one in results] == [
        (phone(7), pb.RECIPIENT_STATUS_SENT, ""),
        (phone(8), pb.RECIPIENT_STATUS_SKIPPED, "suppressed"),
    ]
    (message,) = world.provider.accepted.values()
    assert (message["to"], message["text"]) == (phone(7), "Ann -20 % B")
    assert (results[0].text, results[0].provider_message_id) == ("Ann -20 % B", message["id"])
    after = await world.get(account, campaign)
    assert (after.status, after.stats.total) == (pb.CAMPAIGN_STATUS_DRAFT, 0)


async def test_a_test_of_a_draft_says_what_its_template_says_now(world: World, account: AccountId) -> None:
    template = await world.template(account, "old")
    campaign = await world.campaign(account, template_id=template.id)
    assert [one.text for one in await send(world, account, campaign, phone(1))] == ["old"]
    await world.call(account, "UpdateTemplate", pb.UpdateTemplateRequest(id=template.id, body="new"))
    assert [one.text for one in await send(world, account, campaign, phone(1))] == ["new"]


async def test_a_repeated_test_sends_nothing_again(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    first = await send(world, account, campaign, phone(1), key="k")
    assert await send(world, account, campaign, phone(1), key="k") == first
    assert len(world.provider.requests) == 1
    # Lost before its answer was kept, the same call reaches the provider with the same key.
    await world.admin("DELETE FROM idempotency_keys")
    assert await send(world, account, campaign, phone(1), key="k") == first
    assert (len(world.provider.requests), len(world.provider.accepted)) == (2, 1)


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "provider_refused"), (503, "provider_error"), (429, "provider_error")]
)
async def test_a_test_tells_what_the_provider_said(world: World, account: AccountId, status: int, reason: str) -> None:
    async def refuse(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        return status, {}

    world.provider.before = refuse
    (result,) = await send(world, account, await world.campaign(account), phone(1))
    assert (result.status, result.reason) == (pb.RECIPIENT_STATUS_FAILED, reason)


@pytest.mark.parametrize(
    ("to", "fields", "pointer"),
    [
        ([], {}, "/to"),
        ([phone(1)] * 11, {}, "/to"),
        ([phone(1), "nonsense"], {}, "/to/1"),
        ([phone(1)], {"variables_json": "[]"}, "/variables"),
        ([phone(1)], {"contact_id": "cnt_x"}, "/contact_id"),
        ([phone(1)], {"contact_id": ids.encode("cnt", ids.new())}, "/contact_id"),
    ],
)
async def test_bad_tests_point_at_their_field(
    world: World, account: AccountId, to: list[str], fields: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        await send(world, account, await world.campaign(account), *to, **fields)
    assert [violation.pointer for violation in caught.value.violations] == [pointer]
    assert world.provider.requests == []


async def test_a_cancelled_campaign_is_not_tested(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    await world.call(account, "CancelCampaign", pb.CancelCampaignRequest(id=campaign.id))
    with pytest.raises(errors.FailedPrecondition) as caught:
        await send(world, account, campaign, phone(1))
    assert (caught.value.reason, world.provider.requests) == ("invalid_state", [])


@pytest.mark.parametrize(
    ("max_late", "late", "started"),
    [
        (0, {"minutes": 50}, True),
        (0, {"minutes": 70}, False),
        (120, {"minutes": 3}, False),
        (86_400, {"hours": 5}, True),
    ],
)
async def test_an_overdue_schedule_never_fires_hours_late_unless_it_may(
    world: World, account: AccountId, max_late: int, late: dict[str, float], *, started: bool
) -> None:
    campaign = await world.ready(account, 1, schedule_at=ago(**late), schedule_max_late_seconds=max_late)
    assert campaign.schedule_max_late_seconds == (max_late or 3600)
    assert await Scheduler(world.work_db, wake=lambda: None).step()
    found = await world.get(account, campaign)
    expected = (pb.CAMPAIGN_STATUS_RUNNING, "") if started else (pb.CAMPAIGN_STATUS_DRAFT, "schedule_missed")
    assert (found.status, found.status_reason) == expected


async def test_lateness_is_changed_and_has_limits(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    request = pb.UpdateCampaignRequest(id=campaign.id, schedule_max_late_seconds=60)
    assert (await world.call(account, "UpdateCampaign", request)).campaign.schedule_max_late_seconds == 60
    for seconds in (-1, 59, 604_801):
        request = pb.UpdateCampaignRequest(id=campaign.id, schedule_max_late_seconds=seconds)
        with pytest.raises(errors.InvalidArgument) as caught:
            await world.call(account, "UpdateCampaign", request)
        assert caught.value.violations[0].pointer == "/schedule_max_late_seconds"
