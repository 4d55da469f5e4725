"""The batch matcher: every rule of an account against up to 500 contacts at once.

A set of contacts is an integer, bit i for the i-th contact of the batch. Each distinct leaf of the account costs one
mask, however many rules share it, and a rule is the AND of its leaves' masks. A leaf's mask comes from a dictionary
(`equals`) or from searching all of a field's values at once, joined by NUL, which no value contains: cost follows the
batch and the number of distinct leaves, not contacts × rules.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.segments.domain.rules import Facts, Field, Leaf, Operator, Rule

K = TypeVar("K")

SEPARATOR = "\0"


class Column:
    """One field over a batch: its distinct values, each with the mask of the contacts that have it."""

    def __init__(self, entries: Iterable[tuple[int, Iterable[str]]]) -> None:
        """entries: a contact's bit and its values."""
        self._masks: dict[str, int] = {}
        for bit, values in entries:
            for value in values:
                self._masks[value] = self._masks.get(value, 0) | bit
        self._by_place = list(self._masks.values())
        self._joined = SEPARATOR + SEPARATOR.join(self._masks) + SEPARATOR
        # Where each value's leading separator lies, and behind them the last separator.
        self._places = [0]
        for value in self._masks:
            self._places.append(self._places[-1] + len(value) + 1)

    def mask(self, operator: Operator, values: Iterable[str]) -> int:
        """The contacts of whose values any compares with any of those given."""
        found = 0
        for value in values:
            if operator is Operator.EQUALS:
                found |= self._masks.get(value, 0)
            elif operator is Operator.CONTAINS:
                found |= self._search(value)
            elif operator is Operator.STARTS_WITH:
                found |= self._search(SEPARATOR + value)
            else:
                found |= self._search(value + SEPARATOR)
        return found

    def _search(self, needle: str) -> int:
        found, joined, places = 0, self._joined, self._places
        at = joined.find(needle)
        while at >= 0:
            place = bisect_right(places, at) - 1
            found |= self._by_place[place]
            # One match a value is enough: go on behind it.
            at = joined.find(needle, places[place + 1])
        return found


class Batch:
    """Contacts to match, in the order of their bits."""

    def __init__(self, contacts: Sequence[Facts]) -> None:
        bits = [1 << at for at in range(len(contacts))]
        self.everybody = (1 << len(contacts)) - 1
        self._columns = {
            Field.NAME: Column((bit, (c.name,)) for bit, c in zip(bits, contacts, strict=True) if c.name),
            Field.PHONE: Column((bit, (c.phone,)) for bit, c in zip(bits, contacts, strict=True) if c.phone),
            Field.EMAIL: Column((bit, (c.email,)) for bit, c in zip(bits, contacts, strict=True) if c.email),
            Field.TAGS: Column((bit, c.tags) for bit, c in zip(bits, contacts, strict=True) if c.tags),
        }

    def mask(self, leaf: Leaf) -> int:
        return self._columns[leaf.field].mask(leaf.operator, leaf.values)


class RuleSet(Generic[K]):
    """All rules of an account under their keys, compiled."""

    def __init__(self, rules: Mapping[K, Rule]) -> None:
        places: dict[Leaf, int] = {}
        self._rules = [
            (key, tuple(places.setdefault(leaf, len(places)) for leaf in rule.all)) for key, rule in rules.items()
        ]
        self._leaves = list(places)
        # The contact's fields that any rule reads, as events name them.
        self.reads = frozenset[str]().union(*(rule.reads for rule in rules.values()))

    def __len__(self) -> int:
        return len(self._rules)

    def match(self, contacts: Sequence[Facts]) -> dict[K, int]:
        """The mask of each rule that matches any of the contacts."""
        batch = Batch(contacts)
        masks = [batch.mask(leaf) for leaf in self._leaves]
        matched: dict[K, int] = {}
        for key, leaves in self._rules:
            mask = batch.everybody
            for at in leaves:
                mask &= masks[at]
                if not mask:
                    break
            else:
                matched[key] = mask
        return matched


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
