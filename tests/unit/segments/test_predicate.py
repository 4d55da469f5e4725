"""The SQL that rules become, as far as it can be read without a database; what it means is tests/service's to see."""

import json
import re

import pytest
from hypothesis import given

from services.segments.domain.boolean import And, leaves
from services.segments.domain.comparisons import Compare, Comparison
from services.segments.domain.definitions import MAX_INLINED, compile_with
from services.segments.domain.grammar import MAX_ALL_VALUES, MAX_LEAVES
from services.segments.predicate import JOIN_ENGAGEMENT, Wanted, compile_found, compile_sql
from tests.unit.segments.strategies import NO_ENGAGEMENT, cases
from tests.unit.segments.values import NOWS

NAMED = Comparison("t:name", Compare.EQUALS, ("ana",))


@pytest.mark.parametrize(
    "comparison",
    [
        Comparison("d:last_opened_at", Compare.EXISTS, ()),
        Comparison("n:messages_received", Compare.RANGE, (1.0, None, True, False)),
        Comparison("e:campaigns", Compare.EQUALS, ("cmp_a",)),
    ],
)
def test_engagement_is_joined_where_a_rule_reads_it(comparison):
    assert compile_sql(And((NAMED, comparison)), first=1, now=NOWS[0]).join == JOIN_ENGAGEMENT
    assert compile_sql(NAMED, first=1, now=NOWS[0]).join == ""


@given(cases())
def test_parameters_and_tables_are_what_the_predicate_speaks_of(case):
    for rule in case.compiled().values():
        for compiled in (compile_sql, compile_found):
            predicate = compiled(rule, first=3, now=case.now)
            due = predicate.due if isinstance(predicate, Wanted) else ""
            sql = re.sub(r"'(?:[^']|'')*'", "", f"{predicate.sql} {due}")
            assert {int(number) for number in re.findall(r"\$(\d+)", sql)} == set(range(3, 3 + len(predicate.args)))
            reads = any(one.column[2:] in NO_ENGAGEMENT for one in leaves(rule))
            assert predicate.join == (JOIN_ENGAGEMENT if reads else "")
            if not reads:
                assert "e." not in re.findall(r"\b[a-z]\.", sql)


def test_many_values_are_one_parameter():
    """A statement takes 65,535."""
    values = tuple(str(number) for number in range(500))

    for how in (Compare.EQUALS, Compare.CONTAINS, Compare.STARTS_WITH, Compare.ENDS_WITH):
        for column in ("t:name", "e:tags", "t:metadata.plan", "e:metadata.plan"):
            predicate = compile_sql(Comparison(column, how, values), first=1, now=NOWS[0])
            assert predicate.args == [list(values)]


def test_the_largest_rule_has_as_many_parameters_as_a_statement_takes():
    """32,767, says the driver. What takes most: to contain all of many, beside something that the clock moves."""
    many = {"field": "metadata.a", "operator": "contains_all", "value": [str(n) for n in range(500)]}
    widest = {"field": "metadata.a", "operator": "equals", "value": ["a", 1, True]}
    recent = {"field": "metadata.a", "operator": "in_last", "value": "1d"}
    # The others stand in what the rule says, in whether it could hold, and in whether it could not.
    inlined = {"rules": {"any": [*[widest] * (MAX_LEAVES - 2), {"all": [widest, recent]}]}}
    segments = [f"seg_{number}" for number in range(MAX_INLINED // MAX_LEAVES)]
    named = {"field": "segments", "operator": "contains", "value": segments}
    rule = {"rules": {"any": [*[many] * (MAX_ALL_VALUES // 500), named, *[widest] * (MAX_LEAVES - 5)]}}

    compiled = compile_with(json.dumps(rule), {one: json.dumps(inlined) for one in segments})

    assert len(compile_found(compiled, first=6, now=NOWS[0]).args) < 32_000


def test_a_path_is_quoted():
    predicate = compile_sql(Comparison("t:metadata.o'k", Compare.EXISTS, ()), first=1, now=NOWS[0])

    assert "'t:metadata.o''k'" in predicate.sql
