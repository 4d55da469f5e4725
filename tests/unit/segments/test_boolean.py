"""Negation normal form."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from services.segments.domain.boolean import And, Expression, Not, Or, leaves, normal

LEAVES = range(4)
expressions: st.SearchStrategy[Expression[int]] = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)


def holds(expression: Expression[int], truth: tuple[bool, ...]) -> bool:
    if isinstance(expression, And):
        return all(holds(part, truth) for part in expression.parts)
    if isinstance(expression, Or):
        return any(holds(part, truth) for part in expression.parts)
    return not holds(expression.part, truth) if isinstance(expression, Not) else truth[expression]


def literal(leaf: int, holds: bool) -> Expression[int]:
    return leaf if holds else Not(leaf)


def parts_of(expression: Expression[int]) -> list[Expression[int]]:
    """All of them, inner ones too."""
    if isinstance(expression, And | Or):
        return [*expression.parts, *(inner for part in expression.parts for inner in parts_of(part))]
    return [expression.part] if isinstance(expression, Not) else []


@given(expression=expressions)
def test_it_says_the_same_or_the_opposite(expression):
    for truth in product([False, True], repeat=len(LEAVES)):
        assert holds(normal(expression, literal), truth) is holds(expression, truth)
        assert holds(normal(expression, literal, holds=False), truth) is not holds(expression, truth)


@given(expression=expressions)
def test_only_leaves_are_negated_and_nothing_is_in_it_that_has_no_say(expression):
    found = normal(expression, literal)

    for one in [found, *parts_of(found)]:
        assert not isinstance(one, Not) or isinstance(one.part, int)
        assert one is found or one not in (And(()), Or(()))
        assert not isinstance(one, And | Or) or len(one.parts) != 1
    assert set(leaves(found)) <= set(leaves(expression))
