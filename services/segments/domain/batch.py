"""A batch of contacts by columns. A set of contacts is an integer: bit i for the i-th of the batch."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from operator import or_

from services.segments.domain.comparisons import Compare, Comparison, holds, span
from services.segments.domain.facts import Facts, Value

SEPARATOR = "\0"


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


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, from the lowest."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
