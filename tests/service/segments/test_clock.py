"""Rules that go by the clock: contacts step at their microsecond, whoever looks, and each step is told once."""

from functools import partial

import orjson
import pytest

from services.segments import contact_facts, filling
from tests.service.segments.clockwork import (
    DAY,
    MOMENT,
    MONTH,
    SECOND,
    created,
    custom,
    due_of,
    make_due,
    micros,
    recipient,
    stamp,
    steps_told,
    tell,
)
from tests.service.segments.world import (
    PREMIUM,
    changes,
    contact,
    counts_differ,
    deletions,
    deliver,
    leaf,
    rule,
    tree,
)
from tests.service.stack import eventually


def day(written):
    return micros(written)


RENEWALS = ["2026-03-10", "2026-03-11T12:00:00Z", "2026-06-01"]
# The rule, the contact, and the moments at which it steps in and out by turns; out at first where `inside` is not set.
EXAMPLES = {
    "in_last": (MONTH, created(), [MOMENT, MOMENT + 30 * DAY], False),
    "not_in_last": (rule(("created_at", "not_in_last", "30d")), created(), [MOMENT, MOMENT + 30 * DAY], True),
    "in_next": (rule(("created_at", "in_next", "2d")), created(), [MOMENT - 2 * DAY, MOMENT], False),
    "not_in_next": (rule(("created_at", "not_in_next", "2d")), created(), [MOMENT - 2 * DAY, MOMENT], True),
    "past-and-future": (
        rule(("created_at", "not_in_last", "1h"), ("created_at", "not_in_next", "1h")),
        created(),
        [MOMENT - 3600 * SECOND, MOMENT + 3600 * SECOND],
        True,
    ),
    "in_next-of-metadata": (
        rule(("metadata.plan.renewal", "in_next", "12h")),
        custom(plan={"renewal": "2026-03-10T12:00:00+02:00"}),
        [day("2026-03-09T22:00:00Z"), day("2026-03-10T10:00:00Z")],
        False,
    ),
    # The first two overlap, so that nothing happens where one ends.
    "any-of-an-array": (
        rule(("metadata.renewals", "in_last", "2d")),
        custom(renewals=RENEWALS),
        [day("2026-03-10"), day("2026-03-13T12:00:00Z"), day("2026-06-01"), day("2026-06-03")],
        False,
    ),
    "anniversary": (
        rule(("metadata.birthday", "anniversary")),
        custom(birthday="1990-03-05"),
        [day("2026-03-05"), day("2026-03-06"), day("2027-03-05"), day("2027-03-06")],
        False,
    ),
    "anniversary-7d": (
        rule(("metadata.birthday", "anniversary", "7d")),
        custom(birthday="1990-03-14"),
        [day("2026-03-07"), day("2026-03-15"), day("2027-03-07")],
        False,
    ),
    "not_anniversary": (
        rule(("metadata.birthday", "not_anniversary")),
        custom(birthday="1990-03-05"),
        [day("2026-03-05"), day("2026-03-06"), day("2027-03-05")],
        True,
    ),
    "anniversary-over-the-turn-of-the-year": (
        rule(("metadata.birthday", "anniversary", "2w")),
        custom(birthday="1990-01-10"),
        [day("2026-12-27"), day("2027-01-11")],
        False,
    ),
    # 29 February is 28 February where there is none.
    "29-february": (
        rule(("metadata.birthday", "anniversary")),
        custom(birthday="2024-02-29"),
        [day(one) for one in ("2027-02-28", "2027-03-01", "2028-02-29", "2028-03-01", "2029-02-28", "2029-03-01")],
        False,
    ),
    "nested": (
        tree(
            {
                "all": [
                    leaf("tags", "contains", "premium"),
                    {"any": [leaf("metadata.trial_ends", "in_next", "1d"), leaf("metadata.paid", "equals", True)]},
                ],
                "not": leaf("metadata.seen", "in_last", "1w"),
            }
        ),
        custom(trial_ends="2026-03-10", seen="2026-03-02T10:00:00Z", paid=False),
        # `seen` begins to hold and to fail while the other part is false; then the trial runs out.
        [day("2026-03-09T10:00:00Z"), day("2026-03-10")],
        False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("example", list(EXAMPLES))
@pytest.mark.parametrize("how", ["live", "built"])
async def test_a_contact_steps_at_its_moment_and_not_a_microsecond_before(
    api, clock, segment, account, work_db, example, how
):
    """Known of before the segment is made, whose building then notes the moments, or after."""
    written, ana, moments, inside = EXAMPLES[example]
    if how == "built":
        await deliver(clock.evaluator, account, "contact.created", changes(ana))
        made = await segment(written)
    else:
        made = await segment(written)
        await deliver(clock.evaluator, account, "contact.created", changes(ana))
    told = [(ana.id, True)] if inside else []
    assert await api.member_ids(made) == ({ana.id} if inside else set())

    for moment in moments:
        await clock.to(moment - 1)
        assert await api.member_ids(made) == ({ana.id} if inside else set()), "too early"
        assert (await due_of(work_db, account))[ana.id] == moment
        inside = not inside

        assert await clock.to(moment) == 1

        assert await api.member_ids(made) == ({ana.id} if inside else set()), "too late"
        assert (await api.get(made)).member_count == inside
        told.append((ana.id, inside))
    assert await steps_told(work_db, account, made) == told
    assert await counts_differ(work_db, account) == []


async def test_who_will_never_step_is_not_watched(clock, segment, account, work_db):
    await segment(rule(("tags", "contains", "premium"), ("created_at", "in_last", "30d")))
    over = contact(tags=["premium"], created_at=stamp("2026-01-01"))
    never, nothing = created(), contact(tags=["premium"])
    watched = contact(tags=["premium"], created_at=stamp(MOMENT))

    await deliver(clock.evaluator, account, "contact.created", changes(over, never, nothing, watched))

    assert await due_of(work_db, account) == {watched.id: MOMENT}
    await clock.to(MOMENT + 30 * DAY)
    assert await due_of(work_db, account) == {}


async def test_the_earliest_moment_of_all_rules_is_noted(clock, segment, account, work_db):
    """Whether the rule was there before, or is built over what is there: it may bring forward, never put off."""
    ana = created()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    for duration, expected in [("1d", MOMENT - DAY), ("3d", MOMENT - 3 * DAY), ("2d", MOMENT - 3 * DAY)]:
        await segment(rule(("created_at", "in_next", duration)))
        assert await due_of(work_db, account) == {ana.id: expected}

    await deliver(
        clock.evaluator, account, "contact.updated", changes(contact(2, id=ana.id, created_at=ana.created_at))
    )

    assert await due_of(work_db, account) == {ana.id: MOMENT - 3 * DAY}
    await clock.to(MOMENT - 3 * DAY)
    assert await due_of(work_db, account) == {ana.id: MOMENT - 2 * DAY}


# However few the planner expects, there are more than none.
@pytest.mark.parametrize(("looked_at", "found", "joins"), [(0, 100, 100), (2_000_000, 7, 100), (2_000_000, 7, 3)])
async def test_a_build_notes_the_moments_of_all_in_small_steps(
    api, clock, segment, account, work_db, monkeypatch, looked_at, found, joins
):
    """However the steps are cut: by contacts looked at, by those that are found, or by those that join at a time."""
    monkeypatch.setattr(filling, "FIND_CONTACTS", looked_at)
    monkeypatch.setattr(filling, "FIND_ROWS", found)
    monkeypatch.setattr(filling, "JOIN_ROWS", joins)
    # A third are in and will leave, a third will come, and a third are over.
    ages = [-5, 5, 100]
    people = [created(clock.now - ages[n % 3] * DAY + n) for n in range(50)]
    await deliver(clock.evaluator, account, "contact.created", changes(*people), bulk=True)

    made = await segment()

    assert await api.member_ids(made) == {one.id for one in people[1::3]}
    expected = {one.id: clock.now + 5 * DAY + 3 * n for n, one in enumerate(people[::3])}
    expected |= {one.id: clock.now + 25 * DAY + 3 * n + 1 for n, one in enumerate(people[1::3])}
    assert await due_of(work_db, account) == expected
    await clock.to(clock.now + 20 * DAY)
    assert await api.member_ids(made) == {one.id for one in people if one not in people[2::3]}
    assert await counts_differ(work_db, account) == []


async def test_a_look_that_comes_too_early_does_no_harm(api, clock, segment, account, work_db):
    made = await segment()
    ana, ben = created(), created("2026-02-20T12:00:00Z")
    await deliver(clock.evaluator, account, "contact.created", changes(ana, ben))
    before = await steps_told(work_db, account, made)
    for one in (ana, ben):
        await make_due(work_db, account, one.id, clock.now - 1)

    assert await clock.to(clock.now) == 2

    assert await due_of(work_db, account) == {ana.id: MOMENT, ben.id: micros("2026-03-22T12:00:00Z")}
    assert await api.member_ids(made) == {ben.id}
    assert await steps_told(work_db, account, made) == before


@pytest.mark.parametrize("verb", ["edited", "deleted"])
async def test_a_segment_that_changes_while_contacts_are_due(api, clock, segment, account, work_db, verb):
    made = await segment()
    ana = contact(created_at=stamp(MOMENT), tags=["premium"])
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    if verb == "edited":
        await api.update(made, rule_json=PREMIUM)
    else:
        await api.delete(made)
    await clock.build()

    await clock.to(MOMENT)

    assert await due_of(work_db, account) == {}
    assert await steps_told(work_db, account, made) == ([(ana.id, True)] if verb == "edited" else [])
    assert await counts_differ(work_db, account) == []


async def test_an_edit_before_it_is_built_leaves_the_old_rule_its_moments(api, clock, segment, account, work_db):
    made = await segment()
    ana = created()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    await api.update(made, rule_json=rule(("created_at", "in_next", "1d")))

    await clock.to(MOMENT)

    assert await api.member_ids(made) == {ana.id}
    await clock.build()
    assert await api.member_ids(made) == set()
    assert await counts_differ(work_db, account) == []


async def test_a_contact_that_changes_takes_its_moment_with_it(api, clock, segment, account, work_db):
    made = await segment(rule(("metadata.at", "in_last", "1d")))
    ana = custom(at="2026-03-05")
    await deliver(clock.evaluator, account, "contact.created", changes(ana))

    moved = contact(2, id=ana.id, metadata_json='{"at": "2026-03-08"}')
    await deliver(clock.evaluator, account, "contact.updated", changes(moved, fields=["metadata_json"]))

    assert await due_of(work_db, account) == {ana.id: micros("2026-03-08")}
    assert await clock.to("2026-03-07") == 0
    assert await api.member_ids(made) == set()
    await clock.to("2026-03-08")
    assert await api.member_ids(made) == {ana.id}


async def test_a_change_at_the_moment_itself_sees_to_it(api, clock, segment, account, work_db):
    """The change comes before the look: then there is nothing left to do, and it is told once."""
    made = await segment()
    ana = created()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    clock.now = MOMENT

    renamed = contact(2, id=ana.id, created_at=ana.created_at, name="Ana")
    await deliver(clock.evaluator, account, "contact.updated", changes(renamed, fields=["name"]))

    assert await due_of(work_db, account) == {ana.id: MOMENT + 30 * DAY}
    assert await clock.to(MOMENT) == 0
    assert await steps_told(work_db, account, made) == [(ana.id, True)]


async def test_a_change_at_the_moment_of_another_rule_leaves_that_to_the_clock(api, clock, segment, account, work_db):
    """The change moves rules by the clock that read it. The others were not asked, and their moment has come."""
    month, dated = await segment(), await segment(rule(("metadata.at", "in_last", "1d")))
    ana = contact(created_at=stamp(MOMENT - DAY), metadata_json=orjson.dumps({"at": "2026-03-10T08:00:00Z"}).decode())
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    came = clock.now = micros("2026-03-10T08:00:00Z")

    renamed = contact(2, id=ana.id, created_at=ana.created_at, metadata_json=ana.metadata_json, name="Ana")
    await deliver(clock.evaluator, account, "contact.updated", changes(renamed, fields=["name"]))

    assert await api.member_ids(month) == {ana.id}
    assert await clock.to(came) == 1
    assert await api.member_ids(dated) == {ana.id}
    assert await due_of(work_db, account) == {ana.id: came + DAY}


async def test_a_message_leaves_the_moment_of_a_rule_that_it_does_not_touch(api, clock, segment, account, work_db):
    made = await segment()
    await segment(rule(("last_opened_at", "in_last", "1d")))
    ana = created()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    clock.now = MOMENT

    await tell(clock.evaluator, account, "opened", recipient(ana.id), at=MOMENT)
    await clock.to(clock.now)

    assert await api.member_ids(made) == {ana.id}
    assert await due_of(work_db, account) == {ana.id: MOMENT + DAY}


async def test_a_deleted_contact_is_due_no_more(api, clock, segment, account, work_db):
    made = await segment()
    ana, ben = created(), created()
    await deliver(clock.evaluator, account, "contact.created", changes(ana, ben))

    await deliver(clock.evaluator, account, "contact.deleted", deletions(ana))

    assert await due_of(work_db, account) == {ben.id: MOMENT}
    # As if it had been written by somebody who was late.
    await make_due(work_db, account, ana.id, MOMENT)
    await clock.to(MOMENT)
    assert await api.member_ids(made) == {ben.id}
    assert await due_of(work_db, account) == {ben.id: MOMENT + 30 * DAY}


async def test_a_deleted_contact_is_due_no_more_also_where_no_rule_goes_by_the_clock_any_more(
    api, clock, segment, account, work_db
):
    made = await segment()
    ana = created()
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    await api.update(made, rule_json=PREMIUM)
    await clock.build()

    await deliver(clock.evaluator, account, "contact.deleted", deletions(ana))

    assert await due_of(work_db, account) == {}


async def test_engagement_goes_by_the_clock(api, clock, segment, account, work_db):
    """Also that which was there before the segment, whose building notes the moment."""
    ana, ben = contact(), contact()
    await deliver(clock.evaluator, account, "contact.created", changes(ana, ben))
    await tell(clock.evaluator, account, "opened", recipient(ana.id), at="2026-02-28T12:00:00Z")
    made = await segment(rule(("last_opened_at", "in_last", "2d")))
    await tell(clock.evaluator, account, "opened", recipient(ben.id), at=clock.now - DAY // 2)
    assert await api.member_ids(made) == {ana.id, ben.id}
    ends = micros("2026-03-02T12:00:00Z")
    assert await due_of(work_db, account) == {ana.id: ends, ben.id: ends + DAY // 2}

    await tell(clock.evaluator, account, "opened", recipient(ana.id), at=clock.now)
    assert await due_of(work_db, account) == {ana.id: ends + DAY, ben.id: ends + DAY // 2}
    await clock.to(ends + DAY // 2)
    assert await api.member_ids(made) == {ana.id}
    await clock.to(ends + DAY - 1)
    assert await api.member_ids(made) == {ana.id}

    await clock.to(ends + DAY)

    assert await api.member_ids(made) == set()
    assert await due_of(work_db, account) == {}


async def test_a_segment_of_segments_flips_with_the_one_it_names(api, clock, segment, account, work_db):
    lower = await segment()
    upper = await segment(rule(("segments", "not_contains", lower), ("tags", "contains", "premium")))
    ana = contact(tags=["premium"], created_at=stamp(MOMENT))
    await deliver(clock.evaluator, account, "contact.created", changes(ana))
    assert await api.segments_of(ana.id) == [upper]

    await clock.to(MOMENT)
    assert await api.segments_of(ana.id) == [lower]

    await clock.to(MOMENT + 30 * DAY)
    assert await api.segments_of(ana.id) == [upper]


async def test_the_clock_on_29_february(api, clock, segment, account):
    clock.now = micros("2028-02-29T23:59:59.999999Z")
    anniversary, tomorrow = (
        await segment(rule(("metadata.birthday", "anniversary"))),
        await segment(rule(("metadata.birthday", "anniversary", "1d"))),
    )
    last, leap, first = custom(birthday="2001-02-28"), custom(birthday="2000-02-29"), custom(birthday="2001-03-01")
    await deliver(clock.evaluator, account, "contact.created", changes(last, leap, first))
    assert await api.member_ids(anniversary) == {leap.id}
    assert await api.member_ids(tomorrow) == {leap.id, first.id}

    await clock.to("2028-03-01")

    assert await api.member_ids(anniversary) == {first.id}
    assert await api.member_ids(tomorrow) == {first.id}


async def test_in_real_time(api, contacts, worker):
    """By everything that `carillon segments work` runs: in and out without anybody touching the contact."""
    joining = await api.create(rule(("metadata.at", "in_last", "1d")))
    leaving = await api.create(rule(("metadata.at", "not_in_last", "1d")))
    for one in (joining, leaving):
        await eventually(partial(api.is_ready, one.id))
    ana = contact()
    await contacts.created(ana)
    await eventually(partial(is_in, api, ana, leaving))

    at = contact_facts.now_micros() + SECOND
    dated = contact(2, id=ana.id, metadata_json=orjson.dumps({"at": contact_facts.time_of(at)}).decode())
    await contacts.updated(dated, fields=["metadata_json"])

    await eventually(partial(is_in, api, ana, joining))
    [member] = await api.members(joining.id)
    assert contact_facts.micros_of(member.joined_at) >= at


async def is_in(api, one, *segments):
    return await api.segments_of(one.id) == [segment.id for segment in segments]
