"""Reconciliation: damage of every kind is found, repaired and counted, and nothing is found where all is well."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from chassis import ids
from chassis.errors import CarillonError
from services.segments import builder, builds
from services.segments.domain.moments import DAY
from services.segments.evaluation import MAX_BATCH, Evaluator
from services.segments.lanes import Lanes
from services.segments.reconcile import Place, Reconciler
from tests.service.segments.contacts_there import There, source
from tests.service.segments.world import PREMIUM, changes, counts_differ, deliver, events_of, rule, segment_steps
from tests.service.stack import new_account

pytestmark = pytest.mark.usefixtures("nothing_left_to_build")

NOW = timedelta(0)
RECENT = rule(("created_at", "in_last", "30d"))
GERMAN = rule(("country", "equals", "DE"), ("metadata.plan", "equals", "pro"))
KINDS = ("contact", "projection", "membership", "due", "count")


async def nobody_is_behind() -> bool:
    return False


@pytest.fixture
def there(account):
    return There(account)


@pytest_asyncio.fixture
async def contacts_source(there, keys):
    async with there.serving(keys) as target, source(target, keys) as found:
        yield found


@pytest.fixture
def evaluator(work_db):
    return Evaluator(work_db)


@pytest.fixture
def reconciler(work_db, contacts_source, evaluator):
    return Reconciler(work_db, contacts_source, evaluator, Lanes(), behind=nobody_is_behind)


@pytest_asyncio.fixture
async def segments(api, work_db):
    """Premium customers; whoever was made within 30 days; Germans on a plan."""
    made = [(await api.create(one, name=f"Segment {n}")).id for n, one in enumerate((PREMIUM, RECENT, GERMAN))]
    await build_all(work_db)
    return made


async def build_all(work_db):
    while claimed := await builds.claim(work_db):
        await builder.work(work_db, claimed)


async def whole_pass(reconciler, account):
    """What one found in all, and how many changes it left to their events."""
    repaired: Counter[str] = Counter()
    awaited, place = 0, Place()
    while place is not None:
        step = await reconciler.step(account, place)
        repaired, awaited, place = repaired + step.repaired, awaited + step.awaited, step.following
    return repaired, awaited


def counted():
    values = {what: REGISTRY.get_sample_value("carillon_segments_repaired_total", {"what": what}) for what in KINDS}
    return Counter({what: int(value) for what, value in values.items() if value})


@pytest_asyncio.fixture
async def people(there, evaluator, segments):
    """In all three segments, each of them."""
    made = [
        there.add(tags=["premium"], country="DE", metadata_json='{"plan": "pro", "seats": 3}', phone=f"+1{n}")
        for n in range(4)
    ]
    for one in made:
        one.created_at.FromDatetime(datetime.now(UTC) - timedelta(days=2))
    await there.tell(evaluator, *made)
    return made


async def run(work_db, account, sql, *args):
    async with work_db.write(account) as tx:
        await tx.execute(sql, account, *args)


def uuid_of(one):
    return ids.decode("cnt", one.id)


ONE = "account_id = $1 AND contact_id = $2"
PER_HAND = {
    "row-missing": (f"DELETE FROM contacts_projection WHERE {ONE}", {"contact": 1}),
    "row-missing-as-if-never-known": (
        f"""
        WITH m AS (DELETE FROM members WHERE {ONE} RETURNING build_id),
             c AS (UPDATE builds SET members = members - 1 FROM m WHERE account_id = $1 AND id = m.build_id),
             d AS (DELETE FROM due WHERE {ONE})
        DELETE FROM contacts_projection WHERE {ONE}
        """,
        {"contact": 1},
    ),
    "column-wrong": (f"UPDATE contacts_projection SET country = 'fr' WHERE {ONE}", {"projection": 1}),
    "column-too-many": (f"UPDATE contacts_projection SET do_not_disturb = true WHERE {ONE}", {"projection": 1}),
    "array-wrong": (f"UPDATE contacts_projection SET tags = '{{vip}}' WHERE {ONE}", {"projection": 1}),
    "custom-data-wrong": (
        f"UPDATE contacts_projection SET more = '{{\"t:metadata.plan\": [\"free\"]}}' WHERE {ONE}",
        {"projection": 1},
    ),
    "columns-of-older-code": (
        f"""
        UPDATE contacts_projection SET country = NULL, channels = NULL, created_at = NULL, updated_at = NULL,
            is_bot_active = NULL, more = NULL
        WHERE {ONE}
        """,
        {"projection": 1},
    ),
    "marked-deleted": (f"UPDATE contacts_projection SET deleted = true WHERE {ONE}", {"projection": 1}),
    "members-missing": (
        f"""
        WITH gone AS (DELETE FROM members WHERE {ONE} RETURNING build_id)
        UPDATE builds SET members = members - 1 FROM gone WHERE account_id = $1 AND id = gone.build_id
        """,
        {"membership": 3},
    ),
    "member-missing-and-counted": (f"DELETE FROM members WHERE {ONE}", {"membership": 3, "count": 3}),
    "count-wrong": (
        "UPDATE builds SET members = members + 7 WHERE account_id = $1 AND $2::uuid IS NOT NULL", {"count": 3}
    ),
    "due-missing": (f"DELETE FROM due WHERE {ONE}", {"due": 1}),
    "due-too-late": (f"UPDATE due SET due_at = due_at + 1 WHERE {ONE}", {"due": 1}),
}  # fmt: skip


@pytest.mark.parametrize("damage", PER_HAND)
async def test_damage_by_hand(reconciler, people, segments, api, work_db, account, damage):
    sql, expected = PER_HAND[damage]
    rows = await projected(work_db, account)
    await run(work_db, account, sql, uuid_of(people[1]))
    before = counted()

    assert await whole_pass(reconciler, account) == (Counter(expected), 0)

    assert counted() - before == Counter(expected)
    for segment in segments:
        assert await api.member_ids(segment) == {one.id for one in people}
        assert (await api.get(segment)).member_count == 4
    assert await counts_differ(work_db, account) == []
    assert await projected(work_db, account) == rows
    assert await whole_pass(reconciler, account) == (Counter(), 0)


async def projected(work_db, account):
    """Everything that is kept of contacts, and when they are due."""
    async with work_db.read(account) as tx:
        return [
            [tuple(row) for row in await tx.fetch(f"SELECT * FROM {table} WHERE account_id = $1 ORDER BY 2", account)]
            for table in ("contacts_projection", "due")
        ]


async def test_a_row_that_is_older(reconciler, there, people, segments, api, account):
    there.change(people[2], tags=["basic"])

    assert await whole_pass(reconciler, account) == (Counter(contact=1), 0)

    premium, recent, _ = segments
    assert await api.member_ids(premium) == {one.id for one in people if one is not people[2]}
    assert await api.member_ids(recent) == {one.id for one in people}
    assert await whole_pass(reconciler, account) == (Counter(), 0)


@pytest.mark.parametrize("tombstone", [True, False], ids=["with-a-tombstone", "without"])
async def test_a_row_of_a_contact_that_is_gone(
    reconciler, there, people, segments, api, work_db, evaluator, account, tombstone
):
    gone = people[0]
    there.delete(gone)
    if not tombstone:
        there.tombstones.clear()

    assert await whole_pass(reconciler, account) == (Counter(contact=1), 0)

    for segment in segments:
        assert await api.member_ids(segment) == {one.id for one in people[1:]}
    # A tombstone is left, so that what comes late does not raise it.
    await there.tell(evaluator, gone)
    assert await whole_pass(reconciler, account) == (Counter(), 0)
    assert gone.id not in await api.member_ids(segments[0])


async def test_members_too_many(reconciler, there, people, segments, api, work_db, evaluator, account):
    plain = there.add(tags=["basic"])
    await there.tell(evaluator, plain)
    # One who does not match, and one who is not even known.
    for intruder in (uuid_of(plain), ids.new()):
        await run(
            work_db,
            account,
            """
            WITH more AS (
                INSERT INTO members (account_id, build_id, contact_id, joined_at, revision)
                SELECT $1, id, $2, now(), 1 FROM builds WHERE account_id = $1 RETURNING build_id)
            UPDATE builds SET members = members + 1 FROM more WHERE account_id = $1 AND id = more.build_id
            """,
            intruder,
        )

    assert await whole_pass(reconciler, account) == (Counter(membership=6), 0)

    for segment in segments:
        assert await api.member_ids(segment) == {one.id for one in people}
    assert await counts_differ(work_db, account) == []
    assert await whole_pass(reconciler, account) == (Counter(), 0)


async def test_a_repair_is_told_as_any_step_is(reconciler, people, segments, work_db, account):
    told = len(await events_of(work_db, account, "segment.members_changed"))
    await run(work_db, account, f"DELETE FROM members WHERE {ONE}", uuid_of(people[0]))

    await whole_pass(reconciler, account)

    events = (await events_of(work_db, account, "segment.members_changed"))[told:]
    assert all(row["bulk"] for row in events)
    steps = segment_steps(events)
    assert sorted(one.segment_id for one in steps) == sorted(segments)
    assert all([step.contact_id for step in one.joined] == [people[0].id] for one in steps)


async def test_nothing_of_an_empty_projection_is_missed_over_several_chunks(
    reconciler, there, segments, api, work_db, account
):
    """As after the database was made anew."""
    everybody = [there.add(tags=["premium"] if n % 3 else []) for n in range(2 * MAX_BATCH + 7)]

    assert await whole_pass(reconciler, account) == (Counter(contact=len(everybody)), 0)

    expected = sum(1 for one in everybody if one.tags)
    assert (await api.get(segments[0])).member_count == expected
    assert there.asked == ["", *(sorted(there.contacts)[n - 1] for n in (MAX_BATCH, 2 * MAX_BATCH))]
    assert await whole_pass(reconciler, account) == (Counter(), 0)


async def test_many_tombstones_here_do_not_hide_what_lies_between(reconciler, there, evaluator, account):
    everybody = [there.add() for _ in range(2 * MAX_BATCH)]
    await there.tell(evaluator, *everybody)
    for one in everybody[::2]:
        there.delete(one)

    assert await whole_pass(reconciler, account) == (Counter(contact=MAX_BATCH), 0)

    last = there.add()
    assert await whole_pass(reconciler, account) == (Counter(contact=1), 0)
    assert there.contacts[last.id] is last


async def test_what_may_still_be_on_the_way_is_no_fault(reconciler, there, people, segments, api, evaluator, account):
    there.add(tags=["premium"], ago=NOW)
    there.change(people[0], tags=[], ago=NOW)
    there.delete(people[1], ago=NOW)

    assert await whole_pass(reconciler, account) == (Counter(), 3)

    assert await api.member_ids(segments[0]) == {one.id for one in people}


async def test_while_consumers_are_behind_more_is_on_the_way_but_not_for_ever(
    work_db, contacts_source, evaluator, there, people, account
):
    async def behind() -> bool:
        return True

    patient = Reconciler(work_db, contacts_source, evaluator, Lanes(), behind=behind)
    there.change(people[0], tags=[], ago=timedelta(minutes=10))
    there.delete(people[1], ago=timedelta(minutes=10))
    assert await whole_pass(patient, account) == (Counter(), 2)
    there.change(people[2], tags=[], ago=timedelta(minutes=90))

    assert await whole_pass(patient, account) == (Counter(contact=1), 2)


async def test_a_build_that_is_being_filled_is_left_to_its_filling(reconciler, people, api, work_db, account):
    # It flips sooner than those that are watched already.
    made = await api.create(rule(("country", "equals", "DE"), ("created_at", "in_last", "10d")), name="Later")

    assert await whole_pass(reconciler, account) == (Counter(), 0)

    await build_all(work_db)
    assert await api.member_ids(made.id) == {one.id for one in people}
    assert await whole_pass(reconciler, account) == (Counter(), 0)


async def test_who_is_due_is_left_to_the_clock(work_db, contacts_source, evaluator, people, segments, api, account):
    later = Evaluator(work_db, clock=lambda: evaluator.now() + 40 * DAY)
    reconciler = Reconciler(work_db, contacts_source, later, Lanes(), behind=nobody_is_behind)

    assert await whole_pass(reconciler, account) == (Counter(), 0)

    assert await api.member_ids(segments[1]) == {one.id for one in people}


async def test_a_contact_that_comes_between_two_looks_is_not_taken_for_one_that_is_gone(
    reconciler, contacts_source, there, people, segments, api, evaluator, account, monkeypatch
):
    page = contacts_source.versions

    async def then_one_comes(*args, **options):
        found = await page(*args, **options)
        await there.tell(evaluator, there.add(tags=["premium"], ago=NOW))
        return found

    monkeypatch.setattr(contacts_source, "versions", then_one_comes)

    assert await whole_pass(reconciler, account) == (Counter(), 0)

    assert (await api.get(segments[0])).member_count == len(people) + 1


async def test_another_account_is_not_touched(reconciler, people, work_db, account):
    stranger = There(new_account())
    one = stranger.add(tags=["premium"])
    await stranger.tell(Evaluator(work_db), one)
    rows = await projected(work_db, stranger.account)

    assert await whole_pass(reconciler, account) == (Counter(), 0)

    assert await projected(work_db, stranger.account) == rows


async def test_nothing_is_found_while_everything_changes(
    reconciler, there, people, segments, api, work_db, evaluator, account
):
    """Contacts come, change and go, told of late and out of order; segments are made and edited; passes go on."""
    dice = random.Random(4)
    crowd = [there.add(tags=["premium"], country="DE") for _ in range(MAX_BATCH + 40)]
    await there.tell(evaluator, *crowd)
    before, passes = counted(), 0

    async def changing() -> None:
        for round_number in range(40):
            told = [one_change() for _ in range(12)]
            dice.shuffle(told)
            await asyncio.gather(*(deliver(evaluator, account, kind, event) for kind, event in told))
            if round_number % 10 == 5:
                tag = dice.choice(["premium", "basic"])
                await api.update(segments[0], rule_json=rule(("tags", "contains", tag)))
                await build_all(work_db)

    def one_change():
        one = there.contacts[dice.choice(list(there.contacts))]
        if dice.random() < 0.2:
            return "contact.created", changes(there.add(tags=["premium"], ago=NOW))
        changed = there.change(one, tags=[dice.choice(["premium", "basic"])], ago=NOW)
        return "contact.updated", changes(changed, fields=["tags"])

    task = asyncio.create_task(changing())
    while not task.done():
        repaired, _ = await whole_pass(reconciler, account)
        assert repaired == Counter()
        passes += 1
    await task

    assert passes > 3
    assert await whole_pass(reconciler, account) == (Counter(), 0)
    assert counted() == before
    assert await counts_differ(work_db, account) == []


async def test_the_contacts_service_is_away(work_db, evaluator, keys, there, people, account):
    """The step fails as a whole, says so, and changes nothing."""
    rows = await projected(work_db, account)
    async with source("127.0.0.1:1", keys) as nobody:
        alone = Reconciler(work_db, nobody, evaluator, Lanes(), behind=nobody_is_behind)
        with pytest.raises(CarillonError):
            await alone.step(account, Place())

    assert await projected(work_db, account) == rows
