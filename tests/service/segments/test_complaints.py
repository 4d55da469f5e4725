"""What users of other tools complain of, where only a look inside tells. More: tests/e2e/test_segment_complaints.py."""

import contextlib

from chassis import ids
from chassis.haste import Pace
from services.segments import builder, builds, steps
from services.segments.consumers import consumers
from services.segments.evaluation import Evaluator
from services.segments.lanes import Lanes
from tests.service.segments.clockwork import DAY, MONTH, created, due_of
from tests.service.segments.conftest import background
from tests.service.segments.world import changes, contact, counts_differ, deliver, rule
from tests.service.stack import eventually


async def test_rapidpro_709_a_new_contact_costs_what_it_touches(api, builder, account, work_db):
    """rapidpro#709: each new contact evaluated all groups anew. Damage to the others is what such a pass would undo."""
    evaluator = Evaluator(work_db)
    ana, ben = contact(tags=["premium"]), contact(tags=["premium"])
    await deliver(evaluator, account, "contact.created", changes(ana, ben))
    segment = await api.create()
    await eventually(lambda: api.is_ready(segment.id))
    async with work_db.write(account) as tx:
        await tx.execute("DELETE FROM members WHERE account_id = $1", account)

    newcomer = contact(tags=["premium"])
    await deliver(evaluator, account, "contact.created", changes(newcomer))

    assert await api.member_ids(segment.id) == {newcomer.id}


async def test_dittofeed_1844_what_was_told_while_nobody_listened(api, builder, contacts, account, work_db, nats):
    """dittofeed#1844: events were lost."""
    segment = await api.create(rule(("metadata.plan", "equals", "gold")))
    await eventually(lambda: api.is_ready(segment.id))
    people = [contact(metadata_json='{"plan": "gold"}') for _ in range(40)]
    gone, changed = people[:10], people[10:20]
    await contacts.created(*people, bulk=True)
    await contacts.updated(*(contact(2, id=one.id) for one in changed), fields=["metadata_json"])
    await contacts.deleted(*gone)

    async with contextlib.AsyncExitStack() as stack:
        for consumer in consumers(nats, Evaluator(work_db), Lanes(), Pace(1)):
            await stack.enter_async_context(background(consumer.run()))

        async def all_there():
            return await api.member_ids(segment.id) == {one.id for one in people[20:]}

        await eventually(all_there)
    assert await counts_differ(work_db, account) == []


async def test_mautic_8113_filling_is_one_look_whatever_the_account_has(api, nothing_left_to_build, account, work_db):
    """mautic#8113: 40 minutes for a segment of 260,000. How fast it is, `tests.bench segments_backfill` says."""
    crowd = [contact(tags=["basic"]) for _ in range(2_000)]
    few = [contact(tags=["premium"]) for _ in range(20)]
    for start in range(0, len(crowd), 500):
        await deliver(Evaluator(work_db), account, "contact.created", changes(*crowd[start : start + 500]), bulk=True)
    await deliver(Evaluator(work_db), account, "contact.created", changes(*few), bulk=True)
    segment = await api.create()
    build = await builds.claim(work_db)
    assert build is not None

    filled = await steps.take(work_db, build)

    assert filled is not None
    assert filled.position == ids.HIGHEST
    await builder.work(work_db, filled)
    assert await api.member_ids(segment.id) == {one.id for one in few}


async def test_dittofeed_995_nobody_is_looked_at_while_nothing_happens(api, clock, segment, account, work_db):
    """dittofeed#995: processors were busy all the time. What idling costs, `tests.bench segments_live` says."""
    await segment(MONTH)
    people = [created(clock.now - DAY * n) for n in range(1, 40)]
    await deliver(clock.evaluator, account, "contact.created", changes(*people))
    leave_next = min((await due_of(work_db, account)).values())

    assert await clock.to(leave_next - 1) == 0
    assert await clock.to(leave_next) == 1
