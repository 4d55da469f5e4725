"""Whatever may happen to an account, in any order, by a clock that stands still until it is set.

Contacts and engagement change; events come twice, late, and past one another; segments are made, edited and deleted;
builds go on by a step, are killed and taken over; time goes by, whether or not anybody looks. At any moment an
inspection finds nothing out of place, and in the end membership is what the oracle says.
"""

import asyncio
from contextlib import suppress
from random import Random
from typing import Any

import orjson
import pytest
from google.protobuf.message import Message

from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from chassis.errors import FailedPrecondition, InvalidArgument
from services.contacts.domain.contact import WIRE_FIELDS
from services.segments import builds, filling, projection, steps
from services.segments.domain.moments import DAY
from services.segments.evaluation import Evaluator
from services.segments.inspection import inspect
from tests.chaos.segments.dice import Dice
from tests.service.segments.clockwork import Clock, recipient, tell
from tests.service.segments.world import Api, changes, counts_differ, deletions, deliver
from tests.service.stack import new_account
from tests.unit.segments import oracle
from tests.unit.segments.strategies import CAMPAIGNS, NO_ENGAGEMENT, person
from tests.unit.segments.values import NOWS

PEOPLE, SEGMENTS, DEEDS = 12, 8, 80
# Event → what it says when.
TIMES = {
    "sent": "last_message_at",
    "delivered": "last_delivered_at",
    "opened": "last_opened_at",
    "received": "last_replied_at",
}
WIRE = [wire for wire, _ in WIRE_FIELDS]
ALL = "SELECT contact_id, version, snapshot FROM contacts_projection WHERE account_id = $1 ORDER BY contact_id"
LEASES_ARE_OVER = "UPDATE builds SET lease_until = NULL WHERE account_id IS NOT NULL"


class People:
    """Contacts, and what became of messages to them, as they should be known."""

    def __init__(self, rng: Random, dices: list[Dice]) -> None:
        self._rng = rng
        self._dices = dices
        self.contacts: dict[str, contacts_pb2.Contact] = {}
        self.engagement: dict[str, dict[str, Any]] = {}
        self._received: dict[str, set[str]] = {}

    def change(self) -> tuple[str, Message]:
        """Any contact; the event that tells of it."""
        dice, known = self._rng.choice(self._dices), list(self.contacts)
        if not known or (len(known) < PEOPLE and dice.once_in(4)):
            made = self._drawn(dice, ids.encode("cnt", ids.new()), version=1)
            return "contact.created", changes(made)
        contact_id = dice.of(known)
        if dice.once_in(20):
            self.engagement.pop(contact_id, None)
            self._received.pop(contact_id, None)
            return "contact.deleted", deletions(self.contacts.pop(contact_id))
        before = self.contacts[contact_id]
        after = self._drawn(dice, contact_id, version=before.version + 1)
        changed = [wire for wire in WIRE if getattr(before, wire) != getattr(after, wire)]
        if not dice.once_in(3):
            # Most changes are of one field.
            self._rng.shuffle(changed)
            for wire in changed[1:]:
                put(after, wire, before)
            changed = changed[:1]
        return "contact.updated", changes(after, fields=changed)

    def _drawn(self, dice: Dice, contact_id: str, *, version: int) -> contacts_pb2.Contact:
        made = person(dice, contact_id, dice.fields).contact
        made.version = version
        self.contacts[contact_id] = made
        return made

    def engage(self, kind: str, contact_id: str, at: int, campaign: str) -> contacts_pb2.Contact:
        """What a message of that kind says; the recipient that its event tells of."""
        row = self.engagement.setdefault(contact_id, {**NO_ENGAGEMENT})
        known = self._received.setdefault(contact_id, set())
        # Of a message that was told of before, at times.
        message = self._rng.choice([ids.encode("rcp", ids.new()), *sorted(known)])
        row[TIMES[kind]] = at if row[TIMES[kind]] is None else max(at, row[TIMES[kind]])
        if kind in ("delivered", "opened"):
            known.add(message)
            row["messages_received"] = len(known)
        if campaign and kind != "received":
            row["campaigns"] = sorted({*row["campaigns"], campaign})
        return recipient(contact_id, id=message, **{kind: at} if kind in ("sent", "delivered") else {})


def put(contact: contacts_pb2.Contact, wire: str, other: contacts_pb2.Contact) -> None:
    """Give it the other's field."""
    only = type(other).FromString(other.SerializeToString())
    for descriptor, _ in other.ListFields():
        if descriptor.name != wire:
            only.ClearField(descriptor.name)  # type: ignore[arg-type]  # one of its fields
    contact.ClearField(wire)  # type: ignore[arg-type]  # one of its fields
    contact.MergeFrom(only)


class History:
    def __init__(self, seed: int, api: Api, clock: Clock) -> None:
        self.rng = Random(seed)
        self.api, self.clock, self.db, self.account = api, clock, clock.db, api.account
        # Each process has compiled rules of its own.
        self.evaluators = [clock.evaluator, Evaluator(clock.db, clock=clock)]
        self.dices = [Dice(self.rng, clock.now) for _ in range(2)]
        self.people = People(self.rng, self.dices)
        self.rules: dict[str, dict[str, Any]] = {}
        self.on_the_way: list[tuple[str, Message]] = []
        self.claimed: list[builds.Build] = []

    async def deed(self) -> None:
        deeds = [self.change] * 6 + [self.build] * 4 + [self.several] * 4
        deeds += [self.engage, self.edit, self.pass_time, self.look] * 2 + [self.catch_up]
        await self.rng.choice(deeds)()

    async def change(self) -> None:
        for _ in range(self.rng.randint(1, 4)):
            event = self.people.change()
            fate = self.rng.random()
            if fate > 0.15:
                await self.deliver(event)
            if fate < 0.3:
                # Late, or once more.
                self.on_the_way.append(event)

    async def catch_up(self) -> None:
        self.rng.shuffle(self.on_the_way)
        while self.on_the_way and self.rng.random() < 0.8:
            await self.deliver(self.on_the_way.pop())

    async def deliver(self, event: tuple[str, Message]) -> None:
        await deliver(self.rng.choice(self.evaluators), self.account, *event, bulk=self.rng.random() < 0.3)

    async def engage(self) -> None:
        if self.people.contacts:
            kind, contact_id = self.rng.choice(list(TIMES)), self.rng.choice(list(self.people.contacts))
            at = self.rng.choice([self.clock.now, *self.rng.choice(self.dices).times])
            campaign = self.rng.choice(["", *CAMPAIGNS])
            told = self.people.engage(kind, contact_id, at, campaign)
            await tell(self.rng.choice(self.evaluators), self.account, kind, told, campaign=campaign, at=at)

    async def edit(self) -> None:
        verb, dice = self.rng.choice(["create", "create", "edit", "edit", "delete"]), self.rng.choice(self.dices)
        if not self.rules or (verb == "create" and len(self.rules) < SEGMENTS):
            definition = dice.definition(list(self.rules))
            self.rules[(await self.api.create(orjson.dumps(definition).decode())).id] = definition
            return
        segment = self.rng.choice(list(self.rules))
        if verb == "delete":
            with suppress(FailedPrecondition):
                await self.api.delete(segment)
                del self.rules[segment]
            return
        definition = dice.definition([one for one in self.rules if one != segment])
        # A cycle.
        with suppress(InvalidArgument):
            await self.api.update(segment, rule_json=orjson.dumps(definition).decode())
            self.rules[segment] = definition

    async def build(self) -> None:
        if self.rng.random() < 0.2:
            # Killed, or only taken for it.
            self.claimed = self.rng.choice([[], self.claimed])
            async with self.db.across() as tx:
                await tx.execute(LEASES_ARE_OVER)
        claimed = await builds.claim(self.db)
        waiting, self.claimed = [*self.claimed, *([claimed] if claimed else [])], []
        for build in waiting:
            if self.rng.random() < 0.4:
                self.claimed.append(build)
                continue
            with suppress(builds.Lost):
                following = await steps.take(self.db, build, clock=self.clock)
                self.claimed += [following] if following else []

    async def pass_time(self) -> None:
        moments = [at for dice in self.dices for at in dice.times if at > self.clock.now]
        later = [self.clock.now + ahead for ahead in (1, DAY, 28 * DAY)]
        self.clock.now = self.rng.choice([*moments, *later, min(moments, default=self.clock.now)])

    async def look(self) -> None:
        await self.clock.flips.run_once()

    async def several(self) -> None:
        await asyncio.gather(self.change(), self.build(), self.engage(), self.look())

    async def inspect(self) -> None:
        async with self.db.read(self.account, snapshot=True) as tx:
            book = await self.evaluators[0].book(tx, self.account)
            known = [projection.stored(row) for row in await tx.fetch(ALL, self.account)]
            found = await inspect(tx, self.account, book=book, contacts=known, clock=self.clock)
        assert not found.contacts, (found, self.rules, self.clock.now)

    async def come_to_rest(self) -> None:
        for event in self.on_the_way:
            await self.deliver(event)
        await self.clock.build()
        await self.clock.to(self.clock.now)

    async def judge(self) -> None:
        for segment, definition in self.rules.items():
            expected = {
                contact_id
                for contact_id, one in self.people.contacts.items()
                if oracle.holds(definition, one, self.people.engagement.get(contact_id, {}), self.clock.now, self.rules)
            }
            assert await self.api.member_ids(segment) == expected, (definition, self.clock.now)
            assert (await self.api.get(segment)).member_count == len(expected)
        assert await counts_differ(self.db, self.account) == []


async def play(seed: int, api: Api, clock: Clock) -> None:
    clock.now = Random(seed).choice(NOWS)
    history = History(seed, api, clock)
    for _ in range(DEEDS):
        await history.deed()
        if history.rng.random() < 0.3:
            await history.inspect()
    await history.come_to_rest()
    await history.inspect()
    await history.judge()


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(filling, "FIND_ROWS", 5)
    monkeypatch.setattr(filling, "JOIN_ROWS", 2)
    monkeypatch.setattr(steps, "ANNOUNCE_CHUNK", 3)
    monkeypatch.setattr(steps, "SWEEP_CHUNK", 4)


@pytest.mark.parametrize("seed", range(3))
async def test_membership_follows_whatever_happens(api, clock, small_steps, seed):
    await play(seed, api, clock)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_membership_follows_whatever_happens_for_long(api, clock, small_steps):
    first = Random().randrange(10**6)
    for seed in range(first, first + 300):
        print("seed", seed)
        await play(seed, api.of(new_account()), clock)
