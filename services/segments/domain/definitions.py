"""A segment's rule as it is kept: JSON text, with the rules of the segments that it names.

definition   {"conditions": […]} or {"rules": …}, as written
inlined      {segment id: its definition} of those that it names, of those that these name, and so on
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from services.segments.domain.boolean import leaves
from services.segments.domain.comparisons import Compiled, compile_rule
from services.segments.domain.faults import Fault, InvalidRule
from services.segments.domain.fields import Kind
from services.segments.domain.grammar import Leaf, Operator, Rule, parse

MAX_BYTES = 256 * 1024
# Conditions of all that a rule names, each counted as often as it is named, and as often as it has values to contain.
MAX_INLINED = 1_000
# Segments that name one another, from the rule itself down to one that names none: rules are walked by recursion.
MAX_CHAIN = 10


@dataclass(frozen=True, slots=True)
class Definition:
    """A valid one."""

    text: str
    rule: Rule


def read(text: str) -> Definition:
    """Raises InvalidRule, with every fault; whether the segments that it names exist is not looked at."""
    if len(text.encode()) > MAX_BYTES:
        raise InvalidRule([Fault("", f"A rule has at most {MAX_BYTES} bytes.")])
    try:
        decoded = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRule([Fault("", "The rule is not JSON.")]) from error
    return Definition(text, parse(decoded))


def conditions_of(definition: Definition) -> int:
    """How many are written in it."""
    return sum(1 for _ in leaves(definition.rule))


def size_of(rule: Rule) -> int:
    """Its conditions, of which `contains_all` is one for each value."""
    return sum(
        len(leaf.operand) if leaf.operator is Operator.CONTAINS_ALL and isinstance(leaf.operand, tuple) else 1
        for leaf in leaves(rule)
    )


def named(rule: Rule) -> Iterator[tuple[str, Leaf]]:
    """The ids of the segments that the rule names, each with the leaf that does."""
    for leaf in leaves(rule):
        if leaf.field.kind is Kind.SEGMENTS:
            assert isinstance(leaf.operand, tuple)
            for value in leaf.operand:
                yield str(value), leaf


def compile_with(definition: str, inlined: Mapping[str, str]) -> Compiled:
    """Of a rule known to be valid, without cycles."""
    known: dict[str, Compiled] = {}

    def inline(segment: str) -> Compiled:
        if segment not in known:
            known[segment] = compile_rule(read(inlined[segment]).rule, inline)
        return known[segment]

    return compile_rule(read(definition).rule, inline)


class References:
    """Segments that name segments: an account's, by the ids that rules use."""

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        """definitions: of whatever is asked for below, and all that these name."""
        self._definitions = definitions

    def closure(self, definition: Definition) -> dict[str, str]:
        """What the definition has to carry with it."""
        found: dict[str, str] = {}
        waiting = [segment for segment, _ in named(definition.rule)]
        while waiting:
            segment = waiting.pop()
            if segment not in found:
                found[segment] = self._definitions[segment].text
                waiting += [one for one, _ in named(self._definitions[segment].rule)]
        return found

    def faults(self, definition: Definition, *, of: str | None) -> Sequence[Fault]:
        """What is wrong with what it names. of: the segment that the definition is meant for, where it exists."""
        sizes: dict[str, int] = {}
        depths: dict[str, int] = {}
        faults, total = [], 0
        for segment, leaf in named(definition.rule):
            if segment not in self._definitions:
                faults.append(Fault(f"{leaf.pointer}/value", f"No segment has the id {segment}."))
            elif segment == of or of in self.closure(self._definitions[segment]):
                faults.append(Fault(f"{leaf.pointer}/value", f"A cycle: {segment} depends on this segment."))
            elif self._depth(segment, depths) >= MAX_CHAIN:
                faults.append(Fault(f"{leaf.pointer}/value", f"Segments name one another at most {MAX_CHAIN} deep."))
            else:
                total += self._size(segment, sizes)
                if total > MAX_INLINED:
                    detail = f"With the segments that it names, a rule has at most {MAX_INLINED} conditions."
                    return [*faults, Fault(f"{leaf.pointer}/value", detail)]
        return faults

    def _size(self, segment: str, sizes: dict[str, int]) -> int:
        if segment not in sizes:
            rule = self._definitions[segment].rule
            sizes[segment] = size_of(rule) + sum(self._size(inner, sizes) for inner, _ in named(rule))
        return sizes[segment]

    def _depth(self, segment: str, depths: dict[str, int]) -> int:
        """How many follow on one another from this one, itself included."""
        if segment not in depths:
            below = [self._depth(inner, depths) for inner, _ in named(self._definitions[segment].rule)]
            depths[segment] = 1 + max(below, default=0)
        return depths[segment]
