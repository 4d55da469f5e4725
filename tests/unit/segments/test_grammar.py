"""What people may write as a rule, and what they are told where they may not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.segments.domain.boolean import And, Not, Or, leaves
from services.segments.domain.faults import InvalidRule
from services.segments.domain.fields import Kind
from services.segments.domain.grammar import (
    MAX_DEPTH,
    MAX_LEAVES,
    OPERATORS,
    Leaf,
    Moments,
    Operator,
    Rule,
    parse,
)
from services.segments.domain.moments import DAY

Node = dict[str, Any]
VIP: Node = {"field": "tags", "operator": "contains", "value": "vip"}
A_FIELD_OF = {
    Kind.ID: "id",
    Kind.TEXT: "name",
    Kind.NUMBER: "messages_received",
    Kind.TIME: "created_at",
    Kind.SET: "tags",
    Kind.BOOLEAN: "do_not_disturb",
    Kind.CUSTOM: "metadata.plan",
    Kind.SEGMENTS: "segments",
}
VALUE_OF = {
    Operator.BEFORE: "2026-01-31",
    Operator.AFTER: "2026-01-31T10:00:00+02:00",
    Operator.IN_LAST: "30d",
    Operator.IN_NEXT: "12h",
    Operator.ANNIVERSARY: "7d",
    Operator.EXISTS: None,
}


def value_for(kind, operator):
    if operator in VALUE_OF:
        return VALUE_OF[operator]
    if operator is Operator.BETWEEN:
        return ["2026-01-01", "2026-02-01"] if kind is Kind.TIME else [1, 2.5]
    if operator in (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE):
        return 3
    one = {Kind.NUMBER: 3, Kind.BOOLEAN: True}.get(kind, "x")
    return [one] if operator in (Operator.IN, Operator.CONTAINS_ANY, Operator.CONTAINS_ALL) else one


def one(field, operator, value):
    return {"conditions": [{"field": field, "operator": operator, "value": value}]}


def leaves_of(rule: Rule) -> list[Leaf]:
    return list(leaves(rule))


def faults(definition):
    with pytest.raises(InvalidRule) as raised:
        parse(definition)
    return [fault.pointer for fault in raised.value.faults]


def nested(depth):
    node: Node = VIP
    for level in range(depth):
        node = {"not": node} if level % 3 == 0 else {("all", "any")[level % 2]: [node]}
    return {"rules": node}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("operator", Operator)
def test_each_operator_on_each_type(kind, operator):
    definition = one(A_FIELD_OF[kind], operator, value_for(kind, operator))
    if operator in OPERATORS[kind]:
        (leaf,) = leaves_of(parse(definition))
        assert (leaf.operator, leaf.negated) == (operator, False)
        definition["conditions"][0]["operator"] = f"not_{operator}"
        (leaf,) = leaves_of(parse(definition))
        assert (leaf.operator, leaf.negated) == (operator, True)
    else:
        assert faults(definition) == ["/conditions/0/operator"]


def test_groups():
    rule = parse({"rules": {"all": [VIP, {"any": [VIP, {"not": VIP}]}]}})

    assert isinstance(rule, And)
    assert isinstance(rule.parts[1], Or)
    assert isinstance(rule.parts[1].parts[1], Not)
    assert [leaf.pointer for leaf in leaves_of(rule)] == [
        "/rules/all/0",
        "/rules/all/1/any/0",
        "/rules/all/1/any/1/not",
    ]


def test_a_group_with_several_keys_holds_when_each_does():
    rule = parse({"rules": {"all": [VIP], "not": VIP}})

    assert isinstance(rule, And)
    assert [type(part) for part in rule.parts] == [And, Not]


def test_eight_deep_with_a_hundred_leaves():
    definition = nested(MAX_DEPTH - 1)
    definition["rules"] = {"all": [definition["rules"]] + [VIP] * (MAX_LEAVES - 1)}

    assert len(leaves_of(parse(definition))) == MAX_LEAVES


def test_nine_deep():
    assert faults(nested(MAX_DEPTH + 1)) == [
        "/rules"
        + "".join(f"/{'not' if level % 3 == 0 else ('all/0', 'any/0')[level % 2]}" for level in range(8, 0, -1))
    ]


ALL_OF_MANY = {"field": "tags", "operator": "contains_all", "value": ["x"] * 500}


def test_a_hundred_and_one_leaves_in_several_groups():
    halves = [{"any": [VIP] * 51}, {"any": [VIP] * 50}]

    assert faults({"rules": {"all": halves}}) == ["/rules/all/1/any/49"]


@pytest.mark.parametrize(
    ("definition", "pointers"),
    [
        pytest.param({}, ["/conditions"], id="nothing"),
        pytest.param([], ["/conditions"], id="no object"),
        pytest.param({"conditions": []}, ["/conditions"], id="empty"),
        pytest.param({"conditions": [VIP], "rules": VIP}, ["/rules"], id="both"),
        pytest.param({"conditions": [{"all": [VIP]}]}, ["/conditions/0/all", "/conditions/0/field",
                     "/conditions/0/operator"], id="group among conditions"),
        pytest.param({"rules": {"all": [VIP], "or": []}}, ["/rules/or"], id="unknown key"),
        pytest.param({"rules": {"all": []}}, ["/rules/all"], id="empty group"),
        pytest.param({"rules": {"any": [VIP, 3]}}, ["/rules/any/1"], id="no condition"),
        pytest.param({"rules": VIP | {"vlaue": 1}}, ["/rules/vlaue"], id="misspelt"),
        pytest.param(one("tagz", "contains", "x"), ["/conditions/0/field"], id="unknown field"),
        pytest.param(one("metadata", "exists", None), ["/conditions/0/field"], id="metadata without a path"),
        pytest.param(one("metadata.", "exists", None), ["/conditions/0/field"], id="empty path"),
        pytest.param(one("name", "like", "x"), ["/conditions/0/operator"], id="unknown operator"),
        pytest.param(one("name", "not_not_equals", "x"), ["/conditions/0/operator"], id="negated twice"),
        pytest.param(one("name", "equals", ""), ["/conditions/0/value"], id="empty text"),
        pytest.param(one("name", "equals", []), ["/conditions/0/value"], id="empty array"),
        pytest.param(one("name", "equals", ["a", 1]), ["/conditions/0/value/1"], id="number as text"),
        pytest.param(one("name", "equals", "a\0"), ["/conditions/0/value"], id="NUL"),
        pytest.param(one("name", "equals", "\ud800"), ["/conditions/0/value"], id="surrogate"),
        pytest.param(one("name", "equals", "x" * 1025), ["/conditions/0/value"], id="long"),
        pytest.param(one("name", "in", ["x"] * 501), ["/conditions/0/value"], id="many"),
        pytest.param({"conditions": [ALL_OF_MANY, VIP] * 5}, ["/conditions/8/value"], id="too many to contain"),
        pytest.param(one("name", "in", "x"), ["/conditions/0/value"], id="in without an array"),
        pytest.param(one("name", "exists", True), ["/conditions/0/value"], id="exists with a value"),
        pytest.param(one("metadata.age", "gt", "5"), ["/conditions/0/value"], id="text as number"),
        pytest.param(one("metadata.age", "gt", True), ["/conditions/0/value"], id="boolean as number"),
        pytest.param(one("metadata.age", "gt", 10**400), ["/conditions/0/value"], id="too large for a double"),
        pytest.param(one("metadata.age", "between", [1, "2"]), ["/conditions/0/value/0", "/conditions/0/value/1"],
                     id="between a number and a text"),
        pytest.param(one("metadata.age", "between", [2, 1]), ["/conditions/0/value"], id="ends the wrong way round"),
        pytest.param(one("created_at", "in_last", "30 days"), ["/conditions/0/value"], id="bad duration"),
        pytest.param(one("created_at", "in_last", "0d"), ["/conditions/0/value"], id="no duration"),
        pytest.param(one("created_at", "in_last", "99999999w"), ["/conditions/0/value"], id="endless duration"),
        pytest.param(one("created_at", "before", "31.1.2026"), ["/conditions/0/value"], id="bad time"),
        pytest.param(one("created_at", "anniversary", "12h"), ["/conditions/0/value"], id="not whole days"),
        pytest.param(one("do_not_disturb", "equals", "true"), ["/conditions/0/value"], id="text as boolean"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_pointed_at(definition, pointers):
    assert faults(definition) == pointers


def test_every_fault_is_told():
    definition = {"conditions": [VIP | {"field": "x"}, VIP, VIP | {"operator": "gt"}]}

    assert faults(definition) == ["/conditions/0/field", "/conditions/2/operator"]


def test_between_is_read_as_the_values_are():
    (numbers,) = leaves_of(parse(one("metadata.x", "between", [1, 2])))
    (times,) = leaves_of(parse(one("metadata.x", "between", ["1970-01-01", "1970-01-02"])))

    assert numbers.operand == (1.0, 2.0)
    assert times.operand == Moments((0, DAY))


keys = st.sampled_from(["conditions", "rules", "all", "any", "not", "field", "operator", "value", "x"])
words = st.sampled_from(["tags", "metadata.a", "created_at", "contains", "between", "not_in", "in_last", "30d", ""])
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=30,
)


@given(definition=json)
def test_whatever_comes_is_a_rule_or_has_faults(definition):
    try:
        found: list[Any] = list(leaves_of(parse(definition)))
    except InvalidRule as error:
        found = list(error.faults)
    assert found
