"""The loop that sees to contacts whose time has come: many at once, in several processes, past those that it cannot."""

import asyncio
import contextlib

from services.segments import due, flips, locks, projection
from services.segments.consumers import contact_uuid
from services.segments.evaluation import Evaluator
from services.segments.flips import Flips
from services.segments.lanes import Lanes
from tests.service.segments.clockwork import MOMENT, MONTH, created, custom, due_of, micros, stamp, steps_told
from tests.service.segments.world import changes, contact, counts_differ, deliver, rule
from tests.service.stack import eventually


async def test_more_than_a_thousand_at_midnight(api, clock, segment, account, work_db):
    made = await segment(rule(("metadata.birthday", "anniversary")))
    people = [custom(birthday=f"{1900 + n % 100}-03-05") for n in range(1_200)]
    for start in range(0, len(people), 400):
        await deliver(clock.evaluator, account, "contact.created", changes(*people[start : start + 400]), bulk=True)

    clock.now = micros("2026-03-05")
    assert [await clock.flips.run_once() for _ in range(3)] == [1_000, 200, 0]

    assert (await api.get(made)).member_count == 1_200
    told = await steps_told(work_db, account, made)
    assert sorted(told) == sorted((one.id, True) for one in people)
    assert set((await due_of(work_db, account)).values()) == {micros("2026-03-06")}
    assert await counts_differ(work_db, account) == []


async def test_several_processes_share_what_is_due(clock, segment, account, work_db):
    """Each contact's step is told once, whoever saw to it."""
    made = await segment()
    people = [created(MOMENT + n) for n in range(700)]
    for start in (0, 350):
        await deliver(clock.evaluator, account, "contact.created", changes(*people[start : start + 350]), bulk=True)
    clock.now = MOMENT + 700
    others = [Flips(work_db, Evaluator(work_db, clock=clock), Lanes(), clock=clock) for _ in range(3)]

    async def all_seen(by):
        while any(at <= clock.now for at in (await due_of(work_db, account)).values()):
            await by.run_once()

    await asyncio.gather(*(all_seen(one) for one in others))

    assert sorted(await steps_told(work_db, account, made)) == sorted((one.id, True) for one in people)
    assert await counts_differ(work_db, account) == []


async def test_somebody_elses_contact_holds_nobody_up(api, clock, segment, account, work_db):
    """A contact that is being changed elsewhere is left to whoever changes it; if that comes to nothing, it is due."""
    made = await segment()
    ana, ben = created(), created()
    await deliver(clock.evaluator, account, "contact.created", changes(ana, ben))

    with contextlib.suppress(ZeroDivisionError):
        async with work_db.write(account) as tx:
            await locks.share(tx, account)
            await projection.hold(tx, [contact_uuid(ana.id)])
            async with asyncio.timeout(30):
                assert await clock.to(MOMENT) == 1
            raise ZeroDivisionError

    assert await api.member_ids(made) == {ben.id}
    assert await clock.to(MOMENT) == 1
    assert await api.member_ids(made) == {ana.id, ben.id}


async def test_moments_are_noted_in_one_order(clock, segment, account, work_db):
    """A build, which holds no contacts, has noted the first. Who waits for that must not have the second meanwhile."""
    await segment()
    first, second = sorted((created(), created()), key=lambda one: one.id)
    await deliver(clock.evaluator, account, "contact.created", changes(first, second))
    later = [contact(2, id=first.id), contact(2, id=second.id, created_at=stamp(MOMENT + 1))]

    async with work_db.write(account) as tx:
        await due.put_sooner(tx, {contact_uuid(first.id): MOMENT - 1})
        delivering = asyncio.create_task(deliver(clock.evaluator, account, "contact.updated", changes(*later)))

        async def waits():
            return await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")

        await eventually(waits)
        await due.put_sooner(tx, {contact_uuid(second.id): MOMENT - 1})
    await delivering

    assert await due_of(work_db, account) == {second.id: MOMENT + 1}


async def test_who_comes_second_finds_nothing_left_to_do(clock, segment, account):
    """Two processes found the same contact; it is in nobody's hands any more when the second has its turn."""
    await segment()
    ana, ben = created(), created(MOMENT + 1)
    await deliver(clock.evaluator, account, "contact.created", changes(ana, ben))
    clock.now = MOMENT
    found = [contact_uuid(ana.id), contact_uuid(ben.id)]

    assert [await clock.evaluator.flip(account, found) for _ in range(2)] == [1, 0]


async def test_a_flip_of_many_accounts_keeps_them_apart(api, clock, account, other, work_db):
    mine, theirs = await api.create(MONTH), await api.of(other).create(MONTH)
    await clock.build()
    ana, ben = created(), created()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    await deliver(clock.evaluator, other, "contact.created", changes(ben))

    assert await clock.to(MOMENT) == 2

    assert await api.member_ids(mine.id) == {ana.id}
    assert await api.of(other).member_ids(theirs.id) == {ben.id}


async def test_an_account_whose_contacts_cannot_be_seen_to_holds_up_no_other(
    api, clock, account, other, work_db, monkeypatch
):
    """Not even with more that is due than is looked at in one go; and it gets its turn again."""
    accounts = {account: api, other: api.of(other)}
    segments = {one: await of.create(MONTH) for one, of in accounts.items()}
    await clock.build()
    early, ben = [created(MOMENT - 1) for _ in range(3)], created()
    await deliver(clock.evaluator, account, "contact.created", changes(*early))
    await deliver(clock.evaluator, other, "contact.created", changes(ben))
    monkeypatch.setattr(flips, "MAX_BATCH", 2)
    flip = clock.evaluator.flip

    async def broken(of, contacts):
        if of == account:
            raise ZeroDivisionError
        return await flip(of, contacts)

    with monkeypatch.context() as patch:
        patch.setattr(clock.evaluator, "flip", broken)
        clock.now = MOMENT
        assert [await clock.flips.run_once() for _ in range(3)] == [0, 1, 0]
    assert await accounts[other].member_ids(segments[other].id) == {ben.id}

    assert await clock.to(MOMENT + flips.REST) == 3
    assert await api.member_ids(segments[account].id) == {one.id for one in early}
