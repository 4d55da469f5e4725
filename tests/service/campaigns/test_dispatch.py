"""Sending: every recipient once, whatever happens."""

import asyncio
from collections import Counter
from operator import attrgetter
from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.ids import AccountId
from services.campaigns.domain.recipient import Status
from services.campaigns.domain.sending import Outcome
from services.campaigns.repository import dispatch as queries
from services.campaigns.work.budget import acquire, block
from services.campaigns.work.chunk import BATCH
from services.campaigns.work.finishing import Finisher
from tests.service.campaigns.world import World, numbers_csv, phone
from tests.service.stack import eventually


async def test_uploaded_campaign_is_sent_to_everybody_once(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 1000)
    async with world.working():
        started = await world.start(account, campaign)
        assert started.status == pb.CAMPAIGN_STATUS_RUNNING
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    stats = await world.check_stats(account, campaign)
    assert (stats.total, stats.sent, stats.pending) == (1000, 1000, 0)
    assert sorted(world.provider.addresses) == [phone(number) for number in range(1000)]
    assert not world.provider.repeats
    message = next(iter(world.provider.accepted.values()))
    assert message["from"] == "CARILLON"
    assert message["text"].startswith("Hello N")


async def test_variables_come_from_the_file_then_the_campaign(world: World, account: AccountId) -> None:
    template = await world.template(account, "{{ name }}/{{ shop }}/{{ phone }}/{{ missing | default: '-' }}")
    campaign = await world.campaign(account, template_id=template.id, variables_json='{"shop": "X", "name": "nobody"}')
    await world.upload(account, campaign, "phone,name\n+15550000001,Ann\n")
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert [message["text"] for message in world.provider.accepted.values()] == ["Ann/X/+15550000001/-"]


async def test_started_campaign_keeps_its_text(world: World, account: AccountId) -> None:
    template = await world.template(account, "old")
    campaign = await world.campaign(account, template_id=template.id)
    await world.upload(account, campaign, numbers_csv(1))
    await world.start(account, campaign)
    await world.call(account, "UpdateTemplate", pb.UpdateTemplateRequest(id=template.id, body="new"))
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert [message["text"] for message in world.provider.accepted.values()] == ["old"]


async def test_the_provider_gets_the_secret_and_the_callback(world: World, account: AccountId) -> None:
    sender = await world.sender(account, secrets_json='{"authorization": "Bearer s3cret"}')
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(1))
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    (message,) = world.provider.accepted.values()
    assert message["authorization"] == "Bearer s3cret"
    assert message["callback_url"] == "http://carillon.test" + sender.receipts_path


async def test_opting_out_after_the_upload_is_heeded(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 10)
    world.contacts.refused = {
        phone(3): contacts_pb.REFUSAL_DO_NOT_DISTURB,
        phone(4): contacts_pb.REFUSAL_OPTED_OUT,
    }
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.skipped) == (8, 2)
    reasons = {line.address: line.reason for line in await world.recipients(account, campaign) if line.reason}
    assert reasons == {phone(3): "do_not_disturb", phone(4): "opted_out"}
    assert not {phone(3), phone(4)} & set(world.provider.addresses)


async def test_nothing_is_sent_while_contacts_does_not_answer(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.campaigns.work.chunk.UNCHECKED_SECONDS", 0.05)
    campaign = await world.ready(account, 5)
    world.contacts.available = False
    calls = world.contacts.calls
    async with world.working():
        await world.start(account, campaign)

        async def asked_again() -> bool:
            world.woken.set()
            # A call that fails is made twice.
            return world.contacts.calls > calls + 2

        await eventually(asked_again)
        assert not world.provider.requests
        world.contacts.available = True
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(world.provider.accepted) == 5


async def test_pause_stops_the_calls_and_start_resumes_without_repeating(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 600)

    async def slow(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        await asyncio.sleep(0.02)
        return 200, {}

    world.provider.before = slow
    async with world.working(batches=1):
        await world.start(account, campaign)
        await world.until(account, campaign, lambda found: found.stats.sent > 0)
        await world.call(account, "PauseCampaign", pb.PauseCampaignRequest(id=campaign.id))
        paused = await quiet(world)
        stats = await world.check_stats(account, campaign)
        assert 0 < paused < 600
        assert (stats.sent, stats.pending) == (paused, 600 - paused)
        resumed = await world.start(account, campaign)
        assert resumed.status == pb.CAMPAIGN_STATUS_RUNNING
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(world.provider.accepted) == 600
    assert not world.provider.repeats


async def quiet(world: World) -> int:
    """Waits until nobody works on any chunk: whoever still would, has been refused. How many messages were accepted."""

    async def released() -> bool:
        held = await world.admin("SELECT 1 FROM chunks WHERE lease_until > 'epoch'")
        return not held and world.provider.under_way == 0

    await eventually(released)
    return len(world.provider.requests)


async def test_cancel_skips_whoever_is_pending(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 600)

    async def slow(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        await asyncio.sleep(0.02)
        return 200, {}

    world.provider.before = slow
    async with world.working(batches=1):
        await world.start(account, campaign)
        await world.until(account, campaign, lambda found: found.stats.sent > 0)
        await world.call(account, "CancelCampaign", pb.CancelCampaignRequest(id=campaign.id))
        cancelled = await world.until(account, campaign, lambda found: found.stats.pending == 0)
        assert cancelled.status == pb.CAMPAIGN_STATUS_CANCELLED
    stats = await world.check_stats(account, campaign)
    assert stats.sent == len(world.provider.accepted) < 600
    assert stats.skipped == 600 - stats.sent
    lines = await world.recipients(account, campaign)
    assert {line.reason for line in lines if line.status == pb.RECIPIENT_STATUS_SKIPPED} == {"cancelled"}


async def test_refusals_are_final_and_do_not_stop_the_rest(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 20)

    async def refuse(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        return (400 if message["to"] == phone(7) else 200), {}

    world.provider.before = refuse
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.failed) == (20, 1)
    failed = [line for line in await world.recipients(account, campaign) if line.status == pb.RECIPIENT_STATUS_FAILED]
    assert [(line.address, line.reason) for line in failed] == [(phone(7), "provider_refused")]
    assert len(world.provider.requests) == 20


async def test_temporary_errors_are_tried_again_with_the_same_key(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 30)
    failed_once: set[str] = set()

    async def flaky(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        if message["to"] in (phone(1), phone(2)) and message["key"] not in failed_once:
            failed_once.add(message["key"])
            return 503, {}
        return 200, {}

    world.provider.before = flaky
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (await world.check_stats(account, campaign)).sent == 30
    assert len(world.provider.accepted) == 30
    assert len(failed_once) == 2


async def test_429_obeys_retry_after(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, BATCH + 10)
    asked: list[float] = []

    async def throttle(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        asked.append(asyncio.get_running_loop().time())
        return (429, {"Retry-After": "1"}) if len(asked) == 1 else (200, {})

    world.provider.before = throttle
    # One batch at a time, so that only the first is under way when it is asked to wait.
    async with world.working(batches=1):
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(world.provider.accepted) == BATCH + 10
    # The first batch was under way; the second did not begin before the second was over.
    assert asked[BATCH] - asked[0] >= 0.95


async def test_a_provider_that_is_down_pauses_the_campaign(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.campaigns.domain.sending.ROUNDS", (0.05, 0.05))
    campaign = await world.ready(account, 30)

    async def down(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        return 503, {}

    world.provider.before = down
    async with world.working():
        await world.start(account, campaign)
        paused = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_PAUSED)
        assert paused.status_reason == "provider_unavailable"
        assert (await world.check_stats(account, campaign)).pending == 30
        world.provider.before = None
        resumed = await world.call(account, "ResumeCampaign", pb.ResumeCampaignRequest(id=campaign.id))
        assert resumed.campaign.status_reason == ""
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(world.provider.accepted) == 30


@pytest.mark.parametrize("rate", [0, 40])
async def test_one_address_that_always_fails_does_not_stop_the_campaign(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    for module in ("domain.sending", "work.chunk"):
        monkeypatch.setattr(f"services.campaigns.{module}.ROUNDS", (0.05, 0.05))
    monkeypatch.setattr("services.campaigns.domain.sending.MAX_ATTEMPTS", 4)
    sender = await world.sender(account, rate_limit_per_second=rate)
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(20))

    async def fails(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        return (500 if message["to"] == phone(0) else 200), {}

    world.provider.before = fails
    async with world.working():
        await world.start(account, campaign)
        ended = (pb.CAMPAIGN_STATUS_COMPLETED, pb.CAMPAIGN_STATUS_PAUSED)
        found = await world.until(account, campaign, lambda found: found.status in ended)
    assert found.status == pb.CAMPAIGN_STATUS_COMPLETED
    assert len(world.provider.accepted) == 19
    reasons = {line.address: line.reason for line in await world.recipients(account, campaign) if line.reason}
    assert reasons == {phone(0): "provider_error"}
    assert (await world.check_stats(account, campaign)).failed == 1


async def test_a_throttled_attempt_is_given_back(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 3)
    times: Counter[str] = Counter()

    async def throttle(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        times[message["to"]] += 1
        return (429, {"Retry-After": "0.1"}) if times[message["to"]] == 1 else (200, {})

    world.provider.before = throttle
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert set(times.values()) == {2}
    rows = await world.admin("SELECT attempts FROM recipients WHERE account_id = $1", account)
    assert [row["attempts"] for row in rows] == [1, 1, 1]


async def test_a_released_lease_is_not_renewed(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 3)
    await world.start(account, campaign)
    campaign_id = ids.decode("cmp", campaign.id)
    assert campaign_id is not None
    async with world.work_db.across() as tx:
        lease = await queries.lease(tx, account, campaign_id, seconds=60)
        assert lease is not None
        assert await queries.renew(tx, [lease], seconds=60) == {lease.key}
        await queries.release(tx, lease, seconds=0, idle_passes=0)
        assert await queries.renew(tx, [lease], seconds=60) == set()
    async with world.work_db.across() as tx:
        assert await queries.lease(tx, account, campaign_id, seconds=60) is not None


async def test_the_senders_rate_is_kept(world: World, account: AccountId) -> None:
    sender = await world.sender(account, rate_limit_per_second=10)
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(20))
    times: list[float] = []

    async def note(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        times.append(asyncio.get_running_loop().time())
        return 200, {}

    world.provider.before = note
    # Two dispatchers share the one budget.
    async with world.working(), world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(times) == 20
    # 20 at 10 a second, less what two blocks of a tenth may be ahead.
    assert times[-1] - times[0] >= 20 / 10 - 0.25


async def test_one_budget_for_all_who_ask_at_once(world: World, account: AccountId) -> None:
    sender = await world.sender(account, rate_limit_per_second=1)
    sender_id = ids.decode("sender", sender.id)
    assert sender_id is not None
    # The row is there: whoever makes it keeps the others waiting.
    assert (await acquire(world.work_db, account, [sender_id], 50)).permits == 1
    await world.admin("UPDATE budgets SET used_until = 'epoch' WHERE account_id = $1", account)
    grants = await asyncio.gather(*(acquire(world.work_db, account, [sender_id], 50) for _ in range(6)))
    assert sorted(grant.permits for grant in grants) == [0, 0, 0, 0, 0, 1]
    assert all(0 < grant.wait < 1 for grant in grants if not grant.permits)
    # A change of the rate takes effect at once; a block holds even without a rate.
    await world.call(account, "UpdateSender", pb.UpdateSenderRequest(id=sender.id, rate_limit_per_second=0))
    assert (await acquire(world.work_db, account, [sender_id], 50)).permits == 50
    await block(world.work_db, account, sender_id, 60)
    assert (await acquire(world.work_db, account, [sender_id], 50)).permits == 0


async def test_events_tell_of_every_message(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, BATCH + 20)

    async def refuse(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        return (400 if message["to"] in (phone(3), phone(BATCH + 4)) else 200), {}

    world.provider.before = refuse
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    rows = await world.admin("SELECT type, bulk, data FROM outbox WHERE account_id = $1 ORDER BY created_at", account)
    of_messages = [row for row in rows if row["type"].startswith("message.")]
    assert Counter(row["type"] for row in of_messages) == {"message.sent": 2, "message.failed": 2}
    assert {row["bulk"] for row in of_messages} == {True}
    told: list[pb.Recipient] = []
    for row in of_messages:
        event = events_pb2.MessagesChanged.FromString(row["data"])
        assert (event.campaign_id, event.channel) == (campaign.id, contacts_pb.CHANNEL_SMS)
        state = pb.RecipientStatus.Value("RECIPIENT_STATUS_" + row["type"].removeprefix("message.").upper())
        assert {one.status for one in event.recipients} == {state}
        told += event.recipients
    # Each as it is read.
    assert sorted(told, key=attrgetter("id")) == sorted(await world.recipients(account, campaign), key=attrgetter("id"))
    assert [row["type"] for row in rows if row["type"].startswith("campaign.")] == [
        "campaign.created",
        "campaign.started",
        "campaign.completed",
    ]


async def test_a_name_that_the_provider_repeats_stays_with_the_first(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 250)

    async def repeat(message: dict[str, Any]) -> None:
        # Within one micro-batch, and in a later one.
        if message["to"] in (phone(1), phone(2), phone(249)):
            world.provider.accepted[message["key"]]["id"] = "again"

    world.provider.after = repeat
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (await world.check_stats(account, campaign)).sent == 250
    assert not world.provider.repeats
    names = await world.admin(
        "SELECT provider_message_id AS name FROM provider_messages WHERE account_id = $1", account
    )
    assert len(names) == len({row["name"] for row in names}) == 248
    told = await world.admin("SELECT data FROM outbox WHERE account_id = $1 AND type = 'message.sent'", account)
    assert sum(len(events_pb2.MessagesChanged.FromString(row["data"]).recipients) for row in told) == 250


async def test_no_step_of_a_recipient_leaves_its_page(world: World, account: AccountId) -> None:
    """Which would be an entry in each index, for every one of them."""
    campaign = await world.ready(account, 500)
    await world.start(account, campaign)
    campaign_id, sender_id = ids.decode("cmp", campaign.id), ids.decode("sender", campaign.sender_id)
    assert campaign_id is not None
    assert sender_id is not None
    pages = "SELECT id, (ctid::text::point)[0]::int AS page FROM recipients WHERE account_id = $1 ORDER BY id"
    before = await world.admin(pages, account)
    assert len({row["page"] for row in before}) > 5
    async with world.work_db.across() as tx:
        lease = await queries.lease(tx, account, campaign_id, seconds=60)
    assert lease is not None
    async with world.work_db.statement() as tx:
        attempts = await queries.intend(tx, lease, [row["id"] for row in before], seconds=60)
    assert len(attempts) == 500
    ends = [queries.Settled(one, Outcome(Status.SENT, "", f"{one.hex}"), answered=True) for one in attempts]
    async with world.work_db.across() as tx:
        assert len(await queries.settle(tx, lease, sender_id, ends)) == 500
    assert await world.admin(pages, account) == before


async def test_two_dispatchers_send_nobody_twice(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 1500)
    async with world.working(), world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (await world.check_stats(account, campaign)).sent == 1500
    assert len(world.provider.requests) == len(world.provider.accepted) == 1500


async def test_a_stale_lease_writes_nothing(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 3)
    await world.start(account, campaign)
    campaign_id = ids.decode("cmp", campaign.id)
    assert campaign_id is not None
    async with world.work_db.across() as tx:
        old = await queries.lease(tx, account, campaign_id, seconds=0)
        assert old is not None
    async with world.work_db.across() as tx:
        new = await queries.lease(tx, account, campaign_id, seconds=60)
        assert new is not None
        assert new.generation == old.generation + 1
        rows = await queries.open_recipients(tx, new)
    everybody = [row["id"] for row in rows]
    async with world.work_db.across() as tx:
        assert await queries.intend(tx, old, everybody, seconds=5) == {}
        assert len(await queries.intend(tx, new, everybody, seconds=5)) == 3
    sent = [queries.Settled(one, Outcome(Status.SENT, provider_message_id="x"), answered=True) for one in everybody]
    skipped = {one: Outcome(Status.SKIPPED, "cancelled") for one in everybody}
    async with world.work_db.across() as tx:
        assert await queries.settle(tx, old, ids.new(), sent) == []
        assert await queries.settle_late(tx, old, ids.new(), sent) == []
        assert await queries.leave_out(tx, old, skipped) == []
        assert await queries.release(tx, old, seconds=0, idle_passes=0) is False
        assert await queries.renew(tx, [old], seconds=5) == set()
        assert await tx.fetchval("SELECT lease_until > now() FROM chunks WHERE account_id = $1", account)
    assert {line.status for line in await world.recipients(account, campaign)} == {pb.RECIPIENT_STATUS_CLAIMED}


@pytest.mark.parametrize(("late", "status"), [(Status.PENDING, "uncertain"), (Status.SENT, "sent")])
async def test_only_what_became_of_an_uncertain_one_moves_it_on(
    world: World, account: AccountId, late: Status, status: str
) -> None:
    """A provider that did not take it this time may have taken it before: it is not sent again by itself."""
    campaign = await world.ready(account, 1)
    sender_id = ids.decode("sender", campaign.sender_id)
    assert sender_id is not None
    lease, (row,) = await world.leased(account, campaign)
    async with world.work_db.across() as tx:
        await queries.intend(tx, lease, [row["id"]], seconds=60)
        await tx.execute("UPDATE recipients SET status = 'uncertain' WHERE account_id = $1", account)
        told = queries.Settled(row["id"], Outcome(late), answered=True)
        assert len(await queries.settle_late(tx, lease, sender_id, [told])) == (status != "uncertain")
        assert await tx.fetchval("SELECT status FROM recipients WHERE account_id = $1", account) == status


async def test_cancelling_leaves_a_chunk_to_whoever_has_it_and_then_says_whom_it_tried(
    world: World, account: AccountId
) -> None:
    campaign = await world.ready(account, 2)
    lease, (tried, _) = await world.leased(account, campaign)
    async with world.work_db.across() as tx:
        assert len(await queries.intend(tx, lease, [tried["id"]], seconds=60)) == 1

    async def statuses() -> list[tuple[str, str]]:
        await Finisher(world.work_db).step()
        rows = await world.admin("SELECT status, reason FROM recipients WHERE account_id = $1 ORDER BY 1", account)
        return [tuple(row) for row in rows]

    await world.call(account, "CancelCampaign", pb.CancelCampaignRequest(id=campaign.id))
    # The answer may come.
    assert await statuses() == [("claimed", ""), ("skipped", "cancelled")]
    await world.admin("UPDATE chunks SET lease_until = 'epoch' WHERE account_id = $1", account)
    assert await statuses() == [("skipped", "cancelled"), ("uncertain", "no_answer")]
    stats = await world.check_stats(account, campaign)
    assert (stats.skipped, stats.uncertain) == (1, 1)


async def test_an_attempt_without_an_answer_is_as_old_as_the_first(world: World, account: AccountId) -> None:
    """A provider forgets keys after a time: see domain.sending."""
    campaign = await world.ready(account, 1)
    lease, (row,) = await world.leased(account, campaign)
    began = set()
    for attempt in (1, 2):
        async with world.work_db.across() as tx:
            assert await queries.intend(tx, lease, [row["id"]], seconds=60) == {row["id"]: attempt}
            began.add(await tx.fetchval("SELECT unanswered_since FROM recipients WHERE account_id = $1", account))
    assert len(began) == 1


async def test_an_intent_needs_a_running_campaign(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 3)
    lease, rows = await world.leased(account, campaign)
    await world.call(account, "PauseCampaign", pb.PauseCampaignRequest(id=campaign.id))
    async with world.work_db.across() as tx:
        assert await queries.intend(tx, lease, [row["id"] for row in rows], seconds=5) == {}
