"""The order of one endpoint's deliveries: of each object the older revision first, and nothing else in anybody's way.

A delivery carries objects, each with a revision. It may go when of each of its objects no older revision is still to be
delivered; where revisions are equal or unknown (0), the earlier position goes first. One that has failed and waits for
its next attempt holds back the later ones of its objects, and nobody else's.
"""

import heapq
from bisect import insort
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
# Before every revision: nobody goes past one that is under way.
FIRST = -(1 << 63)
# Revision, position, and the number in the order of adding.
Place = tuple[int, int, int]


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    name: Hashable
    item: T
    position: int
    number: int
    # Revision by object.
    objects: dict[int, int]
    due: bool
    running: bool = False
    # Its place in the line of each object.
    places: dict[int, Place] = field(default_factory=dict)


class Lines(Generic[T]):
    """What is to be delivered, by name, and a line of those that wait for each object."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, Entry[T]] = {}
        self._by_number: dict[int, Entry[T]] = {}
        self._lines: dict[int, list[Place]] = {}
        # (position, number) of those that may be free; looked at again when they come up.
        self._candidates: list[tuple[int, int]] = []
        self._added = 0
        self.running = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: Hashable) -> bool:
        return name in self._entries

    def add(self, name: Hashable, item: T, *, position: int, objects: Iterable[tuple[int, int]], due: bool) -> None:
        """objects: (object, revision). due: False for one that waits for its next attempt."""
        self._added += 1
        entry = Entry(name, item, position, self._added, dict(objects), due)
        self._line_up(entry)
        self._entries[name] = self._by_number[entry.number] = entry
        self._suggest(entry)

    def make_due(self, name: Hashable, item: T) -> None:
        """Its next attempt has come; item is what is known of it now."""
        entry = self._entries[name]
        if not entry.running:
            entry.item, entry.due = item, True
            self._suggest(entry)

    def take(self) -> T | None:
        """The free one with the earliest position, which runs from now on; None where none is free."""
        while self._candidates:
            _, number = heapq.heappop(self._candidates)
            entry = self._by_number.get(number)
            if entry is not None and self._may_go(entry) and self._leads(entry):
                return self._start(entry)
        return self._out_of_a_circle()

    def again(self, name: Hashable) -> None:
        """It failed, and waits for its next attempt."""
        entry = self._entries[name]
        entry.running = entry.due = False
        self.running -= 1
        self._line_up(entry)
        self._suggest_heads(entry)

    def end(self, name: Hashable) -> None:
        """It was delivered, given up, or is not ours any more."""
        entry = self._entries.pop(name)
        del self._by_number[entry.number]
        self.running -= entry.running
        for thing, place in entry.places.items():
            self._lines[thing].remove(place)
        self._suggest_heads(entry)

    def _line_up(self, entry: Entry[T]) -> None:
        """By its revisions, or before all others while it runs."""
        for thing, revision in entry.objects.items():
            line = self._lines.setdefault(thing, [])
            if thing in entry.places:
                line.remove(entry.places[thing])
            entry.places[thing] = (FIRST if entry.running else revision, entry.position, entry.number)
            insort(line, entry.places[thing])

    def _suggest_heads(self, entry: Entry[T]) -> None:
        """Who leads the lines that it left or fell back in."""
        for thing in entry.objects:
            line = self._lines[thing]
            if line:
                self._suggest(self._by_number[line[0][2]])
            else:
                del self._lines[thing]

    def _suggest(self, entry: Entry[T]) -> None:
        if self._may_go(entry):
            heapq.heappush(self._candidates, (entry.position, entry.number))

    def _may_go(self, entry: Entry[T]) -> bool:
        return entry.due and not entry.running

    def _leads(self, entry: Entry[T]) -> bool:
        return all(self._lines[thing][0] == place for thing, place in entry.places.items())

    def _start(self, entry: Entry[T]) -> T:
        entry.running = True
        self.running += 1
        self._line_up(entry)
        return entry.item

    def _out_of_a_circle(self) -> T | None:
        """Where all hold back one another, as overlapping transactions can bring about: the earliest position."""
        if self.running or not all(entry.due for entry in self._entries.values()):
            return None
        first = min(self._entries.values(), key=lambda entry: (entry.position, entry.number), default=None)
        return None if first is None else self._start(first)
