"""Places handed out in turn between accounts, and between the campaigns of each."""

import asyncio
from uuid import UUID

import pytest

from services.campaigns.work.slots import Closed, Slots

A, B = UUID(int=1), UUID(int=2)
ONE, TWO, THREE = UUID(int=11), UUID(int=12), UUID(int=13)


async def queue(slots: Slots, wanted: list[tuple[UUID, UUID]]) -> list[UUID]:
    """The campaigns in the order in which they got the place, all of them asking while it is taken."""
    served: list[UUID] = []

    async def work(account: UUID, campaign: UUID) -> None:
        async with slots.place(account, campaign):
            served.append(campaign)
            await asyncio.sleep(0)

    async with slots.place(B, THREE):
        tasks = [asyncio.create_task(work(*one)) for one in wanted]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    return served


async def test_an_account_with_many_waits_as_long_as_one_with_few() -> None:
    wanted = [(A, ONE), (A, ONE), (A, ONE), (A, TWO), (A, TWO), (B, THREE), (B, THREE)]
    assert await queue(Slots(1), wanted) == [ONE, THREE, TWO, THREE, ONE, TWO, ONE]


async def test_who_comes_back_is_not_behind_those_who_never_left() -> None:
    slots, served = Slots(1), []

    async def one_by_one() -> None:
        for _ in range(4):
            async with slots.place(B, THREE):
                served.append(THREE)
                await asyncio.sleep(0)

    async def all_at_once(campaign: UUID) -> None:
        async with slots.place(A, campaign):
            served.append(campaign)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    await asyncio.gather(one_by_one(), *(all_at_once(ONE) for _ in range(10)))
    assert served[:8].count(THREE) == 4


async def test_no_more_than_there_are_places() -> None:
    slots, most, under_way = Slots(3), 0, 0

    async def work(number: int) -> None:
        nonlocal most, under_way
        async with slots.place(A, UUID(int=number % 4)):
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*map(work, range(40)))
    assert (most, under_way) == (3, 0)


async def test_who_wants_several_is_not_passed_by_those_who_want_one() -> None:
    slots, served = Slots(3), []

    async def work(campaign: UUID, places: int) -> None:
        await slots.take(A, campaign, places)
        served.append(campaign)
        await asyncio.sleep(0)
        slots.give(places)

    await slots.take(B, THREE)
    wanted = [(ONE, 3), (TWO, 1), (TWO, 1)]
    tasks = [asyncio.create_task(work(*one)) for one in wanted]
    await asyncio.sleep(0)
    # Two are free, which is one too few.
    assert served == []
    slots.give()
    await asyncio.gather(*tasks)
    assert served == [ONE, TWO, TWO]
    await slots.take(A, ONE, 3)


async def test_a_place_is_not_lost_with_whoever_gives_up_waiting() -> None:
    slots = Slots(1)
    entered = asyncio.Event()

    async def work() -> None:
        async with slots.place(A, ONE):
            entered.set()

    async with slots.place(B, THREE):
        waiting = asyncio.create_task(work())
        later = asyncio.create_task(work())
        await asyncio.sleep(0)
    # Served just now, and cancelled before it could know.
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await later
    assert entered.is_set()


async def test_who_waits_is_turned_away_at_the_end() -> None:
    slots = Slots(1)

    async def work() -> None:
        async with slots.place(A, ONE):
            raise AssertionError("there is no place any more")

    async with slots.place(B, THREE):
        waiting = asyncio.create_task(work())
        await asyncio.sleep(0)
        slots.close()
        with pytest.raises(Closed):
            await waiting
    with pytest.raises(Closed):
        await work()
