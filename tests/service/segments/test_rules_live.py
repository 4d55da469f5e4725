"""Live changes: only the rules that read what changed are matched, and rules as large as they may be."""

import itertools
from typing import Any

import orjson
import pytest

from carillon.contacts.v1 import contacts_pb2
from chassis.errors import InvalidArgument, Reason
from tests.service.segments.clockwork import stamp
from tests.service.segments.world import changes, contact, counts_differ, deliver, leaf, rule, tree

LIST = "lst_01h455vb4pex5vsknk084sn02q"


# Of whom every rule below holds.
WHOLE: dict[str, Any] = {
    "name": "Ana",
    "email": "ana@example.com",
    "tags": ["vip"],
    "lists": [LIST],
    "created_at": stamp("2026-02-01"),
    "updated_at": stamp("2026-02-02"),
    "preferences": {"sms": contacts_pb2.PREFERENCE_OPTED_IN},
    "email_validity": contacts_pb2.VALIDITY_VALID,
    "metadata_json": orjson.dumps({"plan": "gold"}).decode(),
    "current_campaign_data_json": orjson.dumps({"step": 1}).decode(),
}


def whole(version=1, *, id=""):
    return contact(version, id=id, **WHOLE)


# The rule, and what a change must name so that the rule is matched.
READS = {
    "name": (("name", "equals", "ana"), {"name", "first_name", "last_name"}),
    "email": (("email", "exists"), {"email"}),
    "tags": (("tags", "contains", "vip"), {"tags"}),
    "lists": (("lists", "contains", LIST), {"lists"}),
    "preferences": (("preferences.sms", "equals", "opted_in"), {"preferences"}),
    "other-preferences": (("preferences.email", "equals", "unknown"), {"preferences"}),
    "validity": (("validity.email", "equals", "valid"), {"email_validity"}),
    "metadata": (("metadata.plan", "equals", "gold"), {"metadata_json"}),
    "campaign-data": (("current_campaign_data.step", "equals", 1), {"current_campaign_data_json"}),
}
NAMES = sorted(set().union(*(reads for _, reads in READS.values())) | {"stage"})


async def damage(db, account):
    """Take the contacts out of everything by hand: whatever is matched puts them back."""
    async with db.write(account) as tx:
        await tx.execute("DELETE FROM members WHERE account_id = $1", account)
        await tx.execute("UPDATE builds SET members = 0 WHERE account_id = $1", account)


@pytest.mark.parametrize("field", list(READS))
async def test_a_rule_is_matched_where_what_it_reads_changed(api, clock, segment, account, work_db, field):
    condition, reads = READS[field]
    made, beside = await segment(rule(condition)), await segment(rule(("email", "ends_with", ".com")))
    ana = whole()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    assert await api.segments_of(ana.id) == [beside, made]
    healed = set()

    for version, name in enumerate(NAMES, start=2):
        await damage(work_db, account)
        await deliver(clock.evaluator, account, "contact.updated", changes(whole(version, id=ana.id), fields=[name]))
        if made in await api.segments_of(ana.id):
            healed.add(name)
        assert (beside in await api.segments_of(ana.id)) == (name == "email")

    assert healed == reads
    assert await counts_differ(work_db, account) == []


@pytest.mark.parametrize(
    "condition", [("updated_at", "exists"), ("created_at", "in_last", "52w"), ("version", "gte", 1)], ids=lambda c: c[0]
)
async def test_what_changes_with_every_version_is_always_matched(api, clock, segment, account, work_db, condition):
    made = await segment(rule(condition))
    ana = whole()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    await damage(work_db, account)

    await deliver(clock.evaluator, account, "contact.updated", changes(whole(2, id=ana.id), fields=["stage"]))

    assert await api.segments_of(ana.id) == [made]


@pytest.mark.parametrize("how", ["unnamed", "skipped", "repeated-and-newer"])
async def test_where_it_is_not_known_what_changed_everything_is_matched(api, clock, segment, account, work_db, how):
    made = await segment(rule(("tags", "contains", "vip")))
    ana = whole()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    await damage(work_db, account)
    told = {
        "unnamed": changes(whole(2, id=ana.id)),
        "skipped": changes(whole(3, id=ana.id), fields=["stage"]),
        "repeated-and-newer": changes(whole(2, id=ana.id), whole(3, id=ana.id), fields=["stage"]),
    }[how]

    await deliver(clock.evaluator, account, "contact.updated", told)

    assert await api.segments_of(ana.id) == [made]


async def test_one_that_is_not_known_in_a_batch_has_all_rules_matched(api, clock, segment, account, work_db):
    made = await segment(rule(("tags", "contains", "vip")))
    ana, ben = whole(), whole()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    batch = changes(whole(2, id=ana.id), fields=["stage"])
    batch.changes.extend(changes(ben).changes)

    await deliver(clock.evaluator, account, "contact.updated", batch)

    assert await api.member_ids(made) == {ana.id, ben.id}


async def test_membership_follows_each_field(api, clock, segment, account, work_db):
    """In by the value and out when it goes, told by the name that it has in events."""
    examples = {
        "metadata_json": rule(("metadata.plan", "equals", "gold")),
        "current_campaign_data_json": rule(("current_campaign_data.step", "gt", 0)),
        "lists": rule(("lists", "contains", LIST)),
        "preferences": rule(("preferences.sms", "not_equals", "unknown")),
        "email_validity": rule(("validity.email", "equals", "valid")),
        "tags": rule(("tags", "contains_any", ["vip", "x"])),
        "name": rule(("name", "starts_with", "a")),
    }
    made = {name: await segment(written) for name, written in examples.items()}
    ana = contact()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    has: dict[str, Any] = {}
    inside: set[str] = set()
    versions = itertools.count(2)

    for turn in ("in", "out"):
        for name, segment_id in made.items():
            has = {**has, name: WHOLE[name]} if turn == "in" else {key: has[key] for key in has if key != name}
            now = contact(next(versions), id=ana.id, **has)

            await deliver(clock.evaluator, account, "contact.updated", changes(now, fields=[name]))

            inside ^= {segment_id}
            assert set(await api.segments_of(ana.id)) == inside
    assert inside == set()
    assert await counts_differ(work_db, account) == []


def deep(depth, inner):
    """Groups within groups around the innermost."""
    node = inner
    for level in range(depth):
        node = {"all": [node]} if level % 2 else {"any": [node, leaf("tags", "contains", f"level {level}")]}
    return node


async def test_a_rule_eight_deep_with_a_hundred_conditions(api, clock, segment, account):
    """Groups to the depth that is allowed; built, and kept live."""
    many = [leaf("metadata.n", "equals", n) for n in range(96)]
    written = tree(deep(7, {"any": many}))
    before, ben = contact(metadata_json='{"n": 95}'), contact(metadata_json='{"n": 96}')
    await deliver(clock.evaluator, account, "contact.created", changes(before, ben))

    made = await segment(written)

    assert await api.member_ids(made) == {before.id}
    ana, cleo = contact(metadata_json='{"n": 0}'), contact(tags=["Level 6"])
    await deliver(clock.evaluator, account, "contact.created", changes(ana, cleo))
    assert await api.member_ids(made) == {before.id, ana.id, cleo.id}
    assert (await api.get(made)).rule_json == written


@pytest.mark.parametrize(
    ("written", "pointers"),
    [
        (rule(*[("tags", "contains", f"{n}") for n in range(101)]), ["/conditions"]),
        (
            tree({"all": [{"any": [leaf("tags", "exists")] * 50}] * 2 + [leaf("stage", "exists")] * 3}),
            ["/rules/all/2"],
        ),
        (tree(deep(9, leaf("tags", "exists"))), ["/rules/any/0/all/0/any/0/all/0/any/0/all/0/any/0/all/0"]),
        (tree({"not": leaf("created_at", "in_last", "a month")}), ["/rules/not/value"]),
        (
            tree({"any": [leaf("colour", "exists"), leaf("name", "gt", 1)]}),
            ["/rules/any/0/field", "/rules/any/1/operator"],
        ),
    ],
    ids=["101-conditions", "101-in-groups", "nine-deep", "duration", "field-and-operator"],
)
async def test_what_is_too_much_or_wrong_is_refused_at_its_place(api, written, pointers):
    with pytest.raises(InvalidArgument) as caught:
        await api.create(written)

    assert caught.value.reason == Reason.INVALID_RULE
    assert [violation.pointer for violation in caught.value.violations] == pointers


async def test_contacts_with_ids_by_name(api, clock, segment, account):
    ana, ben = contact(), contact()
    by_id = rule(("id", "in", [ana.id.upper(), ben.id]))
    live = await segment(by_id)

    await deliver(clock.evaluator, account, "contact.created", changes(ana, contact(), ben))

    assert await api.member_ids(live) == {ana.id, ben.id}
    assert await api.member_ids(await segment(by_id)) == {ana.id, ben.id}
