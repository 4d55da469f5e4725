"""Segments created, edited and deleted at the very moment at which contacts change."""

import asyncio
import random
from functools import partial

import orjson
import pytest
from google.protobuf.message import Message

from chassis import ids
from services.segments import builder, builds, filling, locks, projection, repository, rulebooks, steps
from services.segments.consumers import decode
from services.segments.evaluation import Evaluator
from tests.service.segments.world import changes, contact, counts_differ, deletions, deliver, received, rule
from tests.service.stack import eventually
from tests.unit.segments import oracle

pytestmark = pytest.mark.usefixtures("nothing_left_to_build")

TAGS = ["red", "green", "blue"]
CONTACTS = 40
ROUNDS = 60


def tagged(*tags):
    return rule(*(("tags", "contains", tag) for tag in tags))


class Address:
    """The contacts as they are, and the events that tell of them, out of order and more than once."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.people = [contact(0, tags=[]) for _ in range(CONTACTS)]
        self.gone = set()

    def change(self, count):
        events: list[tuple[str, Message]] = []
        for place in self.random.sample(range(CONTACTS), count):
            if place in self.gone:
                continue
            one = self.people[place]
            if self.random.random() < 0.03:
                self.gone.add(place)
                events.append(("contact.deleted", deletions(one)))
                continue
            tags = self.random.sample(TAGS, self.random.randint(0, 3))
            self.people[place] = contact(one.version + 1, id=one.id, tags=tags)
            events.append(("contact.updated", changes(self.people[place], fields=["tags"])))
        events += self.random.sample(events, len(events) // 3)
        self.random.shuffle(events)
        return events

    def matching(self, definition):
        return {
            one.id
            for place, one in enumerate(self.people)
            if place not in self.gone and oracle.holds(orjson.loads(definition), one, {}, 0, {})
        }


async def test_no_update_is_lost_to_a_segment_that_changes(api, builder, work_db, account, monkeypatch):
    monkeypatch.setattr(filling, "FIND_ROWS", 7)
    monkeypatch.setattr(filling, "JOIN_ROWS", 3)
    monkeypatch.setattr(steps, "ANNOUNCE_CHUNK", 5)
    seed = random.randrange(10**6)
    print("seed", seed)
    address = Address(seed)
    # Two processes' worth: each has compiled rules of its own, which go stale by the other's doing.
    evaluators = [Evaluator(work_db), Evaluator(work_db)]
    rules: dict[str, str] = {}

    async def evaluate(evaluator, *, bulk):
        for _ in range(ROUNDS):
            for event_type, message in address.change(6):
                await deliver(evaluator, account, event_type, message, bulk=bulk)

    async def edit():
        choice = random.Random(seed + 1)
        for _ in range(ROUNDS // 2):
            verb = choice.choice(["create", "create", "edit", "edit", "delete"])
            definition = tagged(*choice.sample(TAGS, choice.randint(1, 2)))
            if verb == "create" or not rules:
                rules[(await api.create(definition)).id] = definition
            elif verb == "edit":
                segment = choice.choice(list(rules))
                await api.update(segment, rule_json=definition)
                rules[segment] = definition
            else:
                segment = choice.choice(list(rules))
                await api.delete(segment)
                del rules[segment]

    await asyncio.gather(evaluate(evaluators[0], bulk=False), evaluate(evaluators[1], bulk=True), edit())

    for segment, definition in rules.items():
        await eventually(partial(api.is_ready, segment))
        assert await api.member_ids(segment) == address.matching(definition)
        assert (await api.get(segment)).member_count == len(address.matching(definition))
    assert await counts_differ(work_db, account) == []


async def test_rules_are_never_evaluated_from_an_older_generation(api, work_db, account):
    """A change is held back until the segment's creation commits, and then sees it; without any backfill."""
    evaluator = Evaluator(work_db)
    ana = contact(tags=["red"])
    await deliver(evaluator, account, "contact.created", changes(contact()))

    async with work_db.write(account) as tx:
        await locks.exclude(tx, account)
        delivering = asyncio.create_task(deliver(evaluator, account, "contact.created", changes(ana)))

        async def waits():
            return await tx.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND mode = 'ShareLock'"
            )

        await eventually(waits)
        assert not delivering.done()
        await create_by_hand(tx)
    await delivering

    async with work_db.read(account) as tx:
        assert await tx.fetchval("SELECT count(*) FROM members WHERE account_id = $1", account) == 1


async def create_by_hand(tx):
    segment, build = ids.new(), ids.new()
    await repository.insert(tx, segment, name="Red", build=build)
    await repository.insert_build(tx, build, segment=segment, definition=tagged("red"), inlined={})
    await rulebooks.advance(tx)


async def test_filling_waits_for_a_change_under_way(api, work_db, account, monkeypatch):
    """What a transaction that is not committed yet makes of a contact counts, not what was there before it."""
    # More than a step's worth, of which two would be taken if nobody evaluated.
    monkeypatch.setattr(filling, "JOIN_ROWS", 1)
    ana, ben = contact(tags=["red"]), contact(tags=["red"])
    await deliver(Evaluator(work_db), account, "contact.created", changes(ana, ben))
    segment = await api.create(tagged("red"))
    build = await builds.claim(work_db)
    assert build is not None
    untagged = decode(received("contact.updated", changes(contact(2, id=ana.id), fields=["tags"])))

    async with work_db.write(account) as tx:
        await locks.share(tx, account)
        assert len(await projection.upsert(tx, untagged)) == 1
        waiting = asyncio.create_task(steps.take(work_db, build))

        async def waits_or_is_done():
            blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
            return waiting.done() or await tx.fetchval(blocked)

        await eventually(waits_or_is_done)
    build = await waiting
    assert build is not None
    await builder.work(work_db, build)

    assert await api.member_ids(segment.id) == {ben.id}
    assert await counts_differ(work_db, account) == []
