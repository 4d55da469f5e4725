"""Events in, membership out: through NATS, the consumers and the database."""

import asyncio

import pytest

from carillon.segments.v1 import segments_pb2 as pb
from tests.service.segments.world import (
    changes,
    contact,
    counts_differ,
    deletions,
    deliver,
    events_of,
    rule,
    segment_steps,
)
from tests.service.stack import eventually


@pytest.fixture
async def premium(api, worker):
    """A segment that is built and empty."""
    segment = await api.create()
    await eventually(lambda: api.is_ready(segment.id))
    return segment.id


async def becomes(api, segment_id, *expected):
    async def probe():
        return await api.member_ids(segment_id) == {one.id for one in expected}

    await eventually(probe)


@pytest.mark.parametrize("bulk", [False, True])
async def test_a_created_contact_with_the_tag_becomes_a_member(api, contacts, premium, bulk):
    ana, ben = contact(tags=["Premium"], name="Ana", phone="+14155552671"), contact(tags=["basic"])

    await contacts.created(ana, ben, bulk=bulk)

    await becomes(api, premium, ana)
    [member] = await api.members(premium)
    assert member.contact == ana
    assert member.joined_at.seconds > 0
    assert (await api.get(premium)).member_count == 1
    assert await api.segments_of(ana.id) == [premium]


async def test_membership_follows_the_tag(api, contacts, premium):
    ana = contact()
    await contacts.created(ana)
    tagged = contact(2, id=ana.id, tags=["premium"])
    await contacts.updated(tagged)
    await becomes(api, premium, tagged)

    await contacts.updated(contact(3, id=ana.id, tags=[]))

    await becomes(api, premium)
    assert await api.segments_of(ana.id) == []


async def test_a_deleted_contact_leaves_and_leaves_nothing_behind(api, contacts, premium, work_db, account):
    ana = contact(tags=["premium"], name="Ana")
    await contacts.created(ana)
    await becomes(api, premium, ana)

    await contacts.deleted(ana)

    await becomes(api, premium)
    async with work_db.read(account) as tx:
        row = await tx.fetchrow("SELECT * FROM contacts_projection WHERE account_id = $1", account)
    assert (row["deleted"], row["version"], row["snapshot"], row["name"], row["tags"]) == (True, 2, None, None, None)


async def test_who_is_deleted_leaves_a_segment_of_those_who_lack_something(worker, account, api):
    """Nothing is known of a deleted contact, and so a rule that asks for nothing would hold for it."""
    segment = await api.create(rule(("tags", "not_contains", "premium")))
    await eventually(lambda: api.is_ready(segment.id))
    bob = contact()
    await deliver(worker, account, "contact.created", changes(bob))
    assert await api.member_ids(segment.id) == {bob.id}

    await deliver(worker, account, "contact.deleted", deletions(bob))

    assert await api.members(segment.id) == []


async def test_an_event_that_comes_after_the_deletion_does_not_raise_the_dead(worker, account, api, premium):
    ana = contact(tags=["premium"])
    await deliver(worker, account, "contact.deleted", deletions(ana))

    await deliver(worker, account, "contact.created", changes(ana))

    assert await api.members(premium) == []


async def test_out_of_order_and_repeated_events_end_in_the_newest_state(worker, account, api, premium, work_db):
    ana = contact(1)
    versions = [changes(contact(n, id=ana.id, tags=["premium"] if n % 2 else []), fields=["tags"]) for n in range(1, 6)]

    for n in (3, 0, 4, 1, 4, 2, 0):
        await deliver(worker, account, "contact.updated", versions[n])

    assert await api.member_ids(premium) == {ana.id}
    assert await counts_differ(work_db, account) == []


async def test_a_skipped_version_is_evaluated_in_full(worker, account, api, premium):
    """Version 2 brought the tag and is lost so far; version 3 says that it changed the stage only."""
    ana = contact(1)
    await deliver(worker, account, "contact.created", changes(ana))

    tagged = contact(3, id=ana.id, tags=["premium"], stage="lead")
    await deliver(worker, account, "contact.updated", changes(tagged, fields=["stage"]))

    assert await api.member_ids(premium) == {ana.id}


async def test_a_change_that_no_rule_reads_is_projected_and_not_evaluated(worker, account, api, premium):
    ana = contact(1, tags=["premium"])
    await deliver(worker, account, "contact.created", changes(ana))
    # A rule would see that the tag is gone; but the event says that only the stage changed.
    staged = contact(2, id=ana.id, stage="lead")

    await deliver(worker, account, "contact.updated", changes(staged, fields=["stage"]))

    [member] = await api.members(premium)
    assert member.contact == staged


async def test_an_import_joins_in_batches_told_in_the_bulk_lane(api, contacts, premium, work_db, account):
    people = [contact(tags=["premium"] if n % 2 else []) for n in range(1200)]
    for start in range(0, 1200, 400):
        await contacts.created(*people[start : start + 400], bulk=True)

    async def all_in():
        return (await api.get(premium)).member_count == 600

    await eventually(all_in)
    assert await counts_differ(work_db, account) == []
    told = await events_of(work_db, account, "segment.members_changed")
    assert all(row["bulk"] for row in told)
    events = segment_steps(told)
    assert sum(len(event.joined) for event in events) == 600
    assert [event.revision for event in events] == sorted({event.revision for event in events})


async def test_events_tell_each_step_with_rising_revisions(worker, account, api, premium, work_db):
    ana = contact(1)
    for version, tags in enumerate([["premium"], [], ["premium"]], start=1):
        changed = changes(contact(version, id=ana.id, tags=tags), fields=["tags"])
        await deliver(worker, account, "contact.updated", changed)

    told = await events_of(work_db, account, "segment.members_changed")
    events = segment_steps(told)
    assert [(len(e.joined), len(e.left)) for e in events] == [(1, 0), (0, 1), (1, 0)]
    steps = [step for e in events for step in (*e.joined, *e.left)]
    assert [step.contact_id for step in steps] == [ana.id] * 3
    revisions = [step.membership_revision for step in steps]
    assert revisions == sorted(set(revisions))
    assert {e.segment_id for e in events} == {premium}
    assert not any(row["bulk"] for row in told)
    page = await api.call("ListMembers", pb.ListMembersRequest(segment_id=premium))
    assert page.revision == revisions[-1]


async def test_the_two_lanes_move_one_contact_at_once_and_the_newest_wins(worker, account, api, premium, work_db):
    people = [contact(1) for _ in range(300)]
    old = changes(*(contact(2, id=p.id, tags=["premium"]) for p in people), fields=["tags"])
    new = changes(*(contact(3, id=p.id, tags=[]) for p in reversed(people)), fields=["tags"])

    await asyncio.gather(
        deliver(worker, account, "contact.updated", old, bulk=True),
        deliver(worker, account, "contact.updated", new),
        deliver(worker, account, "contact.created", changes(*people), bulk=True),
    )

    assert await api.members(premium) == []
    assert await counts_differ(work_db, account) == []


async def test_a_poisoned_event_does_not_hold_up_the_others(api, contacts, premium, nats):
    ana = contact(tags=["premium"])
    await contacts.created(contact(id="cnt_broken"))

    await contacts.created(ana)

    await becomes(api, premium, ana)

    async def buried():
        return (await nats.jetstream.stream_info("DEAD")).state.messages == 1

    await eventually(buried)
