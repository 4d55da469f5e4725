import pytest

from services.segments.domain.faults import InvalidRule
from services.segments.domain.rules import (
    Condition,
    Field,
    Leaf,
    Operator,
    compile_rule,
    fault_of_name,
    parse,
)


def faults(*conditions: Condition) -> dict[str, str]:
    with pytest.raises(InvalidRule) as caught:
        parse(conditions)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def test_contains_on_tags_means_has_the_tag():
    rule = parse([Condition("tags", "contains", ("Premium",))])

    assert rule.all == (Leaf(Field.TAGS, Operator.EQUALS, ("premium",)),)


def test_equal_conditions_share_a_leaf_whatever_their_order_and_case():
    one = compile_rule([Condition("name", "equals", ("B", "a", "b"))])
    two = compile_rule([Condition("name", "equals", ("A", "b"))])

    assert one.all == two.all


def test_faults_point_at_the_part_of_the_leaf():
    found = faults(
        Condition("tags", "contains", ("fine",)),
        Condition("shoe_size", "is", ("",)),
        Condition("name", "equals", ("ok", "x" * 1025), is_array=True),
    )

    assert set(found) == {
        "/conditions/1/field",
        "/conditions/1/operator",
        "/conditions/1/value",
        "/conditions/2/value/1",
    }


@pytest.mark.parametrize(
    ("conditions", "pointer"),
    [
        ([], "/conditions"),
        ([Condition("tags", "contains", ("a",))] * 101, "/conditions"),
        ([Condition("tags", "contains", ())], "/conditions/0/value"),
        ([Condition("tags", "contains", ("a",) * 101, True)], "/conditions/0/value"),
        ([Condition("tags", "contains", ("a\0b",))], "/conditions/0/value"),
    ],
)
def test_limits(conditions, pointer):
    assert list(faults(*conditions)) == [pointer]


def test_the_limits_themselves_are_allowed():
    most = Condition("name", "equals", tuple(str(n).rjust(1024) for n in range(100)), True)

    assert len(parse([most] * 100).all) == 1


def test_a_rule_knows_the_fields_it_reads():
    rule = parse([Condition("name", "contains", ("a",)), Condition("tags", "contains", ("b",))])

    assert rule.reads == {"name", "first_name", "last_name", "tags"}


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\0"])
def test_names_that_are_refused(name):
    assert fault_of_name(name)


def test_a_name_of_200_characters_is_allowed():
    assert fault_of_name("x" * 200) == ""
