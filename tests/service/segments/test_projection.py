"""The copy of the contacts: whatever way their versions come, its columns are what the newest says."""

import random

import orjson

from carillon.contacts.v1 import contacts_pb2
from services.segments import projection
from services.segments.consumers import changed
from services.segments.evaluation import highest_versions
from tests.service.segments.world import changes, contact

PEOPLE, ROUNDS, BATCH = 30, 40, 12
CHOICES = {
    "name": ["Ana", "Ben Ö", ""],
    "stage": ["lead", ""],
    "tags": [["Red"], ["Red", 'a"b'], []],
    "lists": [["lst_1"], []],
    "metadata_json": ['{"age": 30, "plan": "Gold"}', '{"age": "31"}', ""],
    "current_campaign_data_json": ['{"step": [1, 2]}', ""],
    "is_bot_active": [True, False],
    "do_not_disturb": [True, False],
    "phone_validity": [contacts_pb2.VALIDITY_VALID, contacts_pb2.VALIDITY_UNSPECIFIED],
    "preferences": [{"sms": contacts_pb2.PREFERENCE_OPTED_OUT}, {"email": contacts_pb2.PREFERENCE_OPTED_IN}, {}],
}


def next_version(dice: random.Random, before: contacts_pb2.Contact) -> tuple[contacts_pb2.Contact, list[str]]:
    """The contact with some of its fields replaced, and which."""
    fields = dice.sample(list(CHOICES), dice.randint(1, 3))
    after = contacts_pb2.Contact()
    after.CopyFrom(before)
    after.version += 1
    after.updated_at.FromSeconds(1_800_000_000 + dice.randrange(10**6))
    for name in fields:
        after.ClearField(name)
        after.MergeFrom(contacts_pb2.Contact(**{name: dice.choice(CHOICES[name])}))
    return after, fields


def told(dice: random.Random, people: list[contacts_pb2.Contact]) -> list[projection.ContactVersion]:
    """A batch of events: next versions, with one left out at times, or told of twice, or without what changed."""
    batch = []
    for place in dice.sample(range(len(people)), BATCH):
        after, fields = next_version(dice, people[place])
        if dice.random() < 0.1:
            after, more = next_version(dice, after)
            # Of the version between nothing was heard.
            fields = more
        people[place] = after
        known = [] if dice.random() < 0.05 else [*fields, "updated_at"]
        batch += [changed(one, created=False) for one in changes(after, fields=known).changes] * dice.randint(1, 2)
    return highest_versions(batch)


async def test_the_columns_are_what_the_newest_version_says(work_db, account):
    seed = random.randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    people = [contact(name="Ana", tags=["Red"], metadata_json=orjson.dumps({"n": n}).decode()) for n in range(PEOPLE)]
    for start in range(0, PEOPLE, 2):
        async with work_db.write(account) as tx:
            # Half of them are told of by a change only, as when their creation was lost.
            await projection.upsert(tx, [changed(one, created=True) for one in changes(people[start]).changes])

    for _ in range(ROUNDS):
        before = {one.id: one.version for one in people}
        batch = told(dice, people)
        async with work_db.write(account) as tx:
            written = await projection.upsert(tx, batch)
            again = await projection.upsert(tx, batch)
            there = await projection.hold(tx, [one.contact_id for one in batch])
            assert again == {}
            assert {one.public_id: one.version for one in there} == {one.public_id: one.version for one in batch}
            assert await projection.differing(tx, account, there) == frozenset()
        assert written.keys() == {one.contact_id for one in batch}
        for one in batch:
            assert written[one.contact_id] in (before[one.public_id], None)
