"""The batch matcher: every rule of an account against up to 500 contacts at once.

A set of contacts is an integer, bit i for the i-th contact of the batch. Each distinct comparison of the account costs
one mask, however many rules share it, and a rule is AND, OR and NOT of masks. Comparisons of equality are found from
the values that the batch has, in a dictionary; parts of texts by searching all of a column's values at once, joined by
NUL, which no value contains; ranges in the sorted values. A rule is looked at only where one of its anchors holds for
anybody: comparisons without any of which it cannot be true. So the cost follows the batch and what it meets, and not
contacts × rules.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
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

    def __init__(self, contacts: Iterable[Facts], name: str) -> None:
        masks: dict[Value, int] = {}
        self.masks = masks
        # Of those who have a value.
        self.everybody = 0
        self._one_each = True
        bit = 1
        for facts in contacts:
            values = facts.get(name)
            if values:
                self.everybody |= bit
                for value in values:
                    masks[value] = masks.get(value, 0) | bit
                if len(values) > 1:
                    self._one_each = False
            bit <<= 1

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


class Batch:
    """Up to some hundred contacts at a moment, and their columns as rules ask for them."""

    def __init__(self, contacts: Sequence[Facts], now: int) -> None:
        """now: microseconds since 1970."""
        self.contacts = contacts
        self.now = now
        self.everybody = (1 << len(contacts)) - 1
        # The columns that any of them has.
        self.present = frozenset().union(*contacts)
        self._columns: dict[str, Column] = {}

    def column(self, name: str) -> Column:
        """One of those present."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = Column(self.contacts, name)
        return column


class Masks:
    """Of comparisons by number, over a batch: those of equality at once, others when they are asked for."""

    def __init__(self, batch: Batch, index: "Index") -> None:
        self.everybody = batch.everybody
        self._batch = batch
        self._comparisons = index.comparisons
        self._known: list[int | None] = index.blank.copy()
        # Comparisons of equality that hold for anybody.
        self.hits: list[int] = []
        for name in batch.present & index.equal.keys():
            by_value = index.equal[name]
            for value, mask in batch.column(name).masks.items():
                for number in by_value.get(value, ()):
                    self._hit(number, mask)

    def _hit(self, number: int, mask: int) -> None:
        known = self._known[number]
        if not known:
            self.hits.append(number)
        self._known[number] = (known or 0) | mask

    def of(self, number: int) -> int:
        mask = self._known[number]
        if mask is None:
            comparison = self._comparisons[number]
            mask = 0
            if comparison.column in self._batch.present:
                mask = self._batch.column(comparison.column).mask(comparison, self._batch.now)
            self._known[number] = mask
        return mask


class Index:
    """The distinct comparisons of some rules, by number."""

    def __init__(self, rules: Iterable[Compiled]) -> None:
        numbers: dict[Comparison, int] = {}
        self.rules = [replace(rule, lambda one: numbers.setdefault(one, len(numbers))) for rule in rules]
        self.comparisons = list(numbers)
        self.relative = frozenset(number for number, one in enumerate(self.comparisons) if one.how in RELATIVE)
        # By column and value.
        self.equal: dict[str, dict[Value, list[int]]] = {}
        # Those of equality are false until they are found, the others unknown until they are asked for.
        self.blank: list[int | None] = [None] * len(self.comparisons)
        for number, one in enumerate(self.comparisons):
            if one.how is Compare.EQUALS:
                self.blank[number] = 0
                by_value = self.equal.setdefault(one.column, {})
                for value in one.operand:
                    by_value.setdefault(value, []).append(number)  # type: ignore[arg-type]  # none is None
        self.columns = frozenset(one.column for one in self.comparisons)
        self.rules = [self._cheap_first(rule) for rule in self.rules]

    def _cheap_first(self, rule: Expression[int]) -> Expression[int]:
        """The same rule, with what is found anyway before what has to be looked for."""
        if isinstance(rule, And | Or):
            parts = sorted(map(self._cheap_first, rule.parts), key=self._cost)
            return And(tuple(parts)) if isinstance(rule, And) else Or(tuple(parts))
        return Not(self._cheap_first(rule.part)) if isinstance(rule, Not) else rule

    def _cost(self, rule: Expression[int]) -> int:
        return int(self.blank[rule] is None) if isinstance(rule, int) else 2


class Anchored:
    """Which rules may hold, from what is known to."""

    def __init__(self, index: Index, unknown: Container[int] = ()) -> None:
        """unknown: comparisons of which nothing is assumed."""
        # Rules by each of their anchors; those that have none; and anchors that must be looked for.
        self._rules: dict[int, list[int]] = {}
        self._always: list[int] = []
        for place, rule in enumerate(index.rules):
            found = anchors(rule, index.blank, unknown)
            if found is None:
                self._always.append(place)
            for number in found or ():
                self._rules.setdefault(number, []).append(place)
        self._looked_for = [number for number in self._rules if index.blank[number] is None]

    def rules(self, masks: Masks) -> list[int]:
        """Their places, in order."""
        places = set(self._always)
        for number in masks.hits:
            places.update(self._rules.get(number, ()))
        for number in self._looked_for:
            if masks.of(number):
                places.update(self._rules[number])
        return sorted(places)


class RuleSet(Generic[K]):
    """Rules under their keys, made ready for matching."""

    def __init__(self, rules: Mapping[K, Compiled]) -> None:
        self._given = rules
        self._keys = list(rules)
        self._subsets: dict[frozenset[str], RuleSet[K]] = {}
        self._index = Index(rules.values())

    def __len__(self) -> int:
        return len(self._keys)

    @cached_property
    def keys(self) -> frozenset[K]:
        return frozenset(self._keys)

    @cached_property
    def reads(self) -> frozenset[str]:
        """What the outcome of any rule depends on: fields as events name them, and EVERY_VERSION."""
        return frozenset().union(*map(reads_of, self._index.columns))

    @cached_property
    def reads_engagement(self) -> bool:
        return any(map(is_engagement, self._index.columns))

    @cached_property
    def relative(self) -> "RuleSet[K]":
        """Those that flip by the clock."""
        return self._only(self._index.relative)

    def reading(self, changed: frozenset[str]) -> "RuleSet[K]":
        """Those that read any of the fields. EVERY_VERSION is among them only if it is given."""
        wanted = changed & self.reads
        if wanted == self.reads:
            return self
        found = self._subsets.get(wanted)
        if found is None:
            if len(self._subsets) >= KEPT_SUBSETS:
                self._subsets.clear()
            columns = {column for column in self._index.columns if not wanted.isdisjoint(reads_of(column))}
            comparisons = enumerate(self._index.comparisons)
            found = self._only({number for number, one in comparisons if one.column in columns})
            self._subsets[wanted] = found
        return found

    def _only(self, comparisons: Collection[int]) -> "RuleSet[K]":
        """The rules with any of the comparisons."""
        pairs = zip(self._keys, self._index.rules, strict=True)
        return RuleSet(
            {key: self._given[key] for key, rule in pairs if any(number in comparisons for number in leaves(rule))}
        )

    @cached_property
    def _may_hold(self) -> Anchored:
        return Anchored(self._index)

    @cached_property
    def _may_be_watched(self) -> Anchored:
        return Anchored(self._index, self._index.relative)

    def match(self, batch: Batch) -> dict[K, int]:
        """The mask of each rule that holds for any of the contacts."""
        masks = Masks(batch, self._index)
        matched: dict[K, int] = {}
        for place in self._may_hold.rules(masks):
            mask = mask_of(self._index.rules[place], masks)
            if mask:
                matched[self._keys[place]] = mask
        return matched

    def flips(self, batch: Batch) -> list[int | None]:
        """For each contact the first moment after the batch's at which the clock alone may change what match answers.

        It may be early, for a rule may have other reasons to stay as it is, but never late.
        """
        masks = Masks(batch, self._index)
        relative = self._index.relative
        watched = dict.fromkeys(relative, 0)
        for place in self._may_be_watched.rules(masks):
            rule = self._index.rules[place]
            true, false = possible(rule, masks, relative)
            if true & false:
                for number in leaves(rule):
                    if number in relative:
                        watched[number] |= true & false
        found: list[int | None] = [None] * len(batch.contacts)
        for number, mask in watched.items():
            comparison = self._index.comparisons[number]
            if not mask or comparison.column not in batch.present:
                continue
            for place in bits(mask & batch.column(comparison.column).everybody):
                flip = next_flip(comparison, batch.contacts[place][comparison.column], now=batch.now)
                known = found[place]
                if flip is not None and (known is None or flip < known):
                    found[place] = flip
        return found


def mask_of(rule: Expression[int], masks: Masks) -> int:
    """rule: over the numbers of comparisons."""
    if isinstance(rule, int):
        return masks.of(rule)
    if isinstance(rule, And):
        mask = masks.everybody
        for part in rule.parts:
            mask &= mask_of(part, masks)
            if not mask:
                break
        return mask
    if isinstance(rule, Or):
        mask = 0
        for part in rule.parts:
            mask |= mask_of(part, masks)
            if mask == masks.everybody:
                break
        return mask
    return masks.everybody & ~mask_of(rule.part, masks)


def possible(rule: Expression[int], masks: Masks, unknown: Container[int]) -> tuple[int, int]:
    """For whom the rule could be true, and for whom false, if nothing were known of some comparisons."""
    everybody = masks.everybody
    if isinstance(rule, int):
        if rule in unknown:
            return everybody, everybody
        mask = masks.of(rule)
        return mask, everybody & ~mask
    if isinstance(rule, Not):
        true, false = possible(rule.part, masks, unknown)
        return false, true
    all_true, any_true, all_false, any_false = everybody, 0, everybody, 0
    for part in rule.parts:
        true, false = possible(part, masks, unknown)
        all_true, any_true = all_true & true, any_true | true
        all_false, any_false = all_false & false, any_false | false
        if isinstance(rule, And) and not all_true:
            # Nobody can be in; what the other parts say makes no difference to whom to watch.
            return 0, everybody
    return (all_true, any_false) if isinstance(rule, And) else (any_true, all_false)


def anchors(rule: Expression[int], blank: Sequence[int | None], unknown: Container[int]) -> frozenset[int] | None:
    """Comparisons of which at least one must hold where the rule does; None where it can hold without any.

    Those that are found anyway are better ones, and of these few are better than many.
    """
    if isinstance(rule, int):
        return None if rule in unknown else frozenset({rule})
    if isinstance(rule, And):
        known = [found for part in rule.parts if (found := anchors(part, blank, unknown)) is not None]
        return min(known, key=lambda found: (any(blank[number] is None for number in found), len(found)), default=None)
    if isinstance(rule, Or):
        parts = [anchors(part, blank, unknown) for part in rule.parts]
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
