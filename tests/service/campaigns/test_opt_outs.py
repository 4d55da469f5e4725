"""Opting out while a campaign is being sent: contacts' word just before the call is what counts."""

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis.ids import AccountId
from services.campaigns.providers.port import Outbound
from services.campaigns.repository import dispatch
from services.campaigns.work.chunk import BATCH, FRESH_SECONDS
from services.campaigns.work.sending import Sending
from tests.service.campaigns.world import World, phone
from tests.service.stack import eventually


class Clock:
    """The dispatchers', which the test sets forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.late = 0.0
        monkeypatch.setattr("services.campaigns.work.chunk.time", SimpleNamespace(monotonic=self.monotonic))

    def monotonic(self) -> float:
        return time.monotonic() + self.late


async def test_whoever_opts_out_between_the_check_and_the_call_is_not_called(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await world.ready(account, 10)
    # As when the database took its time for the intent: no check is young enough for a call.
    monkeypatch.setattr("services.campaigns.work.chunk.FRESH_SECONDS", -1.0)
    monkeypatch.setattr("services.campaigns.work.chunk.ROUNDS", (0.05,))
    calls = world.contacts.calls
    async with world.working():
        await world.start(account, campaign)

        async def checked_again() -> bool:
            # Not after the second that it sleeps.
            world.woken.set()
            return world.contacts.calls > calls + 2

        await eventually(checked_again)
        assert world.provider.requests == []
        world.contacts.refused = {phone(3): contacts_pb.REFUSAL_OPTED_OUT}
        # No check from before is still on its way.
        calls = world.contacts.calls
        await eventually(checked_again)
        monkeypatch.undo()
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.skipped) == (9, 1)
    assert phone(3) not in world.provider.addresses


async def test_no_micro_batch_after_the_opt_out_has_its_recipients(world: World, account: AccountId) -> None:
    """By the order of the provider's log: of those who opt out during the send, only a batch under way has any."""
    campaign = await world.ready(account, 600)
    opted_out_at = 0

    async def opt_out_on_the_way(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        nonlocal opted_out_at
        if len(world.provider.requests) == BATCH + 20:
            opted_out_at = BATCH + 20
            world.contacts.refused = {phone(number): contacts_pb.REFUSAL_OPTED_OUT for number in range(600)}
        return 200, {}

    world.provider.before = opt_out_on_the_way
    async with world.working(batches=1):
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert opted_out_at == BATCH + 20
    # The batch that was under way, and not one more.
    assert len(world.provider.requests) == 2 * BATCH
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.skipped) == (2 * BATCH, 600 - 2 * BATCH)


async def test_a_check_is_as_old_as_its_question(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contacts looked, and its answer took its time."""
    clock, calls = Clock(monkeypatch), 0
    campaign = await world.ready(account, 10)

    async def answer_late() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            clock.late += FRESH_SECONDS
            assert world.provider.requests == []

    world.contacts.before_check = answer_late
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert calls == 2
    assert (await world.check_stats(account, campaign)).sent == 10


async def test_texts_may_take_longer_to_make_than_a_check_counts(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, message = Clock(monkeypatch), Sending.message

    def slowly(self: Sending, row: Mapping[str, Any]) -> Outbound:
        clock.late += 2 * FRESH_SECONDS / BATCH
        return message(self, row)

    monkeypatch.setattr(Sending, "message", slowly)
    campaign = await world.ready(account, BATCH)
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(world.provider.requests) == BATCH


async def test_who_opted_out_is_told_so_also_where_there_would_be_no_text(world: World, account: AccountId) -> None:
    template = await world.template(account, "{{ name }}")
    campaign = await world.campaign(account, template_id=template.id)
    await world.upload(account, campaign, f"phone,name\n{phone(1)},\n{phone(2)},\n{phone(3)},Ann\n")
    world.contacts.refused = {phone(1): contacts_pb.REFUSAL_OPTED_OUT}
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    reasons = {line.address: line.reason for line in await world.recipients(account, campaign)}
    assert reasons == {phone(1): "opted_out", phone(2): "missing_variable:name", phone(3): ""}


async def refuse_later(world: World) -> tuple[int, dict[str, str]]:
    """The provider's answer, when the one recipient has opted out."""
    world.contacts.refused = {phone(0): contacts_pb.REFUSAL_OPTED_OUT}
    return 429, {"Retry-After": "0"}


async def test_whoever_opts_out_after_the_provider_said_later_is_skipped(world: World, account: AccountId) -> None:
    """Nothing is open of an attempt that the provider answered, also where it did not take the message."""
    campaign = await world.ready(account, 1)
    world.provider.before = lambda _: refuse_later(world)
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    stats = await world.check_stats(account, campaign)
    assert (stats.skipped, stats.uncertain, len(world.provider.requests)) == (1, 0, 1)


@pytest.mark.parametrize("tried_again", [False, True])
async def test_whoever_opts_out_after_an_attempt_without_an_answer_is_uncertain(
    world: World, account: AccountId, tried_again: bool
) -> None:
    """The message may have reached them, whatever is answered to the next attempt but that it is taken or refused."""
    campaign = await world.ready(account, 1)
    # As a worker leaves it that died behind its intent.
    lease, rows = await world.leased(account, campaign, seconds=0)
    async with world.work_db.across() as tx:
        assert len(await dispatch.intend(tx, lease, [row["id"] for row in rows], seconds=0)) == 1
    world.provider.before = lambda _: refuse_later(world)
    if not tried_again:
        world.contacts.refused = {phone(0): contacts_pb.REFUSAL_OPTED_OUT}
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    stats = await world.check_stats(account, campaign)
    assert (stats.skipped, stats.uncertain, len(world.provider.requests)) == (0, 1, int(tried_again))
