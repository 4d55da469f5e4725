"""Making members from a rule: the first time, after an edit, through a kill, beside live changes."""

import asyncio

import pytest

from carillon.segments.v1 import segments_pb2 as pb
from chassis import ids
from chassis.errors import DeadlineExceeded, NotFound, Unavailable
from services.segments import builder, builds, filling, service, steps
from services.segments.builds import State
from services.segments.evaluation import Evaluator
from tests.service.segments.world import (
    PREMIUM,
    changes,
    contact,
    counts_differ,
    deliver,
    events_of,
    rule,
    segment_steps,
)
from tests.service.stack import eventually

pytestmark = pytest.mark.usefixtures("nothing_left_to_build")

VIP = rule(("tags", "contains", "vip"))


@pytest.fixture
def evaluator(work_db):
    """Events are delivered by hand and nothing builds by itself, where a test does not ask for `builder`."""
    return Evaluator(work_db)


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(filling, "FIND_ROWS", 10)
    monkeypatch.setattr(filling, "JOIN_ROWS", 4)
    monkeypatch.setattr(steps, "ANNOUNCE_CHUNK", 7)
    monkeypatch.setattr(steps, "SWEEP_CHUNK", 9)


async def fill_account(evaluator, account, count=50, *, tags=("premium",)):
    people = [contact(tags=tags if n % 2 else ["basic"]) for n in range(count)]
    await deliver(evaluator, account, "contact.created", changes(*people), bulk=True)
    return {one.id for one in people if list(one.tags) == list(tags)}


async def take_over(db):
    """Claim the next build as if every other worker had been killed long ago."""
    async with db.across() as tx:
        await tx.execute("UPDATE builds SET lease_until = now() - interval '1 s' WHERE account_id IS NOT NULL")
    return await builds.claim(db)


async def build_of(db, account, state):
    """The account's build in a state, as the tables have it."""
    async with db.read(account) as tx:
        return await tx.fetchrow("SELECT * FROM builds WHERE account_id = $1 AND state = $2", account, state)


async def finish(db):
    """Work until there is nothing left to do."""
    while build := await take_over(db):
        await builder.work(db, build)


async def test_a_new_segment_is_filled_from_what_is_there(api, evaluator, account, builder, small_steps, work_db):
    expected = await fill_account(evaluator, account)

    segment = await api.create()

    assert segment.status == pb.SEGMENT_STATUS_BUILDING
    await eventually(lambda: api.is_ready(segment.id))
    assert await api.member_ids(segment.id) == expected
    assert (await api.get(segment.id)).member_count == len(expected)
    await eventually(lambda: build_of(work_db, account, "serving"))
    told = await events_of(work_db, account, "segment.members_changed")
    events = segment_steps(told)
    assert {step.contact_id for event in events for step in event.joined} == expected
    assert {event.revision for event in events} == {1}


async def test_nothing_shows_before_the_build_is_whole(api, evaluator, account, small_steps, work_db):
    await fill_account(evaluator, account)
    segment = await api.create()
    build = await take_over(work_db)

    await steps.take(work_db, build)

    assert (await build_of(work_db, account, "building"))["members"] > 0
    assert await api.members(segment.id) == []
    assert (await api.get(segment.id)).member_count == 0


async def test_a_killed_worker_is_resumed_and_fenced(api, evaluator, account, small_steps, work_db):
    expected = await fill_account(evaluator, account)
    segment = await api.create()
    killed = await take_over(work_db)
    stale = await steps.take(work_db, killed)
    assert stale is not None

    resumed = await take_over(work_db)

    assert resumed is not None
    assert resumed.position == stale.position
    with pytest.raises(builds.Lost):
        await steps.take(work_db, stale)
    await builder.work(work_db, resumed)
    assert await api.member_ids(segment.id) == expected
    assert await counts_differ(work_db, account) == []


async def test_a_lease_keeps_others_away(api, account, work_db):
    await api.create()
    mine = await take_over(work_db)

    others = [await builds.claim(work_db) for _ in range(3)]

    assert mine is not None
    assert others == [None, None, None]


async def test_live_changes_reach_a_build_under_way(api, evaluator, account, small_steps, work_db):
    """On both sides of the position that the filling has reached."""
    people = [contact(tags=["premium"] if n % 2 else []) for n in range(40)]
    await deliver(evaluator, account, "contact.created", changes(*people))
    segment = await api.create()
    build = await take_over(work_db)
    await steps.take(work_db, build)

    first, last = people[1], people[-1]
    await deliver(
        evaluator,
        account,
        "contact.updated",
        changes(
            contact(2, id=first.id, tags=[]),
            contact(2, id=people[0].id, tags=["premium"]),
            contact(2, id=last.id, tags=[]),
            contact(2, id=people[-2].id, tags=["premium"]),
            fields=["tags"],
        ),
    )
    await finish(work_db)

    expected = {one.id for one in people if list(one.tags)} - {first.id, last.id} | {people[0].id, people[-2].id}
    assert await api.member_ids(segment.id) == expected
    assert await counts_differ(work_db, account) == []


async def test_after_an_edit_the_old_membership_is_served_until_the_new_is_whole(
    api, evaluator, account, small_steps, work_db
):
    both = contact(tags=["premium", "vip"])
    await deliver(evaluator, account, "contact.created", changes(both))
    old = await fill_account(evaluator, account) | {both.id}
    new = await fill_account(evaluator, account, tags=("vip",)) | {both.id}
    segment = await api.create()
    await finish(work_db)
    joined_at = {member.contact.id: member.joined_at for member in await api.members(segment.id)}

    edited = await api.update(segment.id, rule_json=VIP)
    build = await take_over(work_db)
    await steps.take(work_db, build)

    assert (edited.status, edited.rule_json) == (pb.SEGMENT_STATUS_BUILDING, VIP)
    assert await api.member_ids(segment.id) == old
    await finish(work_db)
    assert await api.member_ids(segment.id) == new
    assert (await api.get(segment.id)).member_count == len(new)
    [stayed] = [member for member in await api.members(segment.id) if member.contact.id == both.id]
    assert stayed.joined_at == joined_at[both.id]
    assert await counts_differ(work_db, account) == []


async def test_who_joins_the_new_build_by_a_change_keeps_when_it_joined(api, evaluator, account, work_db):
    both = contact(tags=["premium", "vip"])
    await deliver(evaluator, account, "contact.created", changes(both))
    segment = await api.create()
    await finish(work_db)
    [before] = await api.members(segment.id)
    await api.update(segment.id, rule_json=VIP)

    changed = contact(2, id=both.id, tags=["premium", "vip", "eu"])
    await deliver(evaluator, account, "contact.updated", changes(changed, fields=["tags"]))

    assert (await build_of(work_db, account, "building"))["members"] == 1
    await finish(work_db)
    [after] = await api.members(segment.id)
    assert after.joined_at == before.joined_at


async def test_an_edit_tells_what_differs_and_sweeps_the_old(api, evaluator, account, small_steps, work_db):
    old = await fill_account(evaluator, account)
    segment = await api.create()
    await finish(work_db)
    new = await fill_account(evaluator, account, tags=("vip",))
    before = len(await events_of(work_db, account, "segment.members_changed"))

    await api.update(segment.id, rule_json=VIP)
    await finish(work_db)

    told = (await events_of(work_db, account, "segment.members_changed"))[before:]
    events = segment_steps(told)
    assert {step.contact_id for event in events for step in event.joined} == new
    assert {step.contact_id for event in events for step in event.left} == old
    async with work_db.read(account) as tx:
        assert await tx.fetchval("SELECT count(*) FROM members WHERE account_id = $1", account) == len(new)
        assert await tx.fetchval("SELECT count(*) FROM builds WHERE account_id = $1", account) == 1


async def test_live_steps_while_the_cut_is_being_told(api, evaluator, account, small_steps, work_db):
    """Following the events by their revisions ends where the members are, in whatever order they come."""
    members = sorted(await fill_account(evaluator, account))
    segment = await api.create()
    build = await take_over(work_db)
    while build.state is State.BUILDING:
        build = await steps.take(work_db, build)
    build = await steps.take(work_db, build)

    gone = [contact(2, id=members[0]), contact(2, id=members[-1])]
    newcomer = contact(tags=["premium"])
    await deliver(evaluator, account, "contact.updated", changes(*gone, fields=["tags"]))
    await deliver(evaluator, account, "contact.created", changes(newcomer))
    await finish(work_db)

    assert await followed(work_db, account) == await api.member_ids(segment.id)
    assert newcomer.id in await api.member_ids(segment.id)
    told = segment_steps(await events_of(work_db, account, "segment.members_changed"))
    joined = [step.contact_id for event in told for step in event.joined]
    # Who joined after the cut was told of then, and is not told of with it.
    assert joined.count(newcomer.id) == 1


async def followed(db, account):
    """The members as a subscriber knows them that keeps the step with the highest revision of each contact."""
    state: dict[str, tuple[int, bool]] = {}
    for event in reversed(segment_steps(await events_of(db, account, "segment.members_changed"))):
        for inside, told in ((True, event.joined), (False, event.left)):
            for step in told:
                known = state.get(step.contact_id, (0, False))
                state[step.contact_id] = max(known, (step.membership_revision, inside))
    return {contact_id for contact_id, (_, inside) in state.items() if inside}


async def test_a_second_edit_supersedes_the_first(api, evaluator, account, small_steps, work_db):
    await fill_account(evaluator, account)
    vips = await fill_account(evaluator, account, tags=("vip",))
    segment = await api.create()
    first = await take_over(work_db)
    await steps.take(work_db, first)

    await api.update(segment.id, rule_json=rule(("tags", "contains", "none")))
    await api.update(segment.id, rule_json=VIP)

    with pytest.raises(builds.Lost):
        await steps.take(work_db, first)
    await finish(work_db)
    assert await api.member_ids(segment.id) == vips
    assert (await api.get(segment.id)).version == 3


async def test_a_deleted_segment_is_swept_away_and_its_build_stops(api, evaluator, account, small_steps, work_db):
    await fill_account(evaluator, account)
    segment = await api.create()
    build = await take_over(work_db)
    await steps.take(work_db, build)

    await api.delete(segment.id)

    with pytest.raises(builds.Lost):
        await steps.take(work_db, build)
    await finish(work_db)
    with pytest.raises(NotFound):
        await api.get(segment.id)
    async with work_db.read(account) as tx:
        assert await tx.fetchval("SELECT count(*) FROM members WHERE account_id = $1", account) == 0
        assert await tx.fetchval("SELECT count(*) FROM builds WHERE account_id = $1", account) == 0


async def test_a_new_segment_does_not_wait_for_what_is_left_of_an_old_one(
    api, evaluator, account, small_steps, work_db
):
    await fill_account(evaluator, account)
    old = await api.create()
    await finish(work_db)
    await api.delete(old.id)
    swept = await take_over(work_db)
    new = await api.create(VIP)

    await builder.work(work_db, swept)
    following = await builds.claim(work_db)

    assert following is not None
    assert (swept.state, following.state) == (State.RETIRED, State.BUILDING)
    assert (await build_of(work_db, account, "retired"))["members"] is not None
    assert ids.encode("seg", following.segment) == new.id


async def test_a_build_that_keeps_failing_is_given_up_and_an_edit_starts_over(
    api, evaluator, account, work_db, monkeypatch
):
    expected = await fill_account(evaluator, account)
    segment = await api.create()

    async def broken(*_, **__):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(steps, "take", broken)
        for _ in range(builds.MAX_FAILURES):
            await builder.work(work_db, await take_over(work_db))
    assert (await api.get(segment.id)).status == pb.SEGMENT_STATUS_FAILED

    await api.update(segment.id, name="Another name")
    await finish(work_db)

    assert await api.member_ids(segment.id) == expected
    assert await api.is_ready(segment.id)


async def test_an_audience_waits_for_the_first_build(api, evaluator, account, small_steps, work_db):
    expected = await fill_account(evaluator, account)
    segment = await api.create()

    async def read():
        return {one.id async for message in api.audience(segment.id) for one in message.contacts}

    reading = asyncio.create_task(read())
    await finish(work_db)

    assert await reading == expected


async def test_an_audience_after_an_edit_is_that_of_the_new_rule(api, evaluator, account, small_steps, work_db):
    everybody = rule(("tags", "contains", ["premium", "basic"]))
    premium = await fill_account(evaluator, account)
    segment = await api.create(everybody)
    await finish(work_db)
    await api.update(segment.id, rule_json=PREMIUM)

    async def read():
        return {one.id async for message in api.audience(segment.id) for one in message.contacts}

    reading = asyncio.create_task(read())
    await finish(work_db)

    assert await reading == premium


async def test_an_audience_does_not_wait_for_ever(api, account, monkeypatch):
    segment = await api.create()
    monkeypatch.setattr(service, "AUDIENCE_WAIT_SECONDS", 0.05)

    with pytest.raises(Unavailable):
        [message async for message in api.audience(segment.id)]


async def test_an_audience_that_the_caller_gives_up(api, account):
    segment = await api.create()

    with pytest.raises(DeadlineExceeded):
        [message async for message in api.audience(segment.id, timeout=0.3)]


async def test_an_audience_is_one_snapshot_in_messages_of_500(api, evaluator, account, work_db):
    for _ in range(3):
        await fill_account(evaluator, account, 800)
    segment = await api.create()
    await finish(work_db)
    expected = await api.member_ids(segment.id)

    seen: set[str] = set()
    sizes: list[int] = []
    async for message in api.audience(segment.id):
        if not sizes:
            newcomer = contact(tags=["premium"])
            await deliver(evaluator, account, "contact.created", changes(newcomer))
        sizes.append(len(message.contacts))
        seen |= {one.id for one in message.contacts}

    assert sizes == [500, 500, 200]
    assert seen == expected
