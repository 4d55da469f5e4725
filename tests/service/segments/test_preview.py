"""Whom a rule would hold, without keeping anything."""

import asyncpg
import orjson
import pytest

from carillon.segments.v1 import segments_pb2 as pb
from chassis.errors import InvalidArgument, Reason
from services.segments import preview, projection
from services.segments.evaluation import Evaluator
from tests.service.segments.clockwork import recipient, tell
from tests.service.segments.world import PREMIUM, changes, contact, deletions, deliver, leaf, rule, tree

CAMPAIGN = "cmp_01h455vb4pex5vsknk084sn02q"
TABLES = ("segments", "builds", "members", "due", "outbox", "rule_sets", "segment_references")
# More conditions than are always counted, with one more.
MANY = [("name", "not_equals", f"nobody {n}") for n in range(preview.EXACT_CONDITIONS)]


@pytest.fixture
def evaluator(work_db):
    return Evaluator(work_db)


@pytest.fixture
async def crowd(evaluator, account):
    """A third of sixty are premium."""
    people = [contact(tags=["premium"] if n % 3 == 0 else [], name=f"No {n}") for n in range(60)]
    await deliver(evaluator, account, "contact.created", changes(*people), bulk=True)
    return people


@pytest.fixture
async def sampled(monkeypatch, urls, serve_db, account):
    """What makes the account so large that it is reckoned, with all pages in the sample."""

    async def make():
        connection = await asyncpg.connect(urls.admin)
        await connection.execute("ANALYZE contacts_projection")
        await connection.close()
        async with serve_db.read(account) as tx:
            contacts = await tx.planned_rows(projection.OF_ACCOUNT, account)
        monkeypatch.setattr(preview, "EXACT_CONTACTS", 10)
        monkeypatch.setattr(preview, "FEWEST", 5)
        monkeypatch.setattr(preview, "MOST_OTHERS", 10**9)
        monkeypatch.setattr(preview, "SAMPLED", contacts)

    return make


async def previewed(api, written):
    return await api.call("PreviewSegment", pb.PreviewSegmentRequest(rule_json=written))


async def test_the_count_and_ten_of_them(api, crowd):
    found = await previewed(api, PREMIUM)

    assert (found.count, found.estimate, len(found.sample)) == (20, False, preview.SAMPLE)
    assert len({one.id for one in found.sample}) == preview.SAMPLE
    by_id = {one.id: one for one in crowd if one.tags}
    assert all(one == by_id[one.id] for one in found.sample)


async def test_nobody(api, crowd):
    found = await previewed(api, rule(("tags", "contains", "none")))

    assert (found.count, found.estimate, list(found.sample)) == (0, False, [])


async def test_a_small_account_is_counted_whatever_the_rule(api, crowd):
    found = await previewed(api, rule(("tags", "contains", "premium"), *MANY))

    assert (found.count, found.estimate) == (20, False)


async def test_nothing_is_written(api, crowd, account, work_db):
    async def rows():
        async with work_db.read(account) as tx:
            return [
                await tx.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = $1", account) for table in TABLES
            ]

    before = await rows()

    await previewed(api, rule(("created_at", "not_in_last", "1d")))

    assert await rows() == before


async def test_the_deleted_and_those_only_heard_of_are_left_out(api, evaluator, account, crowd):
    everybody = rule(("tags", "not_contains", "none"))
    await deliver(evaluator, account, "contact.deleted", deletions(*crowd[:5]))
    await tell(evaluator, account, "opened", recipient(contact().id))

    found = await previewed(api, everybody)

    assert found.count == 55
    assert not {one.id for one in found.sample} & {one.id for one in crowd[:5]}


async def test_messages_are_joined(api, evaluator, account, crowd):
    for one in crowd[:4]:
        await tell(evaluator, account, "delivered", recipient(one.id), campaign=CAMPAIGN)

    for condition, count in [
        (("campaigns", "contains", CAMPAIGN), 4),
        (("messages_received", "equals", 0), 56),
        (("last_delivered_at", "in_last", "1d"), 4),
        (("last_delivered_at", "not_exists"), 56),
    ]:
        assert (await previewed(api, rule(condition))).count == count
        both = await previewed(api, rule(condition, ("tags", "contains", "premium")))
        assert both.count == len([one for one in crowd if one.tags and (one in crowd[:4]) == (count == 4)])


async def test_segments_that_it_names_are_inlined_and_need_not_be_built(api, crowd):
    premium = await api.create()

    found = await previewed(api, tree({"not": leaf("segments", "contains", premium.id)}))

    assert found.count == 40


async def test_others_contacts_do_not_count(api, crowd, evaluator, other):
    await deliver(evaluator, other, "contact.created", changes(contact(tags=["premium"])))

    found = await previewed(api.of(other), PREMIUM)

    assert (found.count, len(found.sample)) == (1, 1)


async def test_a_large_account_is_reckoned_from_a_sample(api, crowd, evaluator, other, sampled):
    """Pages of other accounts are in the sample too."""
    strangers = [contact(tags=["premium"]) for _ in range(40)]
    await deliver(evaluator, other, "contact.created", changes(*strangers), bulk=True)
    await sampled()

    found = await previewed(api, rule(("tags", "contains", "premium"), *MANY))

    assert found.estimate
    # As near as the planner knows how many contacts there are.
    assert 18 <= found.count <= 22
    assert len(found.sample) == preview.SAMPLE
    assert not {one.id for one in found.sample} & {one.id for one in strangers}


async def test_few_conditions_are_counted_also_in_a_large_account(api, crowd, sampled):
    await sampled()

    found = await previewed(api, rule(("tags", "contains", "premium"), *MANY[:-1]))

    assert (found.count, found.estimate) == (20, False)


async def test_conditions_are_counted_as_they_are_written(api, crowd, sampled):
    """One on custom data is several comparisons."""
    await sampled()

    found = await previewed(api, rule(*(("metadata.plan", "not_equals", n) for n in range(5))))

    assert (found.count, found.estimate) == (60, False)


async def test_a_sample_that_is_too_small_is_not_reckoned_from(api, crowd, sampled, monkeypatch):
    await sampled()
    monkeypatch.setattr(preview, "FEWEST", 1_000)

    found = await previewed(api, rule(("tags", "contains", "premium"), *MANY))

    assert (found.count, found.estimate) == (20, False)


async def test_an_account_among_much_larger_ones_is_counted(api, crowd, evaluator, other, sampled, monkeypatch):
    """A sample of the pages would be mostly theirs."""
    strangers = [contact(tags=["premium"]) for _ in range(200)]
    await deliver(evaluator, other, "contact.created", changes(*strangers), bulk=True)
    await sampled()
    monkeypatch.setattr(preview, "MOST_OTHERS", 2)

    found = await previewed(api, rule(("tags", "contains", "premium"), *MANY))

    assert (found.count, found.estimate) == (20, False)


async def test_the_deleted_are_not_reckoned(api, crowd, evaluator, account, sampled):
    """They stay in the table, half of it here."""
    await deliver(evaluator, account, "contact.deleted", deletions(*crowd[:30]))
    await sampled()

    found = await previewed(api, rule(("tags", "contains", "premium"), *MANY))

    assert found.estimate
    assert 9 <= found.count <= 11


async def test_messages_are_joined_where_it_is_reckoned(api, crowd, evaluator, account, sampled):
    for one in crowd[:30]:
        await tell(evaluator, account, "delivered", recipient(one.id), campaign=CAMPAIGN)
    await sampled()

    found = await previewed(api, rule(("campaigns", "contains", CAMPAIGN), *MANY))

    assert found.estimate
    assert 27 <= found.count <= 33


@pytest.mark.parametrize("path", ["{percent}", "{predicate}", "{join}", "it's", "$1", 'a"b', "%s", "back\\slash"])
async def test_paths_are_looked_for_as_they_are_written(api, crowd, evaluator, account, sampled, path):
    metadata = orjson.dumps({path: "here"}).decode()
    people = [contact(metadata_json=metadata) for _ in range(60)]
    await deliver(evaluator, account, "contact.created", changes(*people))
    here = (f"metadata.{path}", "equals", "here")
    assert (await previewed(api, rule(here))).count == 60
    await sampled()

    found = await previewed(api, rule(here, *MANY))

    assert found.estimate
    assert 54 <= found.count <= 66


async def test_what_cannot_be_evaluated_is_refused(api):
    with pytest.raises(InvalidArgument) as caught:
        await previewed(api, rule(("colour", "equals", "red")))

    assert caught.value.reason == Reason.INVALID_RULE
    assert [violation.pointer for violation in caught.value.violations] == ["/conditions/0/field"]
