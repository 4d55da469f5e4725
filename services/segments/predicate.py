"""The SQL evaluator: a compiled rule as a WHERE clause over contacts_projection `p` and engagement `e`.

Text is compared as it stands, both sides folded (domain/text.py) and byte by byte. No LIKE: in a value `%`, `_` and
`\\` mean themselves. What a comparison means is in domain/comparisons.py; here is where its column lies (columns.py)
and how Postgres says it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from chassis import ids
from services.segments.columns import Shape, place_of
from services.segments.domain import moments
from services.segments.domain.boolean import And, Not, Or, leaves, normal
from services.segments.domain.comparisons import ALWAYS, RELATIVE, Compare, Comparison, Compiled, span
from services.segments.domain.facts import View, column
from services.segments.domain.matcher import is_engagement

ID = column(View.TEXT, "id")
# The part of a query that joins engagement, where a predicate wants it. Contacts without messages have no row.
JOIN_ENGAGEMENT = "LEFT JOIN engagement e ON e.account_id = p.account_id AND e.contact_id = p.contact_id"
# The day of a moment, rounding down also before 1970.
SINCE_MIDNIGHT = f"mod(mod({{0}}, {moments.DAY}) + {moments.DAY}, {moments.DAY})"
DAY = f"(date '1970-01-01' + (({{0}} - {SINCE_MIDNIGHT}) / {moments.DAY})::int)"
# 29 February included.
MONTH_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
MONTH_DAYS = [month * 100 + day for month, length in enumerate(MONTH_LENGTHS, 1) for day in range(1, length + 1)]
FIRST_MOMENT, LAST_MOMENT = moments.parse_moment("0001-01-01"), moments.parse_moment("9999-12-31T23:59:59.999999Z")
# Stands for the value that is compared, in a test that is used in more than one place.
VALUE = "\0"
IN_CALENDAR = f"{{0}} BETWEEN {FIRST_MOMENT} AND {LAST_MOMENT}"


@dataclass(slots=True)
class Parameters:
    """Those of one query, numbered from `first`."""

    first: int
    values: list[object] = field(default_factory=list)

    def add(self, value: object, type: str) -> str:
        """The parameter as it stands in the SQL."""
        self.values.append(value)
        return f"${self.first + len(self.values) - 1}::{type}"


@dataclass(frozen=True, slots=True)
class Predicate:
    """sql is true for those whom the rule matches, and false or null for all others; args are its parameters."""

    sql: str
    args: list[object]
    # JOIN_ENGAGEMENT where the predicate speaks of `e`, else empty.
    join: str


def compile_sql(rule: Compiled, *, first: int, now: int) -> Predicate:
    """first: the number of the first parameter, as in `$3`. now: microseconds since 1970."""
    parameters = Parameters(first)
    sql = _sql(normal(rule, _literal), partial(_comparison, parameters=parameters, now=now))
    return Predicate(sql, parameters.values, _join(rule))


@dataclass(frozen=True, slots=True)
class Wanted(Predicate):
    """Whom a build wants to know of: the rule matches them, or the clock may move them."""

    # The first moment after now at which it may, in microseconds since 1970; null where it never does.
    due: str


def compile_found(rule: Compiled, *, first: int, now: int) -> Wanted:
    """As compile_sql. due is what domain.matcher.RuleSet.flips says of the rule alone."""
    parameters = Parameters(first)
    known = partial(_comparison, parameters=parameters, now=now)
    sql, due = _sql(normal(rule, _literal), known), "NULL::bigint"
    relative = [one for one in dict.fromkeys(leaves(rule)) if one.how in RELATIVE]
    if relative:
        # For whom the rule could hold, and could not, if its relative comparisons were unknown.
        could, could_not = (_sql(normal(rule, _possible, holds=holds), known) for holds in (True, False))
        flips = ", ".join(_next_flip(one, parameters, now) for one in relative)
        due = f"CASE WHEN {could} AND {could_not} THEN least({flips}) END"
        # Whom the rule matches it could hold for: the planner knows about how many they are, and only they are asked
        # the rest.
        sql = f"({could} AND ({sql} OR {due} IS NOT NULL))"
    return Wanted(sql, parameters.values, _join(rule), due)


def _literal(comparison: Comparison, holds: bool) -> Compiled:
    return comparison if holds else Not(comparison)


def _possible(comparison: Comparison, holds: bool) -> Compiled:
    """See domain.matcher.possible."""
    return ALWAYS if comparison.how in RELATIVE else _literal(comparison, holds)


def _join(rule: Compiled) -> str:
    return JOIN_ENGAGEMENT if any(is_engagement(one.column) for one in leaves(rule)) else ""


class Known(Protocol):
    """A comparison in SQL. exact: never null; else null may be false, for only what is true counts.

    The planner knows by its statistics what is compared with a column, and nothing of what is in a coalesce.
    """

    def __call__(self, comparison: Comparison, *, exact: bool) -> str: ...


def _sql(rule: Compiled, known: Known) -> str:
    """rule: in negation normal form."""
    if isinstance(rule, And | Or):
        word, empty = (" AND ", "true") if isinstance(rule, And) else (" OR ", "false")
        return f"({word.join(_sql(part, known) for part in rule.parts)})" if rule.parts else empty
    if isinstance(rule, Not):
        assert isinstance(rule.part, Comparison)
        return f"NOT {known(rule.part, exact=True)}"
    return known(rule, exact=False)


def _comparison(comparison: Comparison, *, exact: bool, parameters: Parameters, now: int) -> str:
    if comparison.column == ID:
        return _is_one_of(comparison, parameters)
    place, how = place_of(comparison.column), comparison.how
    certain = "coalesce({}, false)" if exact else "({})"
    if how is Compare.EXISTS:
        there = f"cardinality({place.sql}) > 0" if place.shape is Shape.ARRAY else f"({place.sql}) IS NOT NULL"
        return certain.format(there)
    if how is Compare.EQUALS and place.shape is not Shape.ONE and place.type == "text":
        operator = "&&" if place.shape is Shape.ARRAY else "?|"
        return certain.format(f"{place.sql} {operator} {parameters.add(list(comparison.operand), 'text[]')}")
    test = _test(comparison, VALUE, place.type, parameters, now)
    if place.shape is Shape.ONE:
        return certain.format(test.replace(VALUE, place.sql))
    each = test.replace(VALUE, f"v::{place.type}")
    if place.shape is Shape.ARRAY:
        return f"EXISTS (SELECT FROM unnest({place.sql}) AS v WHERE {each})"
    # Nearly all have one value, and looking at that takes a third of the time.
    alone = test.replace(VALUE, f"({place.sql} ->> 0)::{place.type}")
    several = f"EXISTS (SELECT FROM jsonb_array_elements_text({place.sql}) AS v WHERE {each})"
    return f"CASE WHEN ({place.sql} ->> 1) IS NULL THEN {certain.format(alone)} ELSE {several} END"


def _is_one_of(comparison: Comparison, parameters: Parameters) -> str:
    if comparison.how is Compare.EXISTS:
        return "true"
    wanted = [contact for text in comparison.operand if (contact := ids.decode("cnt", str(text))) is not None]
    return f"p.contact_id = ANY ({parameters.add(wanted, 'uuid[]')})"


def _test(comparison: Comparison, value: str, type: str, parameters: Parameters, now: int) -> str:
    how, operand = comparison.how, comparison.operand
    if how is Compare.EQUALS:
        return f"{value} = ANY ({parameters.add(list(operand), f'{type}[]')})"
    if how is Compare.ANNIVERSARY:
        (days,) = operand
        assert isinstance(days, int)
        return _anniversary(value, days, parameters, now)
    if how in (Compare.RANGE, *RELATIVE):
        low, high, low_closed, high_closed = span(comparison, now)
        ends = [(low, ">=" if low_closed else ">"), (high, "<=" if high_closed else "<")]
        return " AND ".join(f"{value} {sign} {parameters.add(end, type)}" for end, sign in ends if end is not None)
    if len(operand) == 1:
        return _part(how, value, parameters.add(operand[0], "text"))
    # One parameter however many there are: a statement takes 65,535.
    return f"EXISTS (SELECT FROM unnest({parameters.add(list(operand), 'text[]')}) AS w WHERE {_part(how, value, 'w')})"


def _part(how: Compare, value: str, wanted: str) -> str:
    if how is Compare.CONTAINS:
        return f"strpos({value}, {wanted}) > 0"
    if how is Compare.STARTS_WITH:
        return f"starts_with({value}, {wanted})"
    return f"right({value}, char_length({wanted})) = {wanted}"


def _anniversary(value: str, days: int, parameters: Parameters, now: int) -> str:
    """The days of the year that count now are few: moments.has_anniversary says which."""
    counting = [one for one in MONTH_DAYS if moments.has_anniversary(one, now=now, days=days)]
    return f"({IN_CALENDAR.format(value)} AND {_month_day(value)} = ANY ({parameters.add(counting, 'int[]')}))"


def _month_day(value: str) -> str:
    """moments.month_day, of a moment IN_CALENDAR."""
    day = DAY.format(value)
    return f"(extract(month FROM {day})::int * 100 + extract(day FROM {day})::int)"


def _next_flip(comparison: Comparison, parameters: Parameters, now: int) -> str:
    """domain.comparisons.next_flip, of a comparison that is relative to the clock."""
    place = place_of(comparison.column)
    at = parameters.add(now, "bigint")
    if place.shape is Shape.ONE:
        return _after(_flips(comparison, place.sql, parameters, now), at)
    following = _after(_flips(comparison, "v::bigint", parameters, now), at)
    return f"(SELECT min({following}) FROM jsonb_array_elements_text({place.sql}) AS v)"


def _after(flips: Sequence[str], now: str) -> str:
    return f"least({', '.join(f'CASE WHEN {flip} > {now} THEN {flip} END' for flip in flips)})"


def _flips(comparison: Comparison, value: str, parameters: Parameters, now: int) -> list[str]:
    """domain.comparisons's own."""
    (constant,) = comparison.operand
    assert isinstance(constant, int)
    if comparison.how is Compare.ANNIVERSARY:
        # By month and day; those that are no day are never asked for.
        following = [0] * MONTH_DAYS[-1]
        for one in MONTH_DAYS:
            following[one - 1] = moments.flip_of_anniversary(one, now=now, days=constant)
        by_day = parameters.add(following, "bigint[]")
        return [f"CASE WHEN {IN_CALENDAR.format(value)} THEN ({by_day})[{_month_day(value)}] END"]
    span = parameters.add(constant, "bigint")
    return [value, f"{value} + {span}"] if comparison.how is Compare.IN_LAST else [f"{value} - {span}", value]
