"""A rule as it is evaluated: AND, OR and NOT of comparisons, each of one column (facts.py) with constants.

Evaluators know these few comparisons and nothing of the language; what the language means is here, once. A comparison
is true when any value of its column compares with any of its constants, and false where the column is empty.

    {"field": "tags", "operator": "not_contains_all", "value": ["Premium", "EU"]}
    →  Not(And((Comparison("e:tags", EQUALS, ("premium",)), Comparison("e:tags", EQUALS, ("eu",)))))
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from services.segments.domain import moments
from services.segments.domain.boolean import And, Expression, Not, Or, replace
from services.segments.domain.facts import Value, View, column
from services.segments.domain.fields import Field, Kind
from services.segments.domain.grammar import RANGES, Leaf, Moments, Operator, Rule, Scalar
from services.segments.domain.text import fold


class Compare(StrEnum):
    """How a column is compared, and its operand."""

    # Distinct values in order. Of texts, numbers or booleans, as the column.
    EQUALS = "equals"
    # Distinct texts in order, of which any is a part, the beginning, the end.
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    # (low, high, low included, high included); None is no end.
    RANGE = "range"
    # (microseconds,): the moment is at most so long ago: from it until so long after it, that end not included.
    IN_LAST = "in_last"
    # (microseconds,): the moment comes within so long: from so long before it until it, that end not included.
    IN_NEXT = "in_next"
    # (days,): see moments.has_anniversary.
    ANNIVERSARY = "anniversary"
    # (): there is a value.
    EXISTS = "exists"


# Those whose outcome the clock changes.
RELATIVE = frozenset({Compare.IN_LAST, Compare.IN_NEXT, Compare.ANNIVERSARY})


class Comparison(NamedTuple):
    column: str
    how: Compare
    operand: tuple[Value | None, ...]

    @property
    def view(self) -> View:
        return View(self.column[0])


Compiled: TypeAlias = Expression[Comparison]
# The compiled rule of another segment, by its id. Raises LookupError where there is none.
Inline: TypeAlias = Callable[[str], Compiled]

ALWAYS: Compiled = And(())
_VIEWS = {
    Kind.ID: (View.TEXT,),
    Kind.TEXT: (View.TEXT,),
    Kind.NUMBER: (View.NUMBER,),
    Kind.TIME: (View.TIME,),
    Kind.SET: (View.ELEMENT,),
    Kind.BOOLEAN: (View.BOOLEAN,),
    # Moments are texts besides.
    Kind.CUSTOM: (View.TEXT, View.ELEMENT, View.NUMBER, View.BOOLEAN),
}
_TEXT_TESTS = {
    Operator.CONTAINS: Compare.CONTAINS,
    Operator.STARTS_WITH: Compare.STARTS_WITH,
    Operator.ENDS_WITH: Compare.ENDS_WITH,
}


def compile_rule(rule: Rule, inline: Inline) -> Compiled:
    """Raises LookupError where inline does."""
    return replace(rule, lambda leaf: compile_leaf(leaf, inline))


def compile_leaf(leaf: Leaf, inline: Inline) -> Compiled:
    positive = _positive(leaf, inline)
    return Not(positive) if leaf.negated else positive


def _positive(leaf: Leaf, inline: Inline) -> Compiled:
    field, operator, operand = leaf.field, leaf.operator, leaf.operand
    if operator is Operator.EXISTS:
        return ALWAYS if field.default is not None else _any_of(_exists(field))
    if isinstance(operand, Moments):
        return Comparison(column(View.TIME, field.name), *_time_test(operator, operand))
    if operator is Operator.ANNIVERSARY:
        assert isinstance(operand, int)
        return Comparison(column(View.TIME, field.name), Compare.ANNIVERSARY, (operand,))
    assert isinstance(operand, tuple)
    if field.kind is Kind.SEGMENTS:
        join = And if operator is Operator.CONTAINS_ALL else Or
        return join(tuple(inline(str(value)) for value in dict.fromkeys(operand)))
    if operator is Operator.CONTAINS_ALL:
        return And(tuple(_any_of(_equals(field, (value,))) for value in operand))
    return _any_of(_with_default(field, one) for one in _comparisons(field, operator, operand))


def _comparisons(field: Field, operator: Operator, operand: tuple[Scalar, ...]) -> list[Comparison]:
    if operator in RANGES or operator is Operator.BETWEEN:
        return [Comparison(column(View.NUMBER, field.name), Compare.RANGE, _number_range(operator, operand))]
    how = _TEXT_TESTS.get(operator)
    if how is None or (field.kind is Kind.SET and operator is Operator.CONTAINS):
        return _equals(field, operand)
    texts = _folded(operand)
    if field.kind is not Kind.CUSTOM:
        return [Comparison(column(view, field.name), how, texts) for view in _VIEWS[field.kind]]
    if operator is not Operator.CONTAINS:
        return [Comparison(column(view, field.name), how, texts) for view in (View.TEXT, View.ELEMENT)]
    # A part of a text, but a whole element of an array, and never a part of a number.
    whole = [one for one in _equals(field, operand) if one.view is not View.TEXT]
    return [Comparison(column(View.TEXT, field.name), how, texts), *whole] if texts else whole


def _equals(field: Field, operand: Iterable[Scalar]) -> list[Comparison]:
    """Each value is looked for in the columns of its own type."""
    values = list(operand)
    found = []
    for view in _VIEWS[field.kind]:
        fitting: tuple[Value, ...]
        if view is View.NUMBER:
            fitting = tuple(sorted({one for one in values if isinstance(one, float)}))
        elif view is View.BOOLEAN:
            fitting = tuple(sorted({one for one in values if isinstance(one, bool)}))
        else:
            fitting = _folded(values)
        if fitting:
            found.append(Comparison(column(view, field.name), Compare.EQUALS, fitting))
    return found


def _exists(field: Field) -> list[Comparison]:
    return [Comparison(column(view, field.name), Compare.EXISTS, ()) for view in _VIEWS[field.kind]]


def _folded(values: Iterable[Scalar]) -> tuple[str, ...]:
    return tuple(sorted({fold(value) for value in values if isinstance(value, str)}))


def _number_range(operator: Operator, operand: tuple[Scalar, ...]) -> tuple[Value | None, ...]:
    if operator is Operator.BETWEEN:
        return (*operand, True, True)
    (bound,) = operand
    closed = operator in (Operator.GTE, Operator.LTE)
    return (bound, None, closed, False) if operator in (Operator.GT, Operator.GTE) else (None, bound, False, closed)


def _time_test(operator: Operator, operand: Moments) -> tuple[Compare, tuple[Value | None, ...]]:
    if operator is Operator.IN_LAST:
        return Compare.IN_LAST, operand.values
    if operator is Operator.IN_NEXT:
        return Compare.IN_NEXT, operand.values
    if operator is Operator.BETWEEN:
        return Compare.RANGE, (*operand.values, True, True)
    (at,) = operand.values
    return Compare.RANGE, (None, at, False, False) if operator is Operator.BEFORE else (at, None, False, False)


def _any_of(parts: Iterable[Compiled]) -> Compiled:
    known = tuple(parts)
    return known[0] if len(known) == 1 else Or(known)


def _with_default(field: Field, comparison: Comparison) -> Compiled:
    """Facts leave defaults out: where the default compares, so does an empty column."""
    if field.default is None or not holds(comparison, (field.default,), now=0):
        return comparison
    return Or((comparison, Not(Comparison(comparison.column, Compare.EXISTS, ()))))


def holds(comparison: Comparison, values: tuple[Value, ...], *, now: int) -> bool:
    """What a comparison means, value by value: for one contact. now: microseconds since 1970."""
    return any(_compares(comparison, value, now) for value in values)


def _compares(comparison: Comparison, value: Value, now: int) -> bool:
    how, operand = comparison.how, comparison.operand
    if how is Compare.EXISTS:
        return True
    if how is Compare.EQUALS:
        return value in operand
    if isinstance(value, str):
        if how is Compare.CONTAINS:
            return any(str(wanted) in value for wanted in operand)
        if how is Compare.STARTS_WITH:
            return value.startswith(tuple(str(wanted) for wanted in operand))
        return value.endswith(tuple(str(wanted) for wanted in operand))
    if how is not Compare.ANNIVERSARY:
        low, high, low_closed, high_closed = span(comparison, now)
        above = low is None or (value >= low if low_closed else value > low)  # type: ignore[operator]  # numbers
        return above and (high is None or (value <= high if high_closed else value < high))  # type: ignore[operator]
    (constant,) = operand
    assert isinstance(constant, int)
    assert isinstance(value, int)
    month_day = moments.month_day(value)
    return month_day is not None and moments.has_anniversary(month_day, now=now, days=constant)


def span(comparison: Comparison, now: int) -> tuple[Value | None, ...]:
    """What a value must lie in, as the operand of RANGE: also where the comparison is relative to the clock."""
    if comparison.how is Compare.RANGE:
        return comparison.operand
    (constant,) = comparison.operand
    assert isinstance(constant, int)
    if comparison.how is Compare.IN_LAST:
        return now - constant, now, False, True
    return now, now + constant, False, True


def next_flip(comparison: Comparison, values: tuple[Value, ...], *, now: int) -> int | None:
    """The first moment after now at which `holds` may answer otherwise, nothing else changing; None where never."""
    flips = [flip for value in values for flip in _flips(comparison, int(value), now) if flip > now]
    return min(flips, default=None)


def _flips(comparison: Comparison, at: int, now: int) -> tuple[int, ...]:
    (constant,) = comparison.operand
    assert isinstance(constant, int)
    if comparison.how is Compare.IN_LAST:
        return at, at + constant
    if comparison.how is Compare.IN_NEXT:
        return at - constant, at
    month_day = moments.month_day(at)
    return () if month_day is None else (moments.flip_of_anniversary(month_day, now=now, days=constant),)
