"""The SQL evaluator: a rule as a WHERE clause over the columns of contacts_projection.

Text is compared as it stands, both sides folded (domain/text.py) and under `COLLATE "C"`. No LIKE: in a value `%`, `_`
and `\\` mean themselves.
"""

from dataclasses import dataclass

from services.segments.domain.rules import SETS, Leaf, Operator, Rule


@dataclass(frozen=True, slots=True)
class Predicate:
    """sql is true or false, never null, for every row; args are its parameters, numbered from `first`."""

    sql: str
    args: list[object]


def compile_sql(rule: Rule, *, first: int) -> Predicate:
    """first: the number of the first parameter, as in `$3`."""
    args: list[object] = []
    clauses = [clause(leaf, args, first) for leaf in rule.all]
    return Predicate(" AND ".join(clauses), args)


def clause(leaf: Leaf, args: list[object], first: int) -> str:
    """Appends the leaf's parameters to args."""
    column = f"p.{leaf.field}"
    if leaf.operator is Operator.EQUALS:
        args.append(list(leaf.values))
        parameter = f"${first + len(args) - 1}::text[]"
        return f"{column} && {parameter}" if leaf.field in SETS else f"coalesce({column} = ANY ({parameter}), false)"
    element = "tag" if leaf.field in SETS else column
    comparisons = []
    for value in leaf.values:
        args.append(value)
        comparisons.append(compare(leaf.operator, element, f"${first + len(args) - 1}::text"))
    either = " OR ".join(comparisons)
    if leaf.field in SETS:
        return f"EXISTS (SELECT FROM unnest({column}) AS tag WHERE {either})"
    return f"coalesce({either}, false)"


def compare(operator: Operator, element: str, parameter: str) -> str:
    if operator is Operator.CONTAINS:
        return f"strpos({element}, {parameter}) > 0"
    if operator is Operator.STARTS_WITH:
        return f"starts_with({element}, {parameter})"
    return f"right({element}, char_length({parameter})) = {parameter}"
