"""Campaigns as their callers see them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import errors, ids
from chassis.db import WriteTx
from chassis.ids import AccountId
from services.campaigns import lifecycle
from services.campaigns.repository import finishing as finishing_queries
from services.campaigns.work.scheduler import Scheduler
from tests.service.campaigns.world import World, member, numbers_csv
from tests.service.stack import eventually

REQUESTS = {
    "StartCampaign": pb.StartCampaignRequest,
    "PauseCampaign": pb.PauseCampaignRequest,
    "ResumeCampaign": pb.ResumeCampaignRequest,
    "CancelCampaign": pb.CancelCampaignRequest,
    "DeleteCampaign": pb.DeleteCampaignRequest,
}


def at(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made


async def refused(world: World, account: AccountId, name: str, request: object) -> errors.CarillonError:
    with pytest.raises(errors.CarillonError) as caught:
        await world.call(account, name, request)
    return caught.value


async def test_verbs_that_do_not_fit_say_the_state(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 1)
    for name in ("PauseCampaign", "ResumeCampaign"):
        error = await refused(world, account, name, REQUESTS[name](id=campaign.id))
        assert (error.reason, error.metadata) == ("invalid_state", {"status": "draft"})
    await world.start(account, campaign)
    for name in ("StartCampaign", "ResumeCampaign", "DeleteCampaign"):
        error = await refused(world, account, name, REQUESTS[name](id=campaign.id))
        assert (error.reason, error.metadata) == ("invalid_state", {"status": "running"})
    await world.call(account, "CancelCampaign", pb.CancelCampaignRequest(id=campaign.id))
    for name in ("StartCampaign", "PauseCampaign", "ResumeCampaign", "CancelCampaign"):
        error = await refused(world, account, name, REQUESTS[name](id=campaign.id))
        assert (error.reason, error.metadata) == ("invalid_state", {"status": "cancelled"})
    update = await refused(world, account, "UpdateCampaign", pb.UpdateCampaignRequest(id=campaign.id, name="x"))
    assert update.reason == "invalid_state"


async def test_cancelled_draft_shows_its_recipients_as_skipped_at_once(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 7)
    answer = await world.call(account, "CancelCampaign", pb.CancelCampaignRequest(id=campaign.id))
    assert (answer.campaign.stats.pending, answer.campaign.stats.skipped) == (0, 7)
    await world.check_stats(account, campaign)


async def test_starting_needs_an_audience(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    error = await refused(world, account, "StartCampaign", pb.StartCampaignRequest(id=campaign.id))
    assert error.reason == "audience_missing"


async def test_the_default_sender_is_taken(world: World, account: AccountId) -> None:
    template = await world.template(account)
    request = pb.CreateCampaignRequest(name="C", template_id=template.id)
    assert (await refused(world, account, "CreateCampaign", request)).reason == "sender_required"
    first = await world.sender(account)
    assert first.is_default
    second = await world.sender(account, is_default=True)
    campaign = (await world.call(account, "CreateCampaign", request)).campaign
    assert campaign.sender_id == second.id


async def test_unknown_references_point_at_the_field(world: World, account: AccountId) -> None:
    template, sender = await world.template(account), await world.sender(account)
    nobody = {prefix: ids.encode(prefix, ids.new()) for prefix in ("tmpl", "sender", "seg")}
    for fields, pointer in (
        ({"template_id": nobody["tmpl"]}, "/template_id"),
        ({"template_id": "tmpl_abc123"}, "/template_id"),
        ({"sender_id": nobody["sender"]}, "/sender_id"),
        ({"segment_id": nobody["seg"]}, "/segment_id"),
        ({"segment_id": "seg_xyz789"}, "/segment_id"),
    ):
        whole: dict[str, Any] = {"name": "C", "template_id": template.id, "sender_id": sender.id}
        request = pb.CreateCampaignRequest(**(whole | fields))
        error = await refused(world, account, "CreateCampaign", request)
        assert error.reason == "validation_failed"
        assert [violation.pointer for violation in error.violations] == [pointer]


async def test_update_changes_only_what_is_sent_and_checks_the_version(world: World, account: AccountId) -> None:
    segment_id = world.segments.add(account, [member(1)])
    campaign = await world.campaign(account, segment_id=segment_id, rate_limit_per_second=5)
    request = pb.UpdateCampaignRequest(id=campaign.id, name="New", if_version=campaign.version)
    changed = (await world.call(account, "UpdateCampaign", request)).campaign
    assert (changed.name, changed.segment_id, changed.rate_limit_per_second) == ("New", segment_id, 5)
    assert changed.version == campaign.version + 1
    error = await refused(world, account, "UpdateCampaign", request)
    assert (error.reason, error.metadata) == ("version_mismatch", {"version": str(changed.version)})
    cleared = await world.call(
        account, "UpdateCampaign", pb.UpdateCampaignRequest(id=campaign.id, clear=["segment_id"])
    )
    assert cleared.campaign.segment_id == ""


async def test_one_kind_of_audience(world: World, account: AccountId) -> None:
    segment_id = world.segments.add(account, [member(1)])
    uploaded = await world.ready(account, 1)
    error = await refused(
        world, account, "UpdateCampaign", pb.UpdateCampaignRequest(id=uploaded.id, segment_id=segment_id)
    )
    assert error.reason == "audience_conflict"
    by_segment = await world.campaign(account, segment_id=segment_id)
    with pytest.raises(errors.FailedPrecondition) as caught:
        await world.upload(account, by_segment, numbers_csv(1))
    assert caught.value.reason == "audience_conflict"


async def test_what_a_campaign_uses_is_not_deleted(world: World, account: AccountId) -> None:
    template, sender = await world.template(account), await world.sender(account)
    campaign = await world.campaign(account, template_id=template.id, sender_id=sender.id)
    for name, request in (
        ("DeleteTemplate", pb.DeleteTemplateRequest(id=template.id)),
        ("DeleteSender", pb.DeleteSenderRequest(id=sender.id)),
    ):
        assert (await refused(world, account, name, request)).reason == "resource_in_use"
    await world.call(account, "DeleteCampaign", pb.DeleteCampaignRequest(id=campaign.id))
    await world.call(account, "DeleteTemplate", pb.DeleteTemplateRequest(id=template.id))
    await world.call(account, "DeleteSender", pb.DeleteSenderRequest(id=sender.id))


async def test_deleting_removes_the_ledger(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 450)
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
        await world.call(account, "DeleteCampaign", pb.DeleteCampaignRequest(id=campaign.id))
        assert (
            await refused(world, account, "GetCampaign", pb.GetCampaignRequest(id=campaign.id))
        ).reason == "not_found"
        again = await refused(world, account, "DeleteCampaign", pb.DeleteCampaignRequest(id=campaign.id))
        assert again.reason == "not_found"

        async def gone() -> bool:
            tables = ("recipients", "chunks", "campaigns", "provider_messages", "campaign_stats", "runs", "budgets")
            found = [
                await world.admin(f"SELECT 1 FROM {table} WHERE account_id = $1 LIMIT 2", account) for table in tables
            ]
            # The sender's budget stays.
            return [len(rows) for rows in found] == [0, 0, 0, 0, 0, 0, 1]

        await eventually(gone)


async def test_a_due_draft_starts_by_itself(world: World, account: AccountId) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    campaign = await world.ready(account, 3, schedule_at=at(soon))
    async with world.working():
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert done.started_at.ToDatetime(UTC) >= soon
    assert len(world.provider.accepted) == 3


async def test_a_schedule_found_too_late_is_held(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 3, schedule_at=at(datetime(2026, 3, 1, 9, tzinfo=UTC)))
    async with world.working():
        held = await world.until(account, campaign, lambda found: found.status_reason != "")
        assert (held.status, held.status_reason) == (pb.CAMPAIGN_STATUS_DRAFT, "schedule_missed")
        # It still starts by hand, and the reason is gone then.
        await world.start(account, campaign)
        done = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert done.status_reason == ""


async def test_a_due_draft_without_audience_is_held(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account, schedule_at=at(datetime.now(UTC) - timedelta(minutes=1)))
    async with world.working():
        held = await world.until(account, campaign, lambda found: found.status_reason != "")
        assert (held.status, held.status_reason) == (pb.CAMPAIGN_STATUS_DRAFT, "audience_missing")
        # Another schedule, and it is looked at again.
        await world.upload(account, campaign, numbers_csv(2))
        later = at(datetime.now(UTC) - timedelta(seconds=1))
        await world.call(account, "UpdateCampaign", pb.UpdateCampaignRequest(id=campaign.id, schedule_at=later))
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)


async def test_campaigns_are_listed_newest_first(world: World, account: AccountId) -> None:
    template, sender = await world.template(account), await world.sender(account)
    made = [await world.campaign(account, template_id=template.id, sender_id=sender.id) for _ in range(5)]
    await world.call(account, "CancelCampaign", pb.CancelCampaignRequest(id=made[2].id))
    seen: list[str] = []
    cursor = ""
    while True:
        page = await world.call(account, "ListCampaigns", pb.ListCampaignsRequest(page_size=2, cursor=cursor))
        seen += [campaign.id for campaign in page.campaigns]
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == [campaign.id for campaign in reversed(made)]
    request = pb.ListCampaignsRequest(status=pb.CAMPAIGN_STATUS_CANCELLED)
    assert [campaign.id for campaign in (await world.call(account, "ListCampaigns", request)).campaigns] == [made[2].id]
    page = await world.call(account, "ListCampaigns", pb.ListCampaignsRequest(page_size=2))
    foreign = pb.ListCampaignsRequest(page_size=2, cursor=page.next_cursor, status=pb.CAMPAIGN_STATUS_DRAFT)
    assert (await refused(world, account, "ListCampaigns", foreign)).reason == "invalid_cursor"


async def test_a_repeated_start_gets_its_first_answer(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 1)
    first = await world.call(account, "StartCampaign", pb.StartCampaignRequest(id=campaign.id), key="once")
    again = await world.call(account, "StartCampaign", pb.StartCampaignRequest(id=campaign.id), key="once")
    assert first == again


async def test_one_at_a_time_removes_a_deleted_campaign(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 3)
    await world.call(account, "DeleteCampaign", pb.DeleteCampaignRequest(id=campaign.id))
    async with world.work_db.across() as one, world.work_db.across() as other:
        assert await finishing_queries.deleted(one) is not None
        assert await finishing_queries.deleted(other) is None


async def test_one_that_cannot_be_started_does_not_keep_the_others(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = [await world.ready(account, 1) for _ in range(2)]
    await world.admin("UPDATE campaigns SET schedule_at = now() WHERE account_id = $1", account)
    start, broken = lifecycle.start_draft, ids.decode("cmp", drafts[0].id)

    async def fails(tx: WriteTx, account: UUID, row: asyncpg.Record) -> pb.Campaign:
        if row["id"] == broken:
            raise RuntimeError("broken")
        return await start(tx, account, row)

    monkeypatch.setattr(lifecycle, "start_draft", fails)
    scheduler = Scheduler(world.work_db, wake=lambda: None)
    assert await scheduler.step()
    assert [(await world.get(account, one)).status for one in drafts] == [
        pb.CAMPAIGN_STATUS_DRAFT,
        pb.CAMPAIGN_STATUS_RUNNING,
    ]
    # Nothing changed: no reason to look again at once.
    assert not await scheduler.step()
