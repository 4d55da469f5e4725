"""What the rule language comes to: each operator on facts, by its truth."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.segments.domain.boolean import And, Not, Or
from services.segments.domain.comparisons import ALWAYS, Compare, Comparison, compile_rule, holds, next_flip
from services.segments.domain.facts import of_custom
from services.segments.domain.grammar import parse
from services.segments.domain.moments import DAY, moment

NOW = moment(datetime(2026, 6, 15, 12, tzinfo=UTC))
HOUR = DAY // 24


def truth(compiled, facts, now=NOW):
    if isinstance(compiled, And):
        return all(truth(part, facts, now) for part in compiled.parts)
    if isinstance(compiled, Or):
        return any(truth(part, facts, now) for part in compiled.parts)
    if isinstance(compiled, Not):
        return not truth(compiled.part, facts, now)
    return holds(compiled, facts.get(compiled.column, ()), now=now)


def unknown(segment):
    raise LookupError(segment)


def compiled(field, operator, value=None, inline=unknown):
    definition = {"conditions": [{"field": field, "operator": operator, "value": value}]}
    return compile_rule(parse(definition), inline)


def matches(facts, field, operator, value=None):
    """Holds the negation to be the opposite, besides."""
    found = truth(compiled(field, operator, value), facts)
    assert truth(compiled(field, f"not_{operator}", value), facts) is not found
    return found


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("equals", "ANA", True),
        ("equals", ["bo", "Ana"], True),
        ("equals", "an", False),
        ("in", ["bo"], False),
        ("contains", "N", True),
        ("contains", ["x", "a"], True),
        ("starts_with", "an", True),
        ("starts_with", "na", False),
        ("ends_with", "NA", True),
        ("exists", None, True),
    ],
)
def test_text(operator, value, expected):
    assert matches({"t:name": ("ana",)}, "name", operator, value) is expected
    assert matches({}, "name", operator, value) is False


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("contains", "VIP", True),
        ("contains", "vi", False),
        ("contains_any", ["x", "eu"], True),
        ("contains_all", ["vip", "eu"], True),
        ("contains_all", ["vip", "us"], False),
        ("equals", "eu", True),
        ("starts_with", "v", True),
        ("ends_with", "u", True),
        ("in", ["us"], False),
        ("exists", None, True),
    ],
)
def test_sets(operator, value, expected):
    assert matches({"e:tags": ("vip", "eu")}, "tags", operator, value) is expected
    assert matches({}, "tags", operator, value) is False


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("gt", 4, True), ("gt", 5, False), ("gte", 5, True), ("lt", 5, False), ("lte", 5, True), ("lt", 5.5, True),
        ("between", [5, 6], True), ("between", [4, 5], True), ("between", [6, 7], False),
        ("equals", 5, True), ("in", [4, 5.0], True), ("in", ["5", 4], False), ("equals", "5", False),
    ],
)  # fmt: skip
def test_numbers(operator, value, expected):
    assert matches(of_custom("metadata", {"n": 5}), "metadata.n", operator, value) is expected


def test_a_number_held_as_text_is_one_for_a_number_only():
    facts = of_custom("metadata", {"n": "5.0"})

    assert matches(facts, "metadata.n", "equals", 5)
    assert matches(facts, "metadata.n", "gte", 5)
    assert matches(facts, "metadata.n", "equals", "5.0")
    assert not matches(facts, "metadata.n", "equals", "5")


def test_custom_data_by_what_is_there():
    facts = of_custom("metadata", {"likes": ["art", "sport"], "mood": "party", "yes": True, "one": 1})

    assert matches(facts, "metadata.likes", "contains", "art")
    assert not matches(facts, "metadata.likes", "contains", "spo")
    assert matches(facts, "metadata.mood", "contains", "art")
    assert matches(facts, "metadata.likes", "starts_with", "spo")
    assert matches(facts, "metadata.likes", "contains_all", ["art", "sport"])
    assert matches(facts, "metadata.mood", "contains_any", ["party"])
    assert matches(facts, "metadata.yes", "equals", True)
    # A boolean is not the number 1, whatever Python says.
    assert not matches(facts, "metadata.yes", "equals", 1)
    assert not matches(facts, "metadata.one", "contains_all", [1, True])
    exist = [matches(facts, f"metadata.{key}", "exists") for key in ("likes", "yes", "one", "none")]
    assert exist == [True, True, True, False]


def test_defaults_compare_though_facts_leave_them_out():
    assert matches({}, "preferences.sms", "equals", "unknown")
    assert matches({}, "preferences.sms", "starts_with", "unk")
    assert not matches({"t:preferences.sms": ("opted_in",)}, "preferences.sms", "equals", "unknown")
    assert matches({}, "preferences.sms", "exists")
    assert matches({}, "is_bot_active", "equals", True)
    assert matches({"b:is_bot_active": (False,)}, "is_bot_active", "equals", False)
    assert matches({}, "messages_received", "lt", 1)
    assert not matches({}, "messages_received", "gte", 1)


@pytest.mark.parametrize(
    ("operator", "value", "ago", "expected"),
    [
        ("in_last", "1h", 0, True),
        ("in_last", "1h", HOUR - 1, True),
        ("in_last", "1h", HOUR, False),
        ("in_last", "1h", -1, False),
        ("in_next", "1h", 0, False),
        ("in_next", "1h", -1, True),
        ("in_next", "1h", -HOUR, True),
        ("in_next", "1h", -HOUR - 1, False),
        ("before", "2026-06-15T12:00:00Z", 0, False),
        ("before", "2026-06-15T12:00:00Z", 1, True),
        ("after", "2026-06-15T12:00:00Z", -1, True),
        ("between", ["2026-06-15T12:00:00Z", "2026-06-16"], 0, True),
        ("anniversary", None, 365 * DAY, True),
        ("anniversary", None, 364 * DAY, False),
        ("anniversary", "1d", 364 * DAY, True),
    ],
)
def test_times(operator, value, ago, expected):
    assert matches({"d:created_at": (NOW - ago,)}, "created_at", operator, value) is expected
    assert matches({}, "created_at", operator, value) is False


def test_other_segments_are_put_in():
    rules = {"seg_a": compiled("tags", "contains", "a"), "seg_b": compiled("tags", "contains", "b")}

    either = compiled("segments", "contains_any", ["seg_a", "seg_b"], rules.__getitem__)
    both = compiled("segments", "not_contains_all", ["seg_a", "seg_b"], rules.__getitem__)

    assert truth(either, {"e:tags": ("b",)})
    assert truth(both, {"e:tags": ("b",)})
    assert not truth(both, {"e:tags": ("a", "b")})
    with pytest.raises(LookupError):
        compiled("segments", "equals", "seg_c", rules.__getitem__)


def test_nothing_but_the_default_makes_exists_always_true():
    assert compiled("do_not_disturb", "exists") == And((ALWAYS,))


relative = st.one_of(
    st.builds(
        lambda test, length: Comparison("d:x", test, (length,)),
        st.sampled_from([Compare.IN_LAST, Compare.IN_NEXT]),
        st.integers(1, 400 * DAY),
    ),
    st.builds(lambda days: Comparison("d:x", Compare.ANNIVERSARY, (days,)), st.integers(0, 365)),
)
around_now = st.lists(st.integers(NOW - 800 * DAY, NOW + 800 * DAY), min_size=1, max_size=3).map(tuple)


@given(comparison=relative, values=around_now, later=st.integers(0, 900 * DAY))
def test_nothing_changes_before_the_next_flip(comparison, values, later):
    flip = next_flip(comparison, values, now=NOW)
    until = NOW + later if flip is None else NOW + later % (flip - NOW)

    assert holds(comparison, values, now=until) is holds(comparison, values, now=NOW)
    if flip is not None:
        assert holds(comparison, values, now=flip - 1) is holds(comparison, values, now=NOW)
