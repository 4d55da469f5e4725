"""Providers that take several messages in one call."""

from collections.abc import Sequence

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.ids import AccountId
from services.campaigns.domain.sending import Answer, Unavailable
from services.campaigns.providers.http import HttpProvider
from services.campaigns.providers.port import Outbound
from services.campaigns.work.chunk import batch_size
from tests.service.campaigns.world import World, phone


@pytest.mark.parametrize(("max_batch", "size"), [(1, 100), (10, 100), (20, 200), (500, 500)])
def test_a_micro_batch_has_some_calls_where_a_call_takes_several(max_batch: int, size: int) -> None:
    settings = {"url": "http://a.test/", "batch_url": "http://a.test/", "max_batch": max_batch}
    assert batch_size(HttpProvider(None, settings, {}, timeout=1.0)) == size  # type: ignore[arg-type]  # never called


async def test_batches_of_a_provider_that_takes_them(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    async def send_many(self: HttpProvider, messages: Sequence[Outbound]) -> list[Answer]:
        sizes.append(len(messages))
        # One of them is turned away for now, by itself.
        answers: list[Answer] = []
        for message in messages:
            first = message.to == phone(7) and phone(7) not in turned_away
            turned_away.update([phone(7)] if first else [])
            answers.append(Unavailable() if first else await self.send(message))
        return answers

    turned_away: set[str] = set()
    monkeypatch.setattr(HttpProvider, "send_many", send_many)
    campaign = await world.ready(account, 130, ', "batch_url": "http://batches.test/", "max_batch": 10')
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (await world.check_stats(account, campaign)).sent == 130
    assert sorted(world.provider.addresses) == [phone(number) for number in range(130)]
    assert not world.provider.repeats
    # 100 and 30 at a time; the one that was turned away comes alone.
    assert sorted(sizes) == [10] * 13
