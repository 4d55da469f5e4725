import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.segments.domain.matcher import RuleSet, bits, differences
from services.segments.domain.rules import NOBODY, Condition, Facts, compile_rule
from tests.unit.segments import oracle
from tests.unit.segments.strategies import cases, facts

ANA = Facts("ana lopez", "+14155552671", "ana@example.com", ("premium", "vip gold"))
BEN = Facts("ben", None, None, ())


def matches(field, operator, *values):
    """Which of ANA (0), BEN (1) and a contact with nothing (2)."""
    rule_set = RuleSet({"it": compile_rule([Condition(field, operator, values)])})
    return list(bits(rule_set.match([ANA, BEN, NOBODY]).get("it", 0)))


@pytest.mark.parametrize(
    ("field", "operator", "values", "expected"),
    [
        ("name", "equals", ["Ben"], [1]),
        ("name", "contains", ["a l"], [0]),
        ("name", "contains", ["n"], [0, 1]),
        ("name", "starts_with", ["lopez"], []),
        ("name", "ends_with", ["LOPEZ"], [0]),
        ("name", "ends_with", ["ana"], []),
        ("phone", "starts_with", ["+1415"], [0]),
        ("email", "ends_with", ["@example.com", "@other.com"], [0]),
        ("tags", "contains", ["premium"], [0]),
        ("tags", "contains", ["prem"], []),
        ("tags", "starts_with", ["prem"], [0]),
        ("tags", "ends_with", ["gold"], [0]),
        ("name", "contains", ["%"], []),
        ("name", "contains", ["_"], []),
        # Longer than every value: must not run over the end of one into the next.
        ("name", "contains", ["ana lopezben"], []),
    ],
)
def test_operators(field, operator, values, expected):
    assert matches(field, operator, *values) == expected


def test_all_conditions_must_hold():
    both = compile_rule([Condition("tags", "contains", ("premium",)), Condition("name", "equals", ("ben",))])

    assert RuleSet({"both": both}).match([ANA, BEN]) == {}


def test_a_value_that_several_share_marks_them_all():
    rule = compile_rule([Condition("name", "equals", ("ben",))])

    assert list(bits(RuleSet({"it": rule}).match([BEN, ANA, BEN])["it"])) == [0, 2]


@given(cases())
def test_agrees_with_the_oracle(case):
    written, people = case
    rule_set = RuleSet({place: compile_rule(conditions) for place, conditions in enumerate(written)})

    matched = rule_set.match([facts(person) for person in people])

    for place, conditions in enumerate(written):
        expected = [at for at, person in enumerate(people) if oracle.holds(conditions, person)]
        assert list(bits(matched.get(place, 0))) == expected


def test_differences_leave_out_what_stayed():
    found = {d.key: (d.joined, d.left) for d in differences({"a": 0b011, "b": 0b1}, {"a": 0b110, "b": 0b1, "c": 0b1})}

    assert found == {"a": ([0], [2]), "c": ([], [0])}


@given(st.sets(st.integers(0, 600)))
def test_bits_are_the_places_in_order(places):
    assert list(bits(sum(1 << place for place in places))) == sorted(places)
