"""The rule of a segment, as people write it: the grammar, and everything that can be wrong with it.

    definition  {"conditions": [leaf, …]}            all must hold
                {"rules": node}
    node        {"all": [node, …], "any": [node, …], "not": node}    one of these keys or several, which all must hold
                leaf
    leaf        {"field": name, "operator": name, "value": value}

Groups nest to depth 8, the one at the top included, with 100 leaves in all. `not_` before any operator is exactly its
logical NOT, so it also holds where the field is empty. An array value means any of.

| operators | on | value |
|---|---|---|
| `equals` | all but times | a text, a number, a boolean, or an array of them |
| `in` | all but times and booleans | an array |
| `contains` | text: a part of it · sets: has it as a whole | a text or an array |
| `starts_with` `ends_with` | text; sets: any element | a text or an array |
| `contains_any` `contains_all` | sets | an array |
| `gt` `gte` `lt` `lte` | numbers | a number |
| `between` | numbers, times | an array of the lower and the upper end, both included |
| `before` `after` | times | a moment: RFC 3339, or a date, which is its midnight in UTC |
| `in_last` `in_next` | times | a duration: `30d`, `12h`, also `s`, `m`, `w` |
| `anniversary` | times | nothing, for today; or days, `7d`: today or within so many days after it |
| `exists` | all | nothing |

Custom data (`metadata.PATH`) takes every operator and is read as the operator and the value ask for. A value that is a
number is compared with numbers, and with text written like one; a value that is a text is compared with text only, and
so does not equal a number that looks like it. Each element of an array counts by itself; `contains` looks for a whole
element of an array, and for a part of a text. Numbers compare as IEEE doubles.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import NamedTuple, TypeAlias

from chassis.pointers import escaped
from services.segments.domain import moments
from services.segments.domain.boolean import And, Expression, Not, Or
from services.segments.domain.facts import as_double
from services.segments.domain.faults import Fault, InvalidRule, fault_of_text
from services.segments.domain.fields import Field, Kind, find

MAX_DEPTH = 8
MAX_LEAVES = 100
MAX_VALUES = 500
# Of all `contains_all` together: each is a comparison by itself, and a statement of Postgres takes so many parameters.
MAX_ALL_VALUES = 2_000
# Characters of an unknown key that its error repeats.
MAX_TOLD = 64
NEGATION = "not_"


class Operator(StrEnum):
    EQUALS = "equals"
    IN = "in"
    CONTAINS = "contains"
    CONTAINS_ANY = "contains_any"
    CONTAINS_ALL = "contains_all"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    BETWEEN = "between"
    BEFORE = "before"
    AFTER = "after"
    IN_LAST = "in_last"
    IN_NEXT = "in_next"
    ANNIVERSARY = "anniversary"
    EXISTS = "exists"


_TEXT = {Operator.EQUALS, Operator.IN, Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.EXISTS}
_TIME = {Operator.BEFORE, Operator.AFTER, Operator.BETWEEN, Operator.IN_LAST, Operator.IN_NEXT, Operator.EXISTS}
RANGES = {Operator.GT, Operator.GTE, Operator.LT, Operator.LTE}
_SET = _TEXT | {Operator.CONTAINS_ANY, Operator.CONTAINS_ALL}
OPERATORS: Mapping[Kind, frozenset[Operator]] = {
    Kind.ID: frozenset({Operator.EQUALS, Operator.IN, Operator.EXISTS}),
    Kind.TEXT: frozenset(_TEXT),
    Kind.NUMBER: frozenset({Operator.EQUALS, Operator.IN, Operator.BETWEEN, Operator.EXISTS} | RANGES),
    Kind.TIME: frozenset(_TIME | {Operator.ANNIVERSARY}),
    Kind.SET: frozenset(_SET),
    Kind.BOOLEAN: frozenset({Operator.EQUALS, Operator.EXISTS}),
    Kind.CUSTOM: frozenset(Operator),
    Kind.SEGMENTS: frozenset(_SET - {Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.EXISTS}),
}

Scalar: TypeAlias = str | float | bool


@dataclass(frozen=True, slots=True)
class Moments:
    """Microseconds since 1970: a moment, both ends of a span, or a duration."""

    values: tuple[int, ...]


class Leaf(NamedTuple):
    """One comparison, known to be valid."""

    # A JSON pointer to where it stands in the definition.
    pointer: str
    field: Field
    operator: Operator
    negated: bool
    # Texts, numbers and booleans as written; for times what they mean; days for anniversaries; nothing for `exists`.
    operand: tuple[Scalar, ...] | Moments | int | None


Rule: TypeAlias = Expression[Leaf]


def parse(definition: object) -> Rule:
    """definition: decoded JSON, with other keys than the two left alone. Raises InvalidRule, with every fault."""
    parser = _Parser()
    rule = parser.definition(definition)
    if parser.faults or rule is None:
        raise InvalidRule(parser.faults)
    return rule


class _Parser:
    """Goes on after a fault, so that all are told at once; what it returns counts only if there was none."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._leaves = 0
        self._all_values = 0

    def fault(self, pointer: str, detail: str) -> None:
        # A definition can be wrong in more places than anybody reads about.
        if len(self.faults) < MAX_LEAVES:
            self.faults.append(Fault(pointer, detail))

    def definition(self, definition: object) -> Rule | None:
        given = definition if isinstance(definition, dict) else {}
        if "conditions" in given and "rules" in given:
            self.fault("/rules", "A segment has either `conditions` or `rules`, not both.")
        elif "rules" in given:
            return self.node(given["rules"], "/rules", depth=1)
        elif "conditions" in given:
            return self.group(given["conditions"], "/conditions", join=And, each=self.leaf)
        else:
            self.fault("/conditions", "A segment needs `conditions` or `rules`.")
        return None

    def node(self, node: object, pointer: str, *, depth: int) -> Rule | None:
        if not isinstance(node, dict):
            self.fault(pointer, "A rule is an object: a group (`all`, `any`, `not`) or a condition.")
            return None
        if not node.keys() & {"all", "any", "not"}:
            return self.leaf(node, pointer)
        if depth > MAX_DEPTH:
            self.fault(pointer, f"Rules nest at most {MAX_DEPTH} deep.")
            return None
        for key in [key for key in node if key not in ("all", "any", "not")]:
            self.fault(f"{pointer}/{escaped(key[:MAX_TOLD])}", "A group has only `all`, `any` and `not`.")
        inside = partial(self.node, depth=depth + 1)
        parts: list[Rule | None] = []
        if "all" in node:
            parts.append(self.group(node["all"], f"{pointer}/all", join=And, each=inside))
        if "any" in node:
            parts.append(self.group(node["any"], f"{pointer}/any", join=Or, each=inside))
        if "not" in node:
            negated = inside(node["not"], f"{pointer}/not")
            parts.append(None if negated is None else Not(negated))
        known = tuple(part for part in parts if part is not None)
        return known[0] if len(known) == 1 else And(known)

    def group(
        self,
        nodes: object,
        pointer: str,
        *,
        join: Callable[[tuple[Rule, ...]], Rule],
        each: Callable[[object, str], Rule | None],
    ) -> Rule | None:
        if not isinstance(nodes, list) or not nodes:
            self.fault(pointer, "A group is an array of at least one rule.")
            return None
        if len(nodes) > MAX_LEAVES:
            self.fault(pointer, f"A segment has at most {MAX_LEAVES} conditions.")
            return None
        parts = [each(node, f"{pointer}/{at}") for at, node in enumerate(nodes)]
        return join(tuple(part for part in parts if part is not None))

    def leaf(self, node: object, pointer: str) -> Leaf | None:
        self._leaves += 1
        if self._leaves > MAX_LEAVES:
            if self._leaves == MAX_LEAVES + 1:
                self.fault(pointer, f"A segment has at most {MAX_LEAVES} conditions.")
            return None
        if not isinstance(node, dict):
            self.fault(pointer, "A condition is an object with `field`, `operator` and `value`.")
            return None
        for key in [key for key in node if key not in ("field", "operator", "value")]:
            self.fault(f"{pointer}/{escaped(key[:MAX_TOLD])}", "A condition has only `field`, `operator` and `value`.")
        field, name = self.field(node, pointer), node.get("operator")
        negated, operator = named_operator(name)
        if operator is None:
            self.fault(f"{pointer}/operator", f"The operator must be one of: {', '.join(Operator)}; or not_ and one.")
        if field is None or operator is None:
            return None
        if operator not in OPERATORS[field.kind]:
            fitting = ", ".join(one for one in Operator if one in OPERATORS[field.kind])
            self.fault(f"{pointer}/operator", f"{field.name} ({field.kind}) takes: {fitting}; or not_ and one.")
            return None
        before = len(self.faults)
        operand = self.operand(field, operator, node.get("value"), f"{pointer}/value")
        return None if len(self.faults) > before else Leaf(pointer, field, operator, negated, operand)

    def field(self, node: dict[str, object], pointer: str) -> Field | None:
        name = node.get("field")
        field = find(name) if isinstance(name, str) else None
        if field is None:
            self.fault(f"{pointer}/field", "The field is not one that rules know; metadata is asked as metadata.PATH.")
        return field

    def operand(
        self, field: Field, operator: Operator, value: object, pointer: str
    ) -> tuple[Scalar, ...] | Moments | int | None:
        if operator is Operator.EXISTS:
            if value is not None:
                self.fault(pointer, "exists takes no value; not_exists is its opposite.")
            return None
        if operator is Operator.ANNIVERSARY:
            days = 0 if value is None else moments.parse_days(value) if isinstance(value, str) else None
            if days is None:
                self.fault(pointer, f"The value must be days, up to {moments.MAX_DAYS}, as 7d; or left out, for today.")
            return days
        if operator in (Operator.IN_LAST, Operator.IN_NEXT):
            duration = moments.parse_duration(value) if isinstance(value, str) else None
            if duration is None:
                self.fault(pointer, "The value must be a duration, as 30d or 12h, of a hundred years at most.")
            return Moments((duration or 0,))
        if operator in (Operator.BEFORE, Operator.AFTER):
            return self.moments([value], pointer, at=[pointer])
        if operator is Operator.BETWEEN:
            return self.span(field, value, pointer)
        if operator in RANGES:
            number = as_number(value)
            if number is None:
                self.fault(pointer, "The value must be a number.")
                return None
            return (number,)
        return self.scalars(field, operator, value, pointer)

    def span(self, field: Field, value: object, pointer: str) -> tuple[Scalar, ...] | Moments | None:
        """Of numbers, or of times."""
        ends = value if isinstance(value, list) and len(value) == 2 else None
        numbers = ends is not None and all(is_number(end) for end in ends)
        if ends is None or (field.kind is Kind.NUMBER and not numbers):
            kind = {Kind.NUMBER: "numbers", Kind.TIME: "times"}.get(field.kind, "numbers, or of two times")
            self.fault(pointer, f"The value must be an array of two {kind}: the lower and the upper end.")
            return None
        low_and_high: tuple[Scalar, ...] | Moments | None
        if numbers and field.kind is not Kind.TIME:
            low_and_high = low, high = float(ends[0]), float(ends[1])
        else:
            low_and_high = self.moments(ends, pointer, at=[f"{pointer}/0", f"{pointer}/1"])
            if low_and_high is None:
                return None
            low, high = low_and_high.values
        if low > high:
            self.fault(pointer, "The lower end comes first.")
        return low_and_high

    def moments(self, values: Sequence[object], pointer: str, *, at: Sequence[str]) -> Moments | None:
        found = []
        for value, where in zip(values, at, strict=True):
            moment = moments.parse_moment(value) if isinstance(value, str) else None
            if moment is None:
                self.fault(where, "The value must be a time, as 2026-01-31T09:30:00Z or 2026-01-31.")
            else:
                found.append(moment)
        return Moments(tuple(found)) if len(found) == len(values) else None

    def scalars(self, field: Field, operator: Operator, value: object, pointer: str) -> tuple[Scalar, ...]:
        is_array = isinstance(value, list)
        values = value if isinstance(value, list) else [value]
        if not is_array and operator in (Operator.IN, Operator.CONTAINS_ANY, Operator.CONTAINS_ALL):
            self.fault(pointer, f"The value of {operator} must be an array.")
        elif not values:
            self.fault(pointer, "The condition needs a value.")
        elif len(values) > MAX_VALUES:
            self.fault(pointer, f"A condition has at most {MAX_VALUES} values.")
        elif operator is Operator.CONTAINS_ALL and self.too_many_of_all(len(values)):
            self.fault(pointer, f"The values of contains_all are at most {MAX_ALL_VALUES} in a segment.")
        else:
            for at, one in enumerate(values):
                if detail := fault_of_scalar(field, operator, one):
                    self.fault(f"{pointer}/{at}" if is_array else pointer, detail)
        return tuple(as_scalar(one) for one in values)

    def too_many_of_all(self, more: int) -> bool:
        self._all_values += more
        return self._all_values > MAX_ALL_VALUES


def named_operator(name: object) -> tuple[bool, Operator | None]:
    """Whether it is negated, and which; None where there is none of the name."""
    if not isinstance(name, str):
        return False, None
    negated = name.startswith(NEGATION)
    try:
        return negated, Operator(name.removeprefix(NEGATION))
    except ValueError:
        return False, None


def fault_of_scalar(field: Field, operator: Operator, value: object) -> str:
    """Empty where there is none."""
    if field.kind is Kind.BOOLEAN:
        return "" if isinstance(value, bool) else "The value must be true or false."
    if field.kind is Kind.NUMBER:
        return "" if is_number(value) else "The value must be a number."
    if field.kind is Kind.CUSTOM and operator not in (Operator.STARTS_WITH, Operator.ENDS_WITH):
        if isinstance(value, bool) or is_number(value):
            return ""
        if not isinstance(value, str):
            return "The value must be a text, a number or a boolean."
    if not isinstance(value, str):
        return "The value must be a text."
    return fault_of_text(value)


def as_scalar(value: object) -> Scalar:
    """Numbers as doubles. What is no scalar counts for nothing, for it is a fault."""
    number = as_number(value)
    return number if number is not None else value if isinstance(value, str | bool) else ""


def as_number(value: object) -> float | None:
    """As a double; None where it is no number, or too large for one."""
    return as_double(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def is_number(value: object) -> bool:
    return as_number(value) is not None
