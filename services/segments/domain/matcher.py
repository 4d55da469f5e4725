"""The batch matcher: every rule of an account against up to 500 contacts at once.

A set of contacts is an integer, bit i for the i-th contact of the batch. Each distinct comparison of the account costs
one mask, however many rules share it, and a rule is AND, OR and NOT of masks. Comparisons of equality are found from
the values that the batch has, in a dictionary; parts of texts by searching all of a column's values at once, joined by
NUL, which no value contains; ranges in the sorted values. A rule is looked at only where one of its anchors holds for
anybody: comparisons without any of which it cannot be true. So the cost follows the batch and what it meets, and not
contacts × rules.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from operator import or_
from typing import Generic, TypeVar

from services.segments.domain.boolean import And, Expression, Not, Or, leaves, replace
from services.segments.domain.comparisons import RELATIVE, Compare, Comparison, Compiled, holds, next_flip, span
from services.segments.domain.facts import Facts, Value
from services.segments.domain.fields import Source, find

K = TypeVar("K")

SEPARATOR = "\0"
# Sets of changed fields whose rules are kept apart.
KEPT_SUBSETS = 64


class Column:
    """One column over a batch: its distinct values, each with the mask of the contacts that have it."""

    def __init__(self) -> None:
        self.masks: dict[Value, int] = {}
        self.everybody = 0
        self._one_each = True

    def add(self, bit: int, values: Iterable[Value]) -> None:
        """A contact's values, once for each contact."""
        for value in values:
            self.masks[value] = self.masks.get(value, 0) | bit
            self._one_each = self._one_each and not self.everybody & bit
            self.everybody |= bit

    def mask(self, comparison: Comparison, now: int) -> int:
        """The contacts for whom the comparison holds."""
        how, operand = comparison.how, comparison.operand
        if how is Compare.EXISTS:
            return self.everybody
        if how in (Compare.RANGE, Compare.IN_LAST, Compare.IN_NEXT):
            return self._between(*span(comparison, now))
        found = 0
        if how is Compare.EQUALS:
            for value in operand:
                found |= self.masks.get(value, 0)  # type: ignore[arg-type]  # no operand of equality is None
        elif how is Compare.ANNIVERSARY:
            for value, mask in self.masks.items():
                if holds(comparison, (value,), now=now):
                    found |= mask
        else:
            before = SEPARATOR if how is Compare.STARTS_WITH else ""
            behind = SEPARATOR if how is Compare.ENDS_WITH else ""
            for value in operand:
                found |= self._search(f"{before}{value}{behind}")
        return found

    @cached_property
    def _by_place(self) -> list[int]:
        return list(self.masks.values())

    @cached_property
    def _joined(self) -> tuple[str, list[int]]:
        """All texts, and where each one's leading separator lies; behind them the last separator."""
        texts = [str(value) for value in self.masks]
        places = list(accumulate((len(text) + 1 for text in texts), initial=0))
        return SEPARATOR + SEPARATOR.join(texts) + SEPARATOR, places

    def _search(self, needle: str) -> int:
        joined, places = self._joined
        found = 0
        at = joined.find(needle)
        while at >= 0:
            place = bisect_right(places, at) - 1
            found |= self._by_place[place]
            # One match a value is enough: go on behind it.
            at = joined.find(needle, places[place + 1])
        return found

    @cached_property
    def _sorted(self) -> tuple[list[Value], list[int], list[int]]:
        """Values in order, their masks, and the union of the masks before each."""
        values = sorted(self.masks)
        masks = [self.masks[value] for value in values]
        return values, masks, list(accumulate(masks, or_, initial=0))

    def _between(
        self, low: Value | None, high: Value | None, low_closed: Value | None, high_closed: Value | None
    ) -> int:
        values, masks, before = self._sorted
        start = 0 if low is None else (bisect_left if low_closed else bisect_right)(values, low)
        end = len(values) if high is None else (bisect_right if high_closed else bisect_left)(values, high)
        if start >= end:
            return 0
        if self._one_each:
            return before[end] & ~before[start]
        found = 0
        for mask in masks[start:end]:
            found |= mask
        return found


EMPTY = Column()


class RuleSet(Generic[K]):
    """Rules under their keys, made ready for matching."""

    def __init__(self, rules: Mapping[K, Compiled]) -> None:
        self._given = rules
        self._subsets: dict[frozenset[str], RuleSet[K]] = {}
        numbers: dict[Comparison, int] = {}
        self._keys = list(rules)
        self._rules = [
            replace(rule, lambda one: numbers.setdefault(one, len(numbers))) for rule in rules.values()
        ]  # fmt: skip
        self._comparisons = list(numbers)
        # Of each column: the comparisons of equality by value, and the others.
        self._equal: dict[str, dict[Value, list[int]]] = {}
        self._others: dict[str, list[int]] = {}
        for number, one in enumerate(self._comparisons):
            if one.how is Compare.EQUALS:
                by_value = self._equal.setdefault(one.column, {})
                for value in one.operand:
                    by_value.setdefault(value, []).append(number)  # type: ignore[arg-type]  # as above
            else:
                self._others.setdefault(one.column, []).append(number)
        self._needed = self._equal.keys() | self._others.keys()
        # Rules by each of their anchors, and those that have none.
        self._anchored: dict[int, list[int]] = {}
        self._always: list[int] = []
        for place, rule in enumerate(self._rules):
            needed = anchors(rule)
            if needed is None:
                self._always.append(place)
            for number in needed or ():
                self._anchored.setdefault(number, []).append(place)

    def __len__(self) -> int:
        return len(self._rules)

    @cached_property
    def reads(self) -> frozenset[str]:
        """What the outcome of any rule depends on: fields as events name them, and EVERY_VERSION."""
        return frozenset().union(*(reads_of(column) for column in self._needed))

    @cached_property
    def reads_engagement(self) -> bool:
        return any(is_engagement(column) for column in self._needed)

    @cached_property
    def relative(self) -> "RuleSet[K]":
        """Those that flip by the clock."""
        return self._only(lambda one: one.how in RELATIVE)

    def reading(self, changed: frozenset[str]) -> "RuleSet[K]":
        """Those that read any of the fields. EVERY_VERSION is among them only if it is given."""
        wanted = changed & self.reads
        if wanted == self.reads:
            return self
        found = self._subsets.get(wanted)
        if found is None:
            if len(self._subsets) >= KEPT_SUBSETS:
                self._subsets.clear()
            found = self._only(lambda one: not wanted.isdisjoint(reads_of(one.column)))
            self._subsets[wanted] = found
        return found

    def _only(self, wanted: Callable[[Comparison], bool]) -> "RuleSet[K]":
        kept = {number for number, one in enumerate(self._comparisons) if wanted(one)}
        return RuleSet(
            {
                key: self._given[key]
                for key, rule in zip(self._keys, self._rules, strict=True)
                if any(number in kept for number in leaves(rule))
            }
        )

    @cached_property
    def keys(self) -> frozenset[K]:
        return frozenset(self._keys)

    def match(self, contacts: Sequence[Facts], now: int) -> dict[K, int]:
        """The mask of each rule that holds for any of the contacts. now: microseconds since 1970."""
        everybody = (1 << len(contacts)) - 1
        masks = self._masks(self._columns(contacts), now)
        places = set(self._always)
        for number, rules in self._anchored.items():
            if masks[number]:
                places.update(rules)
        matched: dict[K, int] = {}
        for place in sorted(places):
            mask = mask_of(self._rules[place], masks, everybody)
            if mask:
                matched[self._keys[place]] = mask
        return matched

    def flips(self, contacts: Sequence[Facts], now: int) -> list[int | None]:
        """For each contact the first moment after now at which the clock alone may change what match answers.

        It may be early, for a rule may have other reasons to stay as it is, but never late.
        """
        everybody = (1 << len(contacts)) - 1
        columns = self._columns(contacts)
        masks = self._masks(columns, now)
        relative = {number for number, one in enumerate(self._comparisons) if one.how in RELATIVE}
        watched = dict.fromkeys(relative, 0)
        for rule in self._rules:
            true, false = possible(rule, masks, everybody, relative)
            if true & false:
                for number in leaves(rule):
                    if number in relative:
                        watched[number] |= true & false
        found: list[int | None] = [None] * len(contacts)
        for number, mask in watched.items():
            comparison = self._comparisons[number]
            for place in bits(mask & columns.get(comparison.column, EMPTY).everybody):
                flip = next_flip(comparison, contacts[place].get(comparison.column, ()), now=now)
                known = found[place]
                if flip is not None and (known is None or flip < known):
                    found[place] = flip
        return found

    def _columns(self, contacts: Sequence[Facts]) -> dict[str, Column]:
        needed, columns = self._needed, dict[str, Column]()
        for place, facts in enumerate(contacts):
            for name, values in facts.items():
                if name in needed:
                    column = columns.get(name)
                    if column is None:
                        column = columns[name] = Column()
                    column.add(1 << place, values)
        return columns

    def _masks(self, columns: Mapping[str, Column], now: int) -> list[int]:
        """Of each comparison."""
        masks = [0] * len(self._comparisons)
        for name, column in columns.items():
            by_value = self._equal.get(name)
            if by_value is not None:
                for value, mask in column.masks.items():
                    for number in by_value.get(value, ()):
                        masks[number] |= mask
            for number in self._others.get(name, ()):
                masks[number] = column.mask(self._comparisons[number], now)
        return masks


def mask_of(rule: Expression[int], masks: Sequence[int], everybody: int) -> int:
    """rule: over the numbers of comparisons."""
    if isinstance(rule, int):
        return masks[rule]
    if isinstance(rule, And):
        mask = everybody
        for part in rule.parts:
            mask &= mask_of(part, masks, everybody)
            if not mask:
                break
        return mask
    if isinstance(rule, Or):
        mask = 0
        for part in rule.parts:
            mask |= mask_of(part, masks, everybody)
        return mask
    return everybody & ~mask_of(rule.part, masks, everybody)


def possible(rule: Expression[int], masks: Sequence[int], everybody: int, unknown: set[int]) -> tuple[int, int]:
    """For whom the rule could be true, and for whom false, if nothing were known of some comparisons."""
    if isinstance(rule, int):
        return (everybody, everybody) if rule in unknown else (masks[rule], everybody & ~masks[rule])
    if isinstance(rule, Not):
        true, false = possible(rule.part, masks, everybody, unknown)
        return false, true
    all_true, any_true, all_false, any_false = everybody, 0, everybody, 0
    for part in rule.parts:
        true, false = possible(part, masks, everybody, unknown)
        all_true, any_true = all_true & true, any_true | true
        all_false, any_false = all_false & false, any_false | false
    return (all_true, any_false) if isinstance(rule, And) else (any_true, all_false)


def anchors(rule: Expression[int]) -> frozenset[int] | None:
    """Comparisons of which at least one must hold where the rule does; None where it can hold without any."""
    if isinstance(rule, int):
        return frozenset({rule})
    if isinstance(rule, And):
        known = [found for part in rule.parts if (found := anchors(part)) is not None]
        return min(known, key=len, default=None)
    if isinstance(rule, Or):
        parts = [anchors(part) for part in rule.parts]
        return None if None in parts else frozenset().union(*(part for part in parts if part is not None))
    return None


# Custom data has any number of columns.
@lru_cache(maxsize=65_536)
def field_of(column: str) -> "tuple[frozenset[str], bool]":
    """What a change must name to change the column, and whether messages tell of it."""
    field = find(column[2:])
    assert field is not None
    return field.reads, field.source is Source.ENGAGEMENT


def reads_of(column: str) -> frozenset[str]:
    return field_of(column)[0]


def is_engagement(column: str) -> bool:
    return field_of(column)[1]


@dataclass(frozen=True, slots=True)
class Difference(Generic[K]):
    """Places in the batch of the contacts that step into and out of one set."""

    key: K
    joined: list[int]
    left: list[int]


def differences(now: Mapping[K, int], before: Mapping[K, int]) -> Iterator[Difference[K]]:
    """What changed between two sets of masks; keys without a change are left out."""
    for key in now.keys() | before.keys():
        new, old = now.get(key, 0), before.get(key, 0)
        if new != old:
            yield Difference(key, list(bits(new & ~old)), list(bits(old & ~new)))


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, from the lowest."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
