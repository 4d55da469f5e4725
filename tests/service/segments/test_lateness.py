"""Changes, messages and the clock in any order, and looks that come late: in the end membership is what the naive
evaluator says of it."""

import random
from collections.abc import Sequence

import orjson
import pytest

from carillon.contacts.v1 import contacts_pb2
from services.segments import contact_facts
from tests.service.segments.clockwork import SECOND, Clock, recipient, stamp, tell
from tests.service.segments.world import changes, contact, counts_differ, deliver, rule
from tests.unit.segments import oracle

HOUR = 3600 * SECOND
# What each reads changes with other changes than what the others read.
RULES = {
    "new": rule(("created_at", "in_last", "20h")),
    "stale": rule(("updated_at", "not_in_last", "6h")),
    "renewing": rule(("metadata.at", "in_next", "8h")),
    "renewed": rule(("metadata.at", "in_last", "12h"), ("tags", "contains", "vip")),
    "opened": rule(("last_opened_at", "in_last", "10h")),
    "quiet": rule(("last_opened_at", "not_in_last", "9h"), ("name", "equals", "Ana")),
}
NAMES = ("Ana", "Ben")
TAGS: Sequence[Sequence[str]] = ([], ["vip"])


class People:
    """Who change, open messages, and are looked at now and then."""

    def __init__(self, clock: Clock, account, dice: random.Random) -> None:
        self.clock, self.account, self.dice = clock, account, dice
        self.contacts = [contact(created_at=stamp(self.moment()), updated_at=stamp(clock.now)) for _ in range(12)]
        self.opened: dict[str, int] = {}

    def moment(self) -> int:
        return self.clock.now + self.dice.randrange(-24 * HOUR, 24 * HOUR)

    def some(self) -> Sequence[contacts_pb2.Contact]:
        return self.dice.sample(self.contacts, self.dice.randrange(1, 4))

    async def are_made(self) -> None:
        await deliver(self.clock.evaluator, self.account, "contact.created", changes(*self.contacts))

    async def change(self) -> None:
        changed = self.some()
        field = self.dice.choice(["name", "tags", "metadata_json"])
        for one in changed:
            one.version += 1
            one.updated_at.CopyFrom(stamp(self.clock.now))
            if field == "name":
                one.name = self.dice.choice(NAMES)
            elif field == "tags":
                one.tags[:] = self.dice.choice(TAGS)
            else:
                at = contact_facts.time_of(self.moment()).isoformat()
                one.metadata_json = orjson.dumps({"at": at}).decode()
        told = changes(*changed, fields=[field, "updated_at"])
        await deliver(self.clock.evaluator, self.account, "contact.updated", told)

    async def open(self) -> None:
        for one in self.some():
            self.opened[one.id] = self.clock.now
            await tell(self.clock.evaluator, self.account, "opened", recipient(one.id), at=self.clock.now)

    async def wait(self) -> None:
        self.clock.now += self.dice.randrange(1, 5 * HOUR)

    async def look(self) -> None:
        await self.clock.flips.run_once()

    def who(self, definition: str) -> set[str]:
        def engagement(one: contacts_pb2.Contact) -> dict[str, int]:
            return {"last_opened_at": self.opened[one.id]} if one.id in self.opened else {}

        written = orjson.loads(definition)
        return {one.id for one in self.contacts if oracle.holds(written, one, engagement(one), self.clock.now, {})}


@pytest.mark.parametrize("seed", range(6))
async def test_membership_is_right_however_late_the_clock_is_looked_at(api, clock, segment, account, work_db, seed):
    people = People(clock, account, random.Random(seed))
    made = {name: await segment(written) for name, written in RULES.items()}
    await people.are_made()
    for _ in range(40):
        await people.dice.choice([people.change, people.change, people.open, people.wait, people.look])()

    await clock.to(clock.now)

    for name, written in RULES.items():
        assert await api.member_ids(made[name]) == people.who(written), name
    assert await counts_differ(work_db, account) == []
