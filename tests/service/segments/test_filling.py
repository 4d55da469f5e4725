"""Filling beside others: nobody waits for ever, and what takes long is not taken away."""

import asyncio
from datetime import timedelta
from functools import partial

import orjson
import pytest

from chassis import ids
from chassis.errors import Unavailable
from services.segments import builder, builds, contact_facts, due, filling, locks, projection, steps
from services.segments.consumers import contact_uuid, decode
from services.segments.evaluation import Evaluator
from tests.service.segments.clockwork import MONTH, created, stamp
from tests.service.segments.test_builds import build_of, fill_account, finish, take_over
from tests.service.segments.world import changes, contact, counts_differ, deletions, deliver, leaf, received, rule, tree
from tests.service.stack import eventually

pytestmark = pytest.mark.usefixtures("nothing_left_to_build")

DAY = 86_400_000_000
TAKE_BACK = "UPDATE builds SET position = $2, members = members - 4 WHERE account_id = $1"
TAKE_MEMBERS_BACK = """
DELETE FROM members WHERE account_id = $1 AND contact_id IN (
    SELECT contact_id FROM members WHERE account_id = $1 ORDER BY contact_id DESC LIMIT 4)
"""
# That keeps evaluations away.
BREAK_CONNECTION = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1 AND mode = 'ExclusiveLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
SHARED = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1 AND mode = 'ShareLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
SOMEBODY_WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"


@pytest.fixture
def evaluator(work_db):
    return Evaluator(work_db)


async def step_of(db, build):
    following = await steps.take(db, build)
    assert following is not None
    return following


async def somebody_waits(tx):
    return await tx.fetchval(SOMEBODY_WAITS)


async def test_contacts_are_taken_before_their_moments(api, evaluator, work_db, account):
    """A change holds the contact and writes its moment next; the filling must not have that row meanwhile."""
    now = evaluator.now()
    ana = created(now - DAY)
    await deliver(evaluator, account, "contact.created", changes(ana))
    segment = await api.create(MONTH)
    build = await builds.claim(work_db)
    assert build is not None
    older = contact(2, id=ana.id, created_at=stamp(now - 2 * DAY))
    versions = decode(received("contact.updated", changes(older, fields=["updated_at"])))

    async with work_db.write(account) as tx:
        await locks.share(tx, account)
        assert len(await projection.upsert(tx, versions)) == 1
        filling = asyncio.create_task(steps.take(work_db, build))
        await eventually(partial(somebody_waits, tx))
        await due.put(tx, {contact_uuid(ana.id): now + 28 * DAY})
    build = await filling

    assert build is not None
    await builder.work(work_db, build)
    assert await api.member_ids(segment.id) == {ana.id}


async def test_changes_of_contacts_that_are_not_all_here_take_them_in_one_order(evaluator, work_db, account):
    """A creation has the first contact and comes to the second; a change of both must not have the second."""
    new, old = sorted((contact(), contact()), key=lambda one: one.id)
    await deliver(evaluator, account, "contact.created", changes(old))
    both = changes(contact(2, id=new.id), contact(2, id=old.id), fields=["tags"])

    async with work_db.write(account) as tx:
        await locks.share(tx, account)
        await projection.upsert(tx, decode(received("contact.created", changes(contact(1, id=new.id)))))
        changing = asyncio.create_task(deliver(evaluator, account, "contact.updated", both))
        await eventually(partial(somebody_waits, tx))
        await projection.upsert(tx, decode(received("contact.created", changes(contact(1, id=old.id)))))
    await changing

    async with work_db.write(account) as tx:
        there = await projection.hold(tx, [contact_uuid(one.id) for one in (new, old)])
    assert [one.version for one in there] == [2, 2]


async def test_a_look_that_takes_long_keeps_its_lease(api, evaluator, account, work_db, monkeypatch):
    expected = await fill_account(evaluator, account)
    segment = await api.create()
    monkeypatch.setattr(builds, "LEASE", timedelta(seconds=0.4))
    build = await builds.claim(work_db)
    assert build is not None
    ends = (await build_of(work_db, account, "building"))["lease_until"]

    async def renewed():
        return (await build_of(work_db, account, "building"))["lease_until"] > ends + builds.LEASE

    async with work_db.write(account) as tx:
        await tx.execute("LOCK TABLE contacts_projection IN ACCESS EXCLUSIVE MODE")
        looking = asyncio.create_task(steps.take(work_db, build))
        await eventually(renewed)
        assert await builds.claim(work_db) is None
    build = await looking

    assert build is not None
    await builder.work(work_db, build)
    assert await api.member_ids(segment.id) == expected
    assert await counts_differ(work_db, account) == []


async def test_a_step_goes_by_the_clock_as_it_is_once_the_contacts_are_its_own(api, clock, account, work_db):
    """It waits for the first contact; meanwhile the second changes, and is evaluated at a later moment."""
    ben, ana = sorted((contact(tags=["premium"]), contact(tags=["premium"])), key=lambda one: one.id)
    await deliver(clock.evaluator, account, "contact.created", changes(ben, ana))
    premium, recent = leaf("tags", "contains", "premium"), leaf("metadata.at", "in_last", "1d")
    segment = await api.create(tree({"any": [premium, recent]}))
    build = await builds.claim(work_db)
    assert build is not None
    at = contact_facts.time_of(clock.now - DAY + 1).isoformat()

    async with work_db.write(account) as tx:
        await locks.share(tx, account)
        await projection.hold(tx, [contact_uuid(ben.id)])
        filling = asyncio.create_task(steps.take(work_db, build, clock=clock))
        await eventually(partial(somebody_waits, tx))
        # An edit would wait for both.
        assert await tx.fetchval(SHARED, locks.SPACE) == 2
        # By now `at` is a day ago.
        clock.now += 1
        changed = changes(contact(2, id=ana.id, metadata_json=orjson.dumps({"at": at}).decode()))
        await deliver(clock.evaluator, account, "contact.updated", changed)
    build = await filling

    assert build is not None
    await builder.work(work_db, build, clock=clock)
    assert await api.member_ids(segment.id) == {ben.id}
    assert await counts_differ(work_db, account) == []


async def test_who_is_deleted_once_found_does_not_join(api, evaluator, account, work_db, monkeypatch):
    """Nothing is known of who is gone, so that every rule that negates something would hold."""
    ana, ben, eve = (contact() for _ in range(3))
    await deliver(evaluator, account, "contact.created", changes(ana, ben, eve))
    segment = await api.create(rule(("tags", "not_contains", "premium")))
    monkeypatch.setattr(filling, "JOIN_ROWS", 1)
    build = await builds.claim(work_db)
    assert build is not None
    build = await step_of(work_db, build)
    assert len(build.found) == 1

    await deliver(evaluator, account, "contact.deleted", deletions(eve))

    await builder.work(work_db, build)
    assert await api.member_ids(segment.id) == {ana.id, ben.id}
    assert await counts_differ(work_db, account) == []


class Died(Exception):
    """Stands for a kill."""


async def test_those_who_joined_beside_are_counted_once(api, evaluator, account, work_db, monkeypatch):
    """The second connection commits before the first: a worker that is killed between leaves its members."""
    expected = await fill_account(evaluator, account)
    segment = await api.create()
    monkeypatch.setattr(filling, "JOIN_ROWS", 4)

    async def die(*args, **kwargs):
        raise Died

    build = await builds.claim(work_db)
    assert build is not None
    with monkeypatch.context() as killed:
        killed.setattr(builds, "advance", die)
        with pytest.raises(Died):
            await steps.take(work_db, build)

    half_way = await build_of(work_db, account, "building")
    assert (half_way["members"], half_way["position"]) == (4, None)
    assert await counts_differ(work_db, account) == []
    await builder.work(work_db, build)
    assert await api.member_ids(segment.id) == expected
    assert await counts_differ(work_db, account) == []


async def test_a_build_that_was_taken_over_lets_nobody_in_beside(api, evaluator, account, work_db, monkeypatch):
    await fill_account(evaluator, account)
    await api.create()
    monkeypatch.setattr(filling, "JOIN_ROWS", 4)
    held = builds.held
    build = await builds.claim(work_db)
    assert build is not None

    async def held_and_lost(tx, build):
        there = await held(tx, build)
        assert await take_over(work_db) is not None
        return there

    monkeypatch.setattr(builds, "held", held_and_lost)
    with pytest.raises(builds.Lost):
        await steps.take(work_db, build)

    assert (await build_of(work_db, account, "building"))["members"] == 0
    assert await counts_differ(work_db, account) == []


async def test_nobody_joins_beside_where_the_lock_is_gone(api, evaluator, account, work_db, monkeypatch):
    """The connection that keeps evaluations away breaks while the other one is at work."""
    expected = await fill_account(evaluator, account)
    segment = await api.create()
    monkeypatch.setattr(filling, "JOIN_ROWS", 4)
    join, count, joined = filling.join, builds.count, []

    async def joining(*args, **kwargs):
        joined.append(await join(*args, **kwargs))
        return joined[-1]

    async def both_joined():
        return len(joined) == 2

    async def counting(tx, build, *, members):
        await count(tx, build, members=members)
        await eventually(both_joined)
        async with work_db.across() as other:
            assert await other.fetch(BREAK_CONNECTION, locks.SPACE)

    build = await builds.claim(work_db)
    assert build is not None
    with monkeypatch.context() as breaking:
        breaking.setattr(filling, "join", joining)
        breaking.setattr(builds, "count", counting)
        with pytest.raises(Unavailable):
            await steps.take(work_db, build)

    assert (await build_of(work_db, account, "building"))["members"] == 0
    await builder.work(work_db, build)
    assert await api.member_ids(segment.id) == expected
    assert await counts_differ(work_db, account) == []


@pytest.mark.parametrize("lost", ["in-between", "the-last-one"])
async def test_a_step_that_a_crash_of_the_server_takes_back_is_taken_again(
    api, evaluator, account, work_db, monkeypatch, lost
):
    """Its commit did not wait for the disk, and the worker goes on as if it were there."""
    expected = await fill_account(evaluator, account, count=32)
    segment = await api.create()
    monkeypatch.setattr(filling, "JOIN_ROWS", 2)
    build = await builds.claim(work_db)
    assert build is not None
    done = [build, await step_of(work_db, build)]
    while lost == "the-last-one" and done[-1].position != ids.HIGHEST:
        done.append(await step_of(work_db, done[-1]))
    async with work_db.write(account) as tx:
        await tx.execute(TAKE_BACK, account, done[-2].position)
        await tx.execute(TAKE_MEMBERS_BACK, account)

    with pytest.raises(builds.Lost):
        await steps.take(work_db, done[-1])

    await finish(work_db)
    assert await api.member_ids(segment.id) == expected
    assert await counts_differ(work_db, account) == []
