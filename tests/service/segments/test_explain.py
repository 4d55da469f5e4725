"""Why a contact is in a segment: each condition with what was seen, and when it flips."""

import orjson
import pytest

from carillon.contacts.v1 import contacts_pb2
from carillon.segments.v1 import segments_pb2 as pb
from chassis import ids
from chassis.errors import NotFound, Reason
from services.segments import contact_facts, explanations
from services.segments.domain.definitions import read
from services.segments.domain.matcher import RuleSet
from services.segments.evaluation import Evaluator
from tests.service.segments.clockwork import DAY, micros, recipient, stamp, tell
from tests.service.segments.world import changes, contact, deletions, deliver, leaf, rule, tree
from tests.service.stack import eventually

CREATED, SENT = "2026-01-02T03:04:05.678901Z", "2026-02-01T01:00:00Z"
CAMPAIGN = "cmp_01h455vb4pex5vsknk084sn02q"
LIST = "lst_01h455vb4pex5vsknk084sn02q"


def person():
    return contact(
        7,
        name="Ana María",
        first_name="Ana",
        phone="+14155552671",
        country="US",
        tags=["Premium", "EU"],
        lists=[LIST],
        do_not_disturb=True,
        is_bot_active=True,
        created_at=stamp(CREATED),
        preferences={"sms": contacts_pb2.PREFERENCE_OPTED_OUT},
        phone_validity=contacts_pb2.VALIDITY_VALID,
        metadata_json=orjson.dumps(
            {
                "plan": {"seats": 10, "name": "Gold"},
                "orders": [{"total": 5}, {"total": 50}],
                "a.b": "dotted",
                "no": None,
            }
        ).decode(),
        current_campaign_data_json='{"step": "2"}',
    )


@pytest.fixture
def evaluator(work_db):
    return Evaluator(work_db)


@pytest.fixture
async def ana(evaluator, account):
    one = person()
    await deliver(evaluator, account, "contact.created", changes(one))
    delivered = recipient(one.id, delivered="2026-02-01T02:00:00Z", sent=SENT)
    await tell(evaluator, account, "delivered", delivered, campaign=CAMPAIGN)
    return one


async def explained(api, segment_id, contact_id):
    request = pb.ExplainMembershipRequest(segment_id=segment_id, contact_id=contact_id)
    return await api.call("ExplainMembership", request)


async def ready(api, written):
    segment = await api.create(written)
    await eventually(lambda: api.is_ready(segment.id))
    return segment.id


# (field, operator, value, passed, seen)
CONDITIONS = [
    ("name", "contains", "MARÍA", True, "Ana María"),
    ("first_name", "not_equals", "Ben", True, "Ana"),
    ("last_name", "exists", None, False, None),
    ("last_name", "not_equals", "x", True, None),
    ("phone", "starts_with", "+1", True, "+14155552671"),
    ("email", "not_exists", None, True, None),
    ("tags", "contains_all", ["premium", "eu"], True, ["Premium", "EU"]),
    ("tags", "not_contains", "eu", False, ["Premium", "EU"]),
    ("channels", "exists", None, False, None),
    ("lists", "contains", LIST, True, [LIST]),
    ("do_not_disturb", "equals", True, True, True),
    ("is_bot_active", "not_equals", True, False, True),
    ("is_chat_window_open", "equals", False, True, False),
    ("created_at", "before", "2026-01-03", True, CREATED),
    ("updated_at", "after", "2020-01-01", False, None),
    ("version", "gt", 7, False, 7),
    ("preferences.sms", "equals", "opted_out", True, "opted_out"),
    ("preferences.email", "equals", "unknown", True, "unknown"),
    ("validity.phone", "in", ["valid", "unknown"], True, "valid"),
    ("validity.email", "not_equals", "valid", True, "unknown"),
    ("metadata.plan.seats", "gte", 10, True, 10),
    ("metadata.plan.name", "equals", "gold", True, "Gold"),
    ("metadata.plan", "exists", None, False, {"seats": 10, "name": "Gold"}),
    ("metadata.orders.total", "gt", 20, True, [5, 50]),
    ("metadata.a.b", "equals", "dotted", True, "dotted"),
    ("metadata.no", "exists", None, False, None),
    ("metadata.missing", "not_contains", "x", True, None),
    ("current_campaign_data.step", "equals", 2, True, "2"),
    ("last_message_at", "after", "2026-01-01", True, SENT),
    ("last_opened_at", "exists", None, False, None),
    ("messages_received", "equals", 1, True, 1),
    ("campaigns", "contains", CAMPAIGN, True, [CAMPAIGN]),
]


async def test_every_kind_of_field(api, ana):
    written = rule(*[(field, how, *([] if value is None else [value])) for field, how, value, _, _ in CONDITIONS])
    segment = await api.create(written)

    told = await explained(api, segment.id, ana.id)

    for place, (one, expected) in enumerate(zip(told.leaves, CONDITIONS, strict=True)):
        value = orjson.loads(one.value_json) if one.HasField("value_json") else None
        assert (one.field, one.operator, value, one.passed, orjson.loads(one.seen_json)) == expected
        assert one.pointer == f"/conditions/{place}"
        assert not one.HasField("flips_at")
    assert not told.HasField("flips_at")
    assert not told.matches


async def test_who_never_got_a_message(api, evaluator, account):
    ben = contact()
    await deliver(evaluator, account, "contact.created", changes(ben))
    segment = await api.create(
        rule(("messages_received", "equals", 0), ("campaigns", "exists"), ("last_message_at", "exists"))
    )

    told = await explained(api, segment.id, ben.id)

    assert [(one.passed, orjson.loads(one.seen_json)) for one in told.leaves] == [
        (True, 0),
        (False, None),
        (False, None),
    ]


async def test_a_tree_is_explained_in_the_order_in_which_it_is_written(api, ana, builder):
    inside = [leaf("country", "equals", "DE"), {"not": {"all": [leaf("tags", "contains", "none")]}}]
    segment = await ready(api, tree({"any": inside, "not": leaf("stage", "exists")}))

    told = await explained(api, segment, ana.id)

    assert [(one.pointer, one.passed) for one in told.leaves] == [
        ("/rules/any/0", False),
        ("/rules/any/1/not/all/0", False),
        ("/rules/not", False),
    ]
    assert (told.matches, told.member) == (True, True)
    [member] = await api.members(segment)
    assert told.joined_at == member.joined_at


async def test_segments_are_explained_by_those_that_the_contact_is_in(api, ana, builder):
    eu, de = await ready(api, rule(("tags", "contains", "eu"))), await ready(api, rule(("country", "equals", "de")))
    segment = await api.create(
        rule(
            ("segments", "contains_any", [de, eu]),
            ("segments", "not_contains", de),
            ("segments", "contains_all", [eu, de]),
        )
    )

    told = await explained(api, segment.id, ana.id)

    assert [(one.passed, orjson.loads(one.seen_json)) for one in told.leaves] == [
        (True, [eu]),
        (True, None),
        (False, [eu]),
    ]


async def test_when_it_flips(api, evaluator, account):
    """A condition on its own, each with the next moment at which it changes; the first of them is the rule's."""
    now = contact_facts.now_micros()
    ends, starts = now + DAY, now + 2 * DAY
    times = [contact_facts.time_of(at).isoformat() for at in (ends, ends - DAY // 2, starts, starts + 5 * DAY)]
    metadata = {"array": times[:2], "starts": times[2], "later": times[3]}
    ana = contact(created_at=stamp(ends - 30 * DAY), metadata_json=orjson.dumps(metadata).decode())
    await deliver(evaluator, account, "contact.created", changes(ana))
    inner = await api.create(rule(("metadata.starts", "in_last", "1d"), ("tags", "exists")))
    segment = await api.create(
        rule(
            ("created_at", "in_last", "30d"),
            ("metadata.starts", "not_in_last", "1h"),
            ("metadata.later", "in_next", "3d"),
            # That one of them is over changes nothing while the other is to come.
            ("metadata.array", "in_next", "1w"),
            ("tags", "not_exists"),
            # It needs a tag, which time does not bring.
            ("segments", "contains", inner.id),
            ("metadata.starts", "in_last", "1h"),
        )
    )

    told = await explained(api, segment.id, ana.id)

    flips = [contact_facts.micros_of(one.flips_at) if one.HasField("flips_at") else None for one in told.leaves]
    assert flips == [ends, starts, starts + 2 * DAY, ends, None, None, starts]
    assert contact_facts.micros_of(told.flips_at) == ends
    assert now <= contact_facts.micros_of(told.as_of) <= contact_facts.now_micros()
    assert [one.passed for one in told.leaves] == [True, True, False, True, True, False, False]


async def test_what_is_stored_and_what_the_rule_says_differ_while_it_is_built(api, evaluator, account, ana, worker):
    segment = await ready(api, rule(("tags", "contains", "eu")))
    # Damaged by hand: nothing but a change of a tag would heal it.
    async with worker._db.write(account) as tx:
        await tx.execute("DELETE FROM members WHERE account_id = $1", account)

    told = await explained(api, segment, ana.id)

    assert (told.member, told.matches) == (False, True)
    assert not told.HasField("joined_at")


async def test_the_newest_rule_is_explained_before_it_is_built(api, ana):
    segment = await api.create(rule(("tags", "contains", "eu")))
    await api.update(segment.id, rule_json=rule(("country", "equals", "FR")))

    told = await explained(api, segment.id, ana.id)

    assert [one.field for one in told.leaves] == ["country"]
    assert (told.matches, told.member) == (False, False)


async def test_what_is_not_there_is_not_found(api, evaluator, account, ana):
    segment = await api.create()
    gone = contact()
    await deliver(evaluator, account, "contact.deleted", deletions(gone))
    only_messages = contact()
    await tell(evaluator, account, "opened", recipient(only_messages.id))

    for segment_id, contact_id in [
        (segment.id, contact().id),
        (segment.id, gone.id),
        (segment.id, only_messages.id),
        (segment.id, "cnt_x"),
        (ids.encode("seg", ids.new()), ana.id),
    ]:
        with pytest.raises(NotFound) as caught:
            await explained(api, segment_id, contact_id)
        assert caught.value.reason == Reason.NOT_FOUND
        assert (contact_id if segment_id == segment.id else segment_id) in str(caught.value)


def test_a_great_many_dates_do_not_take_for_ever():
    """In looks at the clock, not in seconds: those of all conditions together are bounded."""
    looked = 0
    flips = RuleSet.flips

    def counted(self, *args):
        nonlocal looked
        looked += 1
        return flips(self, *args)

    dates = [f"{year}-{month:02d}-01" for year in range(2030, 2050) for month in range(1, 13)]
    ana = contact(metadata_json=orjson.dumps({"d": ["2020-01-01", *dates]}).decode())
    conditions = [("metadata.d", "in_last", f"{4000 + n}w") for n in range(100)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RuleSet, "flips", counted)
        explanations.explain(read(rule(*conditions)), {}, ana, None, now=micros("2026-01-01"))

    assert looked <= explanations.MAX_FLIPS * explanations.MIN_FLIPS
