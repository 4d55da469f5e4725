"""Whatever is done, in whatever order: members, list_ids and counts agree, and say what was done."""

import itertools
import random

import pytest

from tests.service.contacts.address_book import patch
from tests.service.contacts.test_lists import DISAGREEMENTS, ORPHANS, run_dry


class World:
    """The service, and beside it a plain model of who is on which list."""

    def __init__(self, book, lists, bulk, dice: random.Random) -> None:
        self.book, self.lists, self.bulk, self.dice = book, lists, bulk, dice
        self.numbers = itertools.count()
        self.contacts: list[str] = []
        self.on: dict[str, set[str]] = {}

    def some(self, pool, most: int) -> list[str]:
        return self.dice.sample(sorted(pool), min(len(pool), self.dice.randint(0, most)))

    async def make_contacts(self) -> None:
        rows = await self.bulk.batch(*(patch(external_id=f"c{next(self.numbers)}", tags=["t"]) for _ in range(5)))
        self.contacts += [row.id for row in rows]

    async def make_list(self) -> None:
        self.on[(await self.lists.create()).id] = set()

    async def add(self) -> None:
        listed, named = self.some(self.on, 2), self.some(self.contacts, 12)
        if listed:
            await self.lists.add(listed, named)
            for one in listed:
                self.on[one].update(named)

    async def remove(self) -> None:
        listed, named = self.some(self.on, 2), self.some(self.contacts, 6)
        if listed:
            await self.lists.remove(listed, named)
            for one in listed:
                self.on[one].difference_update(named)

    async def change_named(self) -> None:
        into, out = self.some(self.on, 1), self.some(self.on, 1)
        if into and out and into != out:
            named = self.some(self.contacts, 8)
            await self.bulk.named(named, add_lists=into, remove_lists=out)
            self.on[into[0]].update(named)
            self.on[out[0]].difference_update(named)

    async def delete_contacts(self) -> None:
        for one in self.some(self.contacts, 3):
            await self.book.delete(one)
            self.contacts.remove(one)
            for members in self.on.values():
                members.discard(one)

    async def delete_list(self) -> None:
        for one in self.some(self.on, 1):
            await self.lists.delete(one)
            del self.on[one]

    async def step(self) -> None:
        steps = [
            self.make_contacts, self.make_list, self.add, self.add, self.add, self.remove,
            self.change_named, self.delete_contacts, self.delete_list,
        ]  # fmt: skip
        await self.dice.choice(steps)()


@pytest.mark.parametrize("seed", range(6))
async def test_members_list_ids_and_counts_always_agree(book, lists, bulk, bulk_worker, admin, seed):
    world = World(book, lists, bulk, random.Random(seed))
    await world.make_contacts()
    await world.make_list()
    for _ in range(40):
        await world.step()
        assert await admin.fetch(DISAGREEMENTS, book.account) == []
        if world.dice.random() < 0.3:
            await bulk_worker.run_once()
    if world.on and len(world.contacts) > 10:
        everybody = sorted(world.on)[0]
        await bulk.found({"add_lists": [everybody]}, tag="t")
        world.on[everybody] = set(world.contacts)
    await run_dry(bulk_worker)
    assert await admin.fetch(DISAGREEMENTS, book.account) == []
    assert await admin.fetch(ORPHANS, book.account) == []
    for one, members in world.on.items():
        assert {contact.id for contact in await lists.members(one)} == members
        assert (await lists.get(one)).member_count == len(members)
    for contact in await book.all():
        assert set(contact.lists) == {one for one, members in world.on.items() if contact.id in members}
