"""The rule of a segment: which contacts it holds.

A rule is a list of conditions that must all hold. A condition is true when any of its values compares with the
contact's field; on `tags` when that is so for any tag. `contains` on `tags` means has the tag, not a substring.
An empty field compares with nothing. Case does not matter (see text.fold).

    parse([Condition("tags", "contains", ("Premium",))])  →  Rule(all=(Leaf(TAGS, EQUALS, ("premium",)),))
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from services.segments.domain.faults import Fault, InvalidRule, fault_of_text
from services.segments.domain.text import fold

MAX_NAME = 200
MAX_CONDITIONS = 100
MAX_VALUES = 100


class Field(StrEnum):
    NAME = "name"
    PHONE = "phone"
    EMAIL = "email"
    TAGS = "tags"


class Operator(StrEnum):
    EQUALS = "equals"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"


# Fields that hold a set of values.
SETS = frozenset({Field.TAGS})
# The contact's fields, as events name them, that a rule's field is made of.
READS = {
    Field.NAME: frozenset({"name", "first_name", "last_name"}),
    Field.PHONE: frozenset({"phone"}),
    Field.EMAIL: frozenset({"email"}),
    Field.TAGS: frozenset({"tags"}),
}


class Facts(NamedTuple):
    """What rules know of a contact. All text is folded; None where the contact has none."""

    name: str | None
    phone: str | None
    email: str | None
    tags: tuple[str, ...]


NOBODY = Facts(None, None, None, ())


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison as somebody wrote it."""

    field: str
    operator: str
    values: tuple[str, ...]
    # The value was an array: it reads back as it was written.
    is_array: bool = False


class Leaf(NamedTuple):
    """A comparison as it is evaluated: values folded, distinct, in order, so that equal leaves are equal."""

    field: Field
    operator: Operator
    values: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    all: tuple[Leaf, ...]

    @cached_property
    def reads(self) -> frozenset[str]:
        """The contact's fields, as events name them, on which the outcome depends."""
        return frozenset().union(*(READS[leaf.field] for leaf in self.all))


def parse(conditions: Sequence[Condition]) -> Rule:
    """Raises InvalidRule, with every fault."""
    faults = list(find_faults(conditions))
    if faults:
        raise InvalidRule(faults)
    return compile_rule(conditions)


def compile_rule(conditions: Iterable[Condition]) -> Rule:
    """The rule of conditions known to be valid. A condition given twice counts once."""
    return Rule(tuple(dict.fromkeys(leaf(condition) for condition in conditions)))


def leaf(condition: Condition) -> Leaf:
    field, operator = Field(condition.field), Operator(condition.operator)
    if field in SETS and operator is Operator.CONTAINS:
        # To contain a tag is for one of the tags to equal it.
        operator = Operator.EQUALS
    return Leaf(field, operator, tuple(sorted({fold(value) for value in condition.values})))


def find_faults(conditions: Sequence[Condition]) -> Iterator[Fault]:
    if not conditions:
        yield Fault("/conditions", "A segment needs at least one condition.")
    if len(conditions) > MAX_CONDITIONS:
        yield Fault("/conditions", f"A segment has at most {MAX_CONDITIONS} conditions.")
        return
    for at, condition in enumerate(conditions):
        yield from faults_of(condition, f"/conditions/{at}")


def faults_of(condition: Condition, pointer: str) -> Iterator[Fault]:
    if condition.field not in list(Field):
        yield Fault(f"{pointer}/field", f"The field must be one of: {', '.join(Field)}.")
    if condition.operator not in list(Operator):
        yield Fault(f"{pointer}/operator", f"The operator must be one of: {', '.join(Operator)}.")
    if not condition.values:
        yield Fault(f"{pointer}/value", "The condition needs a value.")
    if len(condition.values) > MAX_VALUES:
        yield Fault(f"{pointer}/value", f"A condition has at most {MAX_VALUES} values.")
        return
    for at, value in enumerate(condition.values):
        detail = fault_of_text(value)
        if detail:
            yield Fault(f"{pointer}/value/{at}" if condition.is_array else f"{pointer}/value", detail)


def fault_of_name(name: str) -> str:
    """What is wrong with a segment's name; empty where nothing is."""
    if not name.strip():
        return "A segment needs a name."
    if len(name) > MAX_NAME:
        return f"A name has at most {MAX_NAME} characters."
    if "\0" in name:
        return "A name must not contain the character NUL."
    return ""
