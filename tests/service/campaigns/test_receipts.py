"""Delivery receipts: in any order, any number of times, before and after the send's own answer."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import errors, ids
from chassis.ids import AccountId
from tests.service.campaigns.hooks import applied, record, sent, token_of, told
from tests.service.campaigns.world import World, numbers_csv

DELIVERED, FAILED, OPENED = "delivered", "failed", "opened"


async def test_receipts_move_the_numbers(world: World, account: AccountId) -> None:
    sender, campaign, lines = await sent(world, account, 10)
    receipts = [told(line, DELIVERED) for line in lines[:7]]
    receipts.append(told(lines[7], FAILED, reason="absent"))
    assert await record(world, account, sender, *receipts) == 8
    await applied(world)
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.delivered, stats.failed) == (10, 7, 1)
    after = await world.recipients(account, campaign)
    assert (after[7].status, after[7].reason) == (pb.RECIPIENT_STATUS_FAILED, "absent")
    assert after[0].HasField("delivered_at")
    types = [row["type"] for row in await world.admin("SELECT type FROM outbox WHERE account_id = $1", account)]
    assert types.count("message.delivered") == types.count("message.failed") == 1


@pytest.mark.parametrize("order", [(DELIVERED, FAILED), (FAILED, DELIVERED), (DELIVERED, DELIVERED)], ids="-".join)
@pytest.mark.parametrize("together", [True, False])
async def test_order_and_repetition_change_nothing(
    world: World, account: AccountId, order: tuple[Any, Any], together: bool
) -> None:
    sender, campaign, (line,) = await sent(world, account, 1)
    receipts = [told(line, status) for status in order]
    for part in [receipts] if together else [[receipts[0]], [receipts[1]]]:
        await record(world, account, sender, *part)
        await applied(world)
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.delivered, stats.failed) == (1, 1, 0)


@pytest.mark.parametrize("status", [DELIVERED, FAILED])
async def test_what_is_told_again_after_it_was_applied_is_no_news(
    world: World, account: AccountId, status: str
) -> None:
    sender, campaign, (line,) = await sent(world, account, 1)
    for at in ("2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z"):
        await record(world, account, sender, told(line, status, at=at))
        await applied(world)
        (after,) = await world.recipients(account, campaign)
        assert after.state_revision == line.state_revision + 1
        assert not after.HasField("delivered_at") or after.delivered_at.ToDatetime(UTC).day == 1
    types = [row["type"] for row in await world.admin("SELECT type FROM outbox WHERE account_id = $1", account)]
    assert types.count(f"message.{status}") == 1
    assert not await world.admin("SELECT FROM receipts WHERE account_id = $1", account)


async def test_a_receipt_that_comes_while_another_of_the_message_is_applied_stays(
    world: World, account: AccountId
) -> None:
    sender, _, (line,) = await sent(world, account, 1)
    await record(world, account, sender, told(line, DELIVERED), told(line, OPENED))
    # As when it is stored behind the applier's look.
    await world.admin("UPDATE receipts SET due_at = 'infinity' WHERE account_id = $1 AND status = 'opened'", account)
    await applied(world)
    rows = await world.admin("SELECT status FROM receipts WHERE account_id = $1", account)
    assert [row["status"] for row in rows] == [OPENED]


@pytest.mark.parametrize("name", ["id", "key"])
async def test_a_receipt_before_the_sends_own_answer_is_kept(world: World, account: AccountId, name: str) -> None:
    sender = await world.sender(account)
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(1))
    answered = asyncio.Event()

    async def receipt_first(message: dict[str, Any]) -> None:
        known_as = world.provider.accepted[message["key"]][name]
        await record(world, account, sender, {"id": known_as, "status": DELIVERED})
        await applied(world)
        answered.set()

    world.provider.after = receipt_first
    async with world.working():
        await world.start(account, campaign)
        await answered.wait()
        await world.until(account, campaign, lambda found: found.stats.delivered == 1)
    assert (await world.check_stats(account, campaign)).delivered == 1


async def test_a_late_receipt_moves_an_uncertain_one_on(world: World, account: AccountId) -> None:
    sender = await world.sender(account, ', "honours_keys": false')
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(3))
    never = asyncio.Event()

    async def silent(_: dict[str, Any]) -> None:
        await never.wait()

    world.provider.after = silent
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    never.set()
    assert (await world.check_stats(account, campaign)).uncertain == 3
    # The provider's name for the message was never heard; it knows ours.
    lines = await world.recipients(account, campaign)
    await record(
        world,
        account,
        sender,
        {"id": lines[0].id, "status": DELIVERED},
        {"id": lines[1].id, "status": FAILED},
    )
    await applied(world)
    stats = await world.check_stats(account, campaign)
    assert (stats.uncertain, stats.sent, stats.delivered, stats.failed) == (1, 2, 1, 1)
    # Whatever was told of it, it was sent then, and no attempt is open.
    rows = await world.admin(
        "SELECT sent_at IS NOT NULL AS sent, unanswered_since IS NULL AS answered FROM recipients "
        "WHERE account_id = $1 AND status <> 'uncertain'",
        account,
    )
    assert [tuple(row) for row in rows] == [(True, True)] * 2


async def test_only_the_senders_token_is_taken(world: World, account: AccountId, other: AccountId) -> None:
    sender, stranger = await world.sender(account), await world.sender(other)
    good = token_of(sender)
    body = b'{"receipts": [{"id": "x", "status": "delivered"}]}'

    async def take(caller: AccountId, sender_id: str, token: str) -> int:
        request = pb.TakeHookRequest(sender_id=sender_id, token=token, hook=pb.HOOK_RECEIPTS, body=body)
        answer: pb.TakeHookResponse = await world.call(caller, "TakeHook", request)
        return answer.stored

    assert await take(account, sender.id, good) == 1
    assert await take(account, sender.id, good.rpartition(".")[2]) == 1
    for caller, sender_id, token in (
        (account, sender.id, token_of(stranger)),
        (account, sender.id, ""),
        (account, sender.id, good[:-1]),
        (other, sender.id, good),
        (account, "sender_abc", good),
    ):
        with pytest.raises(errors.Unauthenticated):
            await take(caller, sender_id, token)


async def test_a_sender_speaks_for_its_own_messages_only(world: World, account: AccountId) -> None:
    sender, campaign, (line,) = await sent(world, account, 1)
    stranger = await world.sender(account)
    for name in (line.id, line.provider_message_id):
        await record(world, account, stranger, {"id": name, "status": DELIVERED})
    await applied(world)
    assert (await world.check_stats(account, campaign)).delivered == 0
    await record(world, account, sender, {"id": line.id, "status": DELIVERED})
    await applied(world)
    assert (await world.check_stats(account, campaign)).delivered == 1


async def test_a_clock_that_runs_ahead_is_set_back(world: World, account: AccountId) -> None:
    sender, campaign, (line,) = await sent(world, account, 1)
    await record(world, account, sender, told(line, DELIVERED, at="2999-01-01T00:00:00Z"))
    await applied(world)
    (after,) = await world.recipients(account, campaign)
    assert after.delivered_at.ToDatetime(UTC) <= datetime.now(UTC)


async def test_a_receipt_of_a_campaign_that_is_gone_is_done_with(world: World, account: AccountId) -> None:
    sender, campaign, (line,) = await sent(world, account, 1)
    other_sender, other, (other_line,) = await sent(world, account, 1)
    await world.admin(
        "DELETE FROM campaigns WHERE account_id = $1 AND id = $2", account, ids.decode("cmp", campaign.id)
    )
    await record(world, account, sender, told(line, DELIVERED))
    receipt = told(other_line, DELIVERED)
    await record(world, account, other_sender, receipt)
    await applied(world)
    assert (await world.check_stats(account, other)).delivered == 1
    assert not await world.admin("SELECT FROM receipts WHERE account_id = $1", account)


async def test_a_receipt_waits_while_an_attempt_has_no_answer(world: World, account: AccountId) -> None:
    """Unanswered, then told to wait: pending again, and the message may be out already."""
    sender, campaign, (line,) = await sent(world, account, 1)
    change = "UPDATE recipients SET status = 'pending', unanswered_since = {} WHERE account_id = $1"
    receipt = told(line, DELIVERED)
    await world.admin(change.format("now()"), account)
    await record(world, account, sender, receipt)
    await applied(world)
    assert len(await world.admin("SELECT FROM receipts WHERE account_id = $1", account)) == 1
    await world.admin(change.format("NULL"), account)
    await world.admin("UPDATE recipients SET status = 'sent' WHERE account_id = $1", account)
    await world.admin("UPDATE receipts SET due_at = now() WHERE account_id = $1", account)
    await applied(world)
    assert (await world.check_stats(account, campaign)).delivered == 1
