"""Segments whose rules name segments."""

import asyncio
import itertools

import pytest

from carillon.segments.v1 import segments_pb2 as pb
from chassis import ids
from chassis.errors import FailedPrecondition, InvalidArgument, Reason
from services.segments import builder, builds
from services.segments.domain import definitions
from services.segments.evaluation import Evaluator
from tests.service.segments.clockwork import Clock
from tests.service.segments.world import PREMIUM, changes, contact, counts_differ, deliver, leaf, rule, tree

VIP = rule(("tags", "contains", "vip"))
pytestmark = pytest.mark.usefixtures("nothing_left_to_build")


@pytest.fixture
def evaluator(work_db):
    """Events are delivered by hand and nothing builds by itself."""
    return Evaluator(work_db)


@pytest.fixture
def build(work_db):
    return Clock(work_db, "2026-03-01").build


@pytest.fixture
async def three(api, build):
    """Premium; premium who may be mailed; and those who are not among these."""
    lowest = await api.create(name="lowest")
    middle = await api.create(rule(named(lowest), ("email", "exists")), name="middle")
    top = await api.create(rule(("segments", "not_contains", middle.id)), name="top")
    await build()
    return lowest.id, middle.id, top.id


def named(*segments):
    return ("segments", "contains_any", [segment.id for segment in segments])


async def inside(api, one, segments):
    """In which of the segments the contact is, as a text of their places."""
    found = await api.segments_of(one.id)
    return [place for place, segment in enumerate(segments) if segment in found]


async def next_claims(db, count):
    """The segments whose builds are claimed one after another, each worked on to its end."""
    claimed = []
    for _ in range(count):
        build = await builds.claim(db)
        if build is None:
            break
        claimed.append(ids.encode("seg", build.segment))
        await builder.work(db, build)
    return claimed


def pointers(caught):
    assert caught.value.reason == Reason.INVALID_RULE
    return [violation.pointer for violation in caught.value.violations]


async def test_membership_follows_through_three_levels(api, evaluator, account, three, work_db):
    ana = contact(email="ana@example.com")
    await deliver(evaluator, account, "contact.created", changes(ana))
    assert await inside(api, ana, three) == [2]

    for version, tags, email, changed, expected in [
        (2, ["premium"], "ana@example.com", "tags", [0, 1]),
        (3, ["premium"], None, "email", [0, 2]),
        (4, ["premium"], "a@b.com", "email", [0, 1]),
        (5, [], "a@b.com", "tags", [2]),
    ]:
        one = contact(version, id=ana.id, tags=tags, email=email)
        await deliver(evaluator, account, "contact.updated", changes(one, fields=[changed]))
        assert await inside(api, ana, three) == expected

    assert await counts_differ(work_db, account) == []


async def test_an_edit_at_the_bottom_builds_all_above_it_anew_in_order(api, evaluator, account, three, work_db):
    ana, ben = contact(tags=["premium"], email="a@a.com"), contact(tags=["vip"], email="b@b.com")
    await deliver(evaluator, account, "contact.created", changes(ana, ben))
    beside = await api.create(VIP)
    await next_claims(work_db, 10)

    edited = await api.update(three[0], rule_json=VIP)

    assert edited.version == 2
    for segment, rule_json in zip(three[1:], [(await api.get(one)).rule_json for one in three[1:]], strict=True):
        found = await api.get(segment)
        # Their own rules are as they were, and so are their versions.
        assert (found.status, found.version, found.rule_json) == (pb.SEGMENT_STATUS_BUILDING, 1, rule_json)
    assert await api.is_ready(beside.id)
    # What was served is served until the new is there.
    assert await inside(api, ana, three) == [0, 1]
    assert await inside(api, ben, three) == [2]
    claimed = await next_claims(work_db, 10)
    assert [segment for segment, _ in itertools.groupby(claimed) if segment in three][:3] == list(three)
    assert await inside(api, ana, three) == [2]
    assert await inside(api, ben, three) == [0, 1]
    assert all([await api.is_ready(segment) for segment in three])
    assert await counts_differ(work_db, account) == []


async def test_those_above_wait_while_the_one_below_is_filled(api, three, work_db):
    await api.update(three[0], rule_json=VIP)

    lowest = await builds.claim(work_db)

    assert lowest is not None
    assert ids.encode("seg", lowest.segment) == three[0]
    assert await builds.claim(work_db) is None
    await builder.work(work_db, lowest)
    claimed = [ids.encode("seg", one.segment) for one in [await builds.claim(work_db) for _ in range(3)] if one]
    # The middle, and what is left to sweep of the lowest.
    assert three[1] in claimed
    assert three[2] not in claimed


async def test_a_build_that_fails_below_does_not_hold_up_those_above(api, evaluator, account, three, build, work_db):
    ana = contact(tags=["vip"], email="a@a.com")
    await deliver(evaluator, account, "contact.created", changes(ana))
    await api.update(three[0], rule_json=VIP)
    async with work_db.write(account) as tx:
        failed = "UPDATE builds SET state = 'failed' WHERE account_id = $1 AND segment_id = $2 AND state = 'building'"
        await tx.execute(failed, account, ids.decode("seg", three[0]))

    await build()

    assert (await api.get(three[0])).status == pb.SEGMENT_STATUS_FAILED
    assert await inside(api, ana, three) == [1]
    # The next edit starts over, also one of the name.
    await api.update(three[0], name="Again")
    await build()
    assert await inside(api, ana, three) == [0, 1]


async def test_an_edit_in_the_middle_leaves_the_bottom_alone(api, three, build):
    await api.update(three[1], rule_json=rule(("segments", "not_contains", three[0])))

    assert [await api.is_ready(segment) for segment in three] == [True, False, False]
    await build()
    assert [await api.is_ready(segment) for segment in three] == [True, True, True]


async def test_another_name_builds_nothing(api, three):
    await api.update(three[0], name="Another")

    assert [await api.is_ready(segment) for segment in three] == [True, True, True]


@pytest.mark.parametrize("length", [1, 2, 3])
async def test_cycles_are_refused(api, length):
    chain = [await api.create()]
    for _ in range(length - 1):
        chain.append(await api.create(rule(("segments", "equals", chain[-1].id))))
    closing = tree({"any": [leaf("tags", "exists"), {"not": leaf("segments", "in", [chain[-1].id])}]})

    with pytest.raises(InvalidArgument) as caught:
        await api.update(chain[0].id, rule_json=closing)

    assert pointers(caught) == ["/rules/any/1/not/value"]
    found = await api.get(chain[0].id)
    assert (found.version, found.rule_json) == (1, PREMIUM)


async def test_edits_that_only_together_make_a_cycle(api):
    """One of each pair is refused, whichever comes second."""
    for _ in range(5):
        one, other = await api.create(), await api.create()
        done = await asyncio.gather(
            api.update(one.id, rule_json=rule(named(other))),
            api.update(other.id, rule_json=rule(named(one))),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in done) == ["InvalidArgument", "Segment"]


@pytest.mark.parametrize("unknown", ["seg_01h455vb4pex5vsknk084sn02q", "seg_x", "cnt_01h455vb4pex5vsknk084sn02q"])
async def test_an_unknown_segment_is_refused(api, unknown):
    known = await api.create()

    for written in (
        rule(("tags", "exists"), ("segments", "contains_any", [known.id, unknown])),
        rule(("tags", "exists"), ("segments", "not_equals", unknown)),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await api.create(written)
        assert pointers(caught) == ["/conditions/1/value"]
        with pytest.raises(InvalidArgument):
            await api.call("PreviewSegment", pb.PreviewSegmentRequest(rule_json=written))


async def test_anothers_segment_is_unknown(api, other):
    mine = await api.create()

    with pytest.raises(InvalidArgument) as caught:
        await api.of(other).create(rule(named(mine)))

    assert pointers(caught) == ["/conditions/0/value"]
    assert "No segment has the id" in caught.value.violations[0].detail


async def test_a_segment_in_use_is_not_deleted(api, build, work_db, account):
    lowest = await api.create()
    users = [await api.create(rule(named(lowest))) for _ in range(2)]
    await build()

    with pytest.raises(FailedPrecondition) as caught:
        await api.delete(lowest.id)

    assert caught.value.reason == Reason.SEGMENT_IN_USE
    assert set(caught.value.metadata["used_by"].split(",")) == {user.id for user in users}
    await api.update(users[0].id, rule_json=VIP)
    await api.delete(users[1].id)
    await api.delete(lowest.id)
    await build()
    async with work_db.read(account) as tx:
        left = await tx.fetchval("SELECT count(*) FROM segment_references WHERE account_id = $1", account)
        assert left == 0
        assert await tx.fetchval("SELECT count(*) FROM builds WHERE account_id = $1", account) == 1


async def test_what_a_segment_named_before_its_edit_still_works_after_that_is_gone(
    api, evaluator, account, build, work_db
):
    """Until the new rule is built the old one is served, which carries what it needs with it."""
    lowest = await api.create()
    user = await api.create(rule(named(lowest)))
    await build()
    await api.update(user.id, rule_json=VIP)
    await api.delete(lowest.id)
    ana = contact(tags=["premium"])

    await deliver(Evaluator(work_db), account, "contact.created", changes(ana))

    assert await api.member_ids(user.id) == {ana.id}
    await build()
    assert await api.member_ids(user.id) == set()
    assert await counts_differ(work_db, account) == []


async def test_together_they_have_a_thousand_conditions_at_most(api):
    hundred = await api.create(rule(*[("tags", "contains", f"t{n}") for n in range(100)]))
    ten = await api.create(rule(*[named(hundred) for _ in range(9)]))

    with pytest.raises(InvalidArgument) as caught:
        await api.create(rule(named(ten), ("tags", "exists"), named(hundred)))
    assert pointers(caught) == ["/conditions/2/value"]
    many = await api.create(rule(("tags", "contains_all", [f"t{n}" for n in range(101)])))
    with pytest.raises(InvalidArgument) as caught:
        await api.create(rule(named(ten), named(many)))
    assert pointers(caught) == ["/conditions/1/value"]
    # What grows is refused also where it is named; the pointer is into the request, which has no such place.
    user = await api.create(rule(named(ten)))
    with pytest.raises(InvalidArgument) as caught:
        await api.update(ten.id, rule_json=rule(*[named(hundred) for _ in range(10)]))
    assert user.id in caught.value.violations[0].detail
    assert (await api.get(ten.id)).version == 1
    assert await api.get(user.id)


async def test_a_chain_is_no_longer_than_can_be_evaluated(api, evaluator, account, build):
    """A thousand in a row would be few conditions, and no interpreter's stack would hold them."""
    chain = [await api.create()]
    while len(chain) < definitions.MAX_CHAIN:
        chain.append(await api.create(rule(("segments", "not_contains", chain[-1].id))))

    with pytest.raises(InvalidArgument) as caught:
        await api.create(rule(("segments", "contains", chain[-1].id)))
    assert pointers(caught) == ["/conditions/0/value"]
    below = await api.create()
    with pytest.raises(InvalidArgument) as caught:
        await api.update(chain[0].id, rule_json=rule(named(below)))
    assert any(one.id in caught.value.violations[0].detail for one in chain)

    await build()
    ana, ben = contact(tags=["premium"]), contact()
    await deliver(evaluator, account, "contact.created", changes(ana, ben))
    assert await inside(api, ana, [one.id for one in chain]) == [0, 2, 4, 6, 8]
    assert await inside(api, ben, [one.id for one in chain]) == [1, 3, 5, 7, 9]


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("equals", {"a", "b", "ab"}),
        ("contains", {"a", "b", "ab"}),
        ("in", {"a", "b", "ab"}),
        ("contains_all", {"ab"}),
        ("not_contains_any", {""}),
        ("not_contains_all", {"", "a", "b"}),
    ],
)
async def test_the_operators_on_segments(api, evaluator, account, build, operator, expected):
    lower = [await api.create(rule(("tags", "contains", tag))) for tag in "ab"]
    live = await api.create(rule(("segments", operator, [one.id for one in lower])))
    await build()
    people = {tags: contact(tags=list(tags)) for tags in ("", "a", "b", "ab")}
    await deliver(evaluator, account, "contact.created", changes(*people.values()))
    built = await api.create(rule(("segments", operator, [one.id for one in lower])))
    await build()

    for segment in (live, built):
        found = await api.member_ids(segment.id)
        assert {tags for tags, one in people.items() if one.id in found} == expected
