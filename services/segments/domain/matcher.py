"""The batch matcher: every rule of an account against a thousand contacts at once.

A set of contacts is an integer, bit i for the i-th contact of the batch. Each distinct comparison of the account costs
one mask, however many rules share it, and a rule is AND, OR and NOT of masks. Comparisons of equality are found from
the values that the batch has, in a dictionary; parts of texts by searching all of a column's values at once, joined by
NUL, which no value contains; ranges in the sorted values. A rule is looked at only where one of its anchors holds for
anybody: comparisons without any of which it cannot be true. So the cost follows the batch and what it meets, and not
contacts × rules.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Generic, TypeVar

from services.segments.domain.batch import Batch, bits
from services.segments.domain.boolean import leaves
from services.segments.domain.comparisons import Compiled, next_flip
from services.segments.domain.fields import Source, find
from services.segments.domain.masks import Anchored, Index, Masks, mask_of, possible

K = TypeVar("K")

# Sets of changed fields whose rules are kept apart.
KEPT_SUBSETS = 64


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
