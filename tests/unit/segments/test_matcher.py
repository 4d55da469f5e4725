from collections.abc import Sequence
from functools import reduce
from itertools import product
from operator import or_

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carillon.contacts.v1 import contacts_pb2
from services.contacts.domain.contact import WIRE_FIELDS
from services.segments.contact_facts import facts_of
from services.segments.domain.batch import Batch, bits
from services.segments.domain.boolean import And, Expression, Not, Or, leaves
from services.segments.domain.comparisons import Compare, Comparison
from services.segments.domain.facts import Facts
from services.segments.domain.fields import EVERY_VERSION, FIELDS, Source
from services.segments.domain.masks import Masks, anchors, mask_of, possible
from services.segments.domain.matcher import RuleSet, differences
from services.segments.domain.moments import DAY
from tests.unit.segments import oracle
from tests.unit.segments.readings import duration
from tests.unit.segments.strategies import NO_ENGAGEMENT, Case, Person, cases, everything
from tests.unit.segments.values import DURATIONS, NOWS, OFFSETS

ANA: Facts = {"t:name": ("ana lopez",), "e:tags": ("premium", "vip gold"), "n:metadata.age": (30.0, 41.0)}
BEN: Facts = {"t:name": ("ben",), "n:metadata.age": (35.0,)}
NOBODY: Facts = {}
HOUR = DAY // 24
NOW = NOWS[0]


def matches(column, how, *operand):
    """Which of ANA (0), BEN (1) and a contact with nothing (2)."""
    rules = RuleSet({"it": Comparison(column, how, operand)})
    return list(bits(rules.match(Batch([ANA, BEN, NOBODY], NOW)).get("it", 0)))


@pytest.mark.parametrize(
    ("column", "how", "operand", "expected"),
    [
        ("t:name", "equals", ["ben"], [1]),
        ("t:name", "contains", ["a l"], [0]),
        ("t:name", "contains", ["n"], [0, 1]),
        ("t:name", "starts_with", ["lopez"], []),
        ("t:name", "ends_with", ["ana"], []),
        ("e:tags", "starts_with", ["vip"], [0]),
        # Longer than every value: must not run over the end of one into the next.
        ("t:name", "contains", ["ana lopezben"], []),
        # Two values around the range, none in it.
        ("n:metadata.age", "range", [31, 40, True, True], [1]),
        # Ends that are included, and not.
        ("n:metadata.age", "range", [41, None, True, False], [0]),
        ("n:metadata.age", "range", [41, None, False, False], []),
        ("n:metadata.age", "range", [None, 30, False, True], [0]),
        ("n:metadata.age", "range", [None, 30, False, False], []),
        ("n:metadata.age", "range", [41, 35, True, True], []),
    ],
)
def test_comparisons(column, how, operand, expected):
    assert matches(column, Compare(how), *operand) == expected


def test_a_value_that_several_share_marks_them_all():
    rules = RuleSet({"it": Comparison("t:name", Compare.EQUALS, ("ben",))})

    assert list(bits(rules.match(Batch([BEN, ANA, BEN], NOW))["it"])) == [0, 2]


# Rules that flip, and values at the ends of ranges, are few among all that is drawn.
thorough = settings(max_examples=250, deadline=None)


@thorough
@given(cases())
def test_agrees_with_the_oracle(case):
    matched = RuleSet(case.compiled()).match(Batch(case.facts(), case.now))

    for place in range(len(case.definitions)):
        assert list(bits(matched.get(place, 0))) == [
            at for at, person in enumerate(case.people) if holds(case, place, person, case.now)
        ]


def holds(case: Case, place: int, person: Person, now: int) -> bool:
    return oracle.holds(case.definitions[place], person.contact, person.engagement, now, case.segments)


# Rules over the numbers of four comparisons, and the masks of three contacts.
EVERYBODY = 0b111
numbers: st.SearchStrategy[Expression[int]] = st.recursive(
    st.integers(0, 3),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)
masks_of_four = st.lists(st.integers(0, EVERYBODY), min_size=4, max_size=4)
some_of_four = st.sets(st.integers(0, 3))


class Given(Masks):
    def __init__(self, masks: Sequence[int]) -> None:
        self.everybody = EVERYBODY
        self._known = list(masks)


@given(rule=numbers, masks=masks_of_four, looked_for=some_of_four, unknown=some_of_four)
def test_wherever_a_rule_may_hold_so_does_one_of_its_anchors(rule, masks, looked_for, unknown):
    blank = [None if number in looked_for else 0 for number in range(4)]

    for assumed in (set[int](), unknown):
        needed = anchors(rule, blank, assumed)
        if needed is not None:
            anywhere = reduce(or_, (masks[number] for number in needed), 0)
            true, _ = possible(rule, Given(masks), assumed)
            assert true & ~anywhere == 0


def test_anchors_are_what_is_found_anyway_and_then_the_fewest():
    def found(rule: Expression[int], looked_for: int = 9, unknown: int = 9) -> list[int] | None:
        needed = anchors(rule, [None if number == looked_for else 0 for number in range(4)], {unknown})
        return None if needed is None else sorted(needed)

    assert found(And((Or((1, 2)), 3, Not(0)))) == [3]
    assert found(And((Or((1, 2)), 3)), looked_for=3) == [1, 2]
    assert found(And((1, 3)), unknown=1) == [3]
    assert found(Or((1, 2))) == [1, 2]
    assert found(Or((1, Not(2)))) is None
    assert found(Or(())) == []
    assert found(And(())) is None


@given(rule=numbers, masks=masks_of_four, unknown=some_of_four)
def test_possible_is_what_some_truth_of_the_unknown_makes(rule, masks, unknown):
    true, false = possible(rule, Given(masks), unknown)

    could_be, could_not = 0, 0
    for truth in product([0, EVERYBODY], repeat=len(unknown)):
        known = list(masks)
        for number, mask in zip(unknown, truth, strict=True):
            known[number] = mask
        outcome = mask_of(rule, Given(known))
        could_be, could_not = could_be | outcome, could_not | (EVERYBODY & ~outcome)
    assert could_be & ~true == 0
    assert could_not & ~false == 0
    if len(set(leaves(rule))) == len(list(leaves(rule))):
        assert (true, false) == (could_be, could_not)


@thorough
@given(case=cases(2))
def test_a_rule_that_reads_nothing_of_what_changed_answers_as_before(case):
    """The first contact becomes what the last one is."""
    before, after = case.people[0], case.people[-1]
    rules = RuleSet(case.compiled())
    touched = rules.reading(changed_fields(before, after))

    first, second = Batch([before.facts], case.now), Batch([as_contact(before, after).facts], case.now)
    old, new = rules.match(first), rules.match(second)

    for place in range(len(case.definitions)):
        if old.get(place, 0) != new.get(place, 0):
            assert touched.match(first).get(place, 0) == old.get(place, 0)
            assert touched.match(second).get(place, 0) == new.get(place, 0)


def as_contact(before: Person, after: Person) -> Person:
    """after, with the id of before."""
    contact = type(after.contact)()
    contact.CopyFrom(after.contact)
    contact.id = before.contact.id
    return Person(contact, after.engagement)


def changed_fields(before: Person, after: Person) -> frozenset[str]:
    """As events name them."""
    contact = {wire for wire, _ in WIRE_FIELDS if getattr(before.contact, wire) != getattr(after.contact, wire)}
    old, new = (person.engagement or NO_ENGAGEMENT for person in (before, after))
    return frozenset(contact | {name for name in NO_ENGAGEMENT if old[name] != new[name]} | {EVERY_VERSION})


def test_every_column_is_read_by_the_field_of_the_contact_that_it_is_made_of():
    """Field by field: what is different without it."""
    person, events = everything(), {wire for wire, _ in WIRE_FIELDS}
    found = set[str]()
    for descriptor, _ in person.contact.ListFields():
        without = contacts_pb2.Contact.FromString(person.contact.SerializeToString())
        without.ClearField(descriptor.name)  # type: ignore[arg-type]  # one of its fields
        old, new = facts_of(person.contact), facts_of(without)
        changed = frozenset({descriptor.name} if descriptor.name in events else {EVERY_VERSION})
        for column in {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - {"t:id"}:
            found.add(column[2:])
            assert len(RuleSet({"it": Comparison(column, Compare.EXISTS, ())}).reading(changed)) == 1
    assert found >= {name for name, field in FIELDS.items() if field.source is Source.CONTACT} - {
        "id",
        "segments",
        "is_bot_active",
    }


def test_rules_that_read_nothing_of_what_changed_are_not_looked_at():
    rules = RuleSet(
        {
            "name": Comparison("t:name", Compare.EQUALS, ("ana",)),
            "plan": Comparison("t:metadata.plan", Compare.EQUALS, ("gold",)),
            "both": And((Comparison("t:name", Compare.EXISTS, ()), Comparison("e:campaigns", Compare.EXISTS, ()))),
            "seen": Comparison("d:updated_at", Compare.EXISTS, ()),
        }
    )

    def looked_at(*changed):
        facts: Facts = {
            "t:name": ("ana",), "t:metadata.plan": ("gold",), "e:campaigns": ("cmp_a",), "d:updated_at": (NOW,),
        }  # fmt: skip
        return set(rules.reading(frozenset(changed)).match(Batch([facts], NOW)))

    assert looked_at("first_name") == {"name", "both"}
    assert looked_at("metadata_json", "tags") == {"plan"}
    assert looked_at("campaigns") == {"both"}
    assert looked_at(EVERY_VERSION) == {"seen"}
    assert looked_at("stage") == set()


later = st.one_of(
    st.sampled_from([offset for offset in OFFSETS if offset > 0]),
    st.integers(1, 3 * DAY),
    st.integers(1, 800 * DAY),
)


@thorough
@given(case=cases(), after=st.lists(later, min_size=1, max_size=4))
def test_nothing_changes_before_it_is_due(case, after):
    rules, facts = RuleSet(case.compiled()), case.facts()
    flips = rules.flips(Batch(facts, case.now))

    for at, (person, flip) in enumerate(zip(case.people, flips, strict=True)):
        assert flip is None or flip > case.now
        moments = {case.now + offset if flip is None else case.now + offset % (flip - case.now) for offset in after}
        for moment in moments if flip is None else moments | {flip - 1}:
            for place in range(len(case.definitions)):
                assert holds(case, place, person, moment) is holds(case, place, person, case.now), (place, at, moment)


@thorough
@given(case=cases(), after=later)
def test_what_the_clock_changes_is_among_the_relative_rules_and_due(case, after):
    """The other way round: from the change to who is due."""
    rules, facts = RuleSet(case.compiled()), case.facts()
    old, new = rules.match(Batch(facts, case.now)), rules.match(Batch(facts, case.now + after))
    flips = rules.flips(Batch(facts, case.now))

    for difference in differences(new, old):
        assert rules.relative.match(Batch(facts, case.now)).get(difference.key, 0) == old.get(difference.key, 0)
        for at in difference.joined + difference.left:
            due = flips[at]
            assert due is not None
            assert due <= case.now + after


def test_flips_come_to_the_microsecond():
    hours = [Comparison("d:metadata.at", Compare.IN_LAST, (length * HOUR,)) for length in (1, 3)]
    person: Facts = {"d:metadata.at": (NOW - HOUR // 2,), "t:stage": ("won",)}

    assert RuleSet({"one": hours[0]}).flips(Batch([person, {}], NOW)) == [NOW + HOUR // 2, None]
    assert RuleSet({"one": hours[1], "other": hours[0]}).flips(Batch([person], NOW)) == [NOW + HOUR // 2]
    assert RuleSet({"one": hours[0]}).flips(Batch([person], NOW + HOUR // 2)) == [None]

    coming = RuleSet({"one": Comparison("d:metadata.at", Compare.IN_NEXT, (HOUR,))})
    ahead: Facts = {"d:metadata.at": (NOW + 3 * HOUR,)}
    assert [coming.flips(Batch([ahead], NOW + hour * HOUR)) for hour in range(4)] == [
        [NOW + 2 * HOUR], [NOW + 2 * HOUR], [NOW + 3 * HOUR], [None],
    ]  # fmt: skip


def test_who_fails_a_rule_whatever_the_time_is_not_due():
    recent = Comparison("d:metadata.at", Compare.IN_LAST, (HOUR,))
    one: Facts = {"d:metadata.at": (NOW,)}
    other: Facts = {"d:metadata.at": (NOW,), "t:stage": ("won",)}
    won = Comparison("t:stage", Compare.EQUALS, ("won",))

    assert RuleSet({"it": And((recent, won))}).flips(Batch([one, other], NOW)) == [
        None,
        NOW + HOUR,
    ]
    assert RuleSet({"it": Or((recent, Not(won)))}).flips(Batch([one, other], NOW)) == [None, NOW + HOUR]


def test_durations_that_are_drawn_are_ones_that_offsets_meet():
    """Or nothing above would look at the ends of spans."""
    ends = {duration(text) for text in DURATIONS}

    assert len(ends & set(OFFSETS)) >= 5


def test_differences_leave_out_what_stayed():
    found = {d.key: (d.joined, d.left) for d in differences({"a": 0b011, "b": 0b1}, {"a": 0b110, "b": 0b1, "c": 0b1})}

    assert found == {"a": ([0], [2]), "c": ([], [0])}


@given(st.sets(st.integers(0, 600)))
def test_bits_are_the_places_in_order(places):
    assert list(bits(sum(1 << place for place in places))) == sorted(places)
