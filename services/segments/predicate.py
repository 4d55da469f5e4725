"""The SQL evaluator: a compiled rule as a WHERE clause over contacts_projection `p` and engagement `e`.

Text is compared as it stands, both sides folded (domain/text.py) and byte by byte. No LIKE: in a value `%`, `_` and
`\\` mean themselves. What a comparison means is in domain/comparisons.py; here is where its column lies (columns.py)
and how Postgres says it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from chassis import ids
from services.segments.columns import Place, Shape, place_of
from services.segments.domain import moments
from services.segments.domain.boolean import And, Not, Or, leaves
from services.segments.domain.comparisons import RELATIVE, Compare, Comparison, Compiled, span
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
    """sql is true or false, never null, for every row; args are its parameters."""

    sql: str
    args: list[object]
    # JOIN_ENGAGEMENT where the predicate speaks of `e`, else empty.
    join: str


def compile_sql(rule: Compiled, *, first: int, now: int) -> Predicate:
    """first: the number of the first parameter, as in `$3`. now: microseconds since 1970."""
    parameters = Parameters(first)
    sql = _sql(rule, partial(_comparison, parameters=parameters, now=now))
    return Predicate(sql, parameters.values, _join(rule))


def compile_possible(rule: Compiled, *, first: int, now: int) -> Predicate:
    """Who must be watched: for whom the rule could hold, and could not, if its relative comparisons were unknown."""
    parameters = Parameters(first)
    known = partial(_comparison, parameters=parameters, now=now)
    true, false = _possible(rule, known)
    return Predicate(f"({true} AND {false})", parameters.values, _join(rule))


def _join(rule: Compiled) -> str:
    return JOIN_ENGAGEMENT if any(is_engagement(one.column) for one in leaves(rule)) else ""


def _sql(rule: Compiled, known: Callable[[Comparison], str]) -> str:
    if isinstance(rule, And | Or):
        word, empty = (" AND ", "true") if isinstance(rule, And) else (" OR ", "false")
        return f"({word.join(_sql(part, known) for part in rule.parts)})" if rule.parts else empty
    if isinstance(rule, Not):
        return f"NOT {_sql(rule.part, known)}"
    return known(rule)


def _possible(rule: Compiled, known: Callable[[Comparison], str]) -> tuple[str, str]:
    """See domain.matcher.possible."""
    if isinstance(rule, Not):
        true, false = _possible(rule.part, known)
        return false, true
    if isinstance(rule, And | Or):
        parts = [_possible(part, known) for part in rule.parts]
        all_of = " AND ".join(part[isinstance(rule, Or)] for part in parts)
        any_of = " OR ".join(part[isinstance(rule, And)] for part in parts)
        every, some = (f"({all_of})", f"({any_of})") if parts else ("true", "false")
        return (every, some) if isinstance(rule, And) else (some, every)
    if rule.how in RELATIVE:
        return "true", "true"
    sql = known(rule)
    return sql, f"NOT {sql}"


def _comparison(comparison: Comparison, parameters: Parameters, now: int) -> str:
    if comparison.column == ID:
        return _is_one_of(comparison, parameters)
    place, how = place_of(comparison.column), comparison.how
    if how is Compare.EXISTS:
        return _exists(place)
    if how is Compare.EQUALS and place.shape is not Shape.ONE and place.type == "text":
        operator = "&&" if place.shape is Shape.ARRAY else "?|"
        return f"coalesce({place.sql} {operator} {parameters.add(list(comparison.operand), 'text[]')}, false)"
    value = place.sql if place.shape is Shape.ONE else f"v::{place.type}"
    test = _test(comparison, value, place.type, parameters, now)
    if place.shape is Shape.ONE:
        return f"coalesce({test}, false)"
    values = f"unnest({place.sql})" if place.shape is Shape.ARRAY else f"jsonb_array_elements_text({place.sql})"
    return f"EXISTS (SELECT FROM {values} AS v WHERE {test})"


def _is_one_of(comparison: Comparison, parameters: Parameters) -> str:
    if comparison.how is Compare.EXISTS:
        return "true"
    wanted = [contact for text in comparison.operand if (contact := ids.decode("cnt", str(text))) is not None]
    return f"p.contact_id = ANY ({parameters.add(wanted, 'uuid[]')})"


def _exists(place: Place) -> str:
    if place.shape is Shape.ARRAY:
        return f"coalesce(cardinality({place.sql}) > 0, false)"
    return f"({place.sql}) IS NOT NULL"


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
    day = DAY.format(value)
    month_day = f"extract(month FROM {day})::int * 100 + extract(day FROM {day})::int"
    in_calendar = f"{value} BETWEEN {FIRST_MOMENT} AND {LAST_MOMENT}"
    return f"({in_calendar} AND {month_day} = ANY ({parameters.add(counting, 'int[]')}))"
