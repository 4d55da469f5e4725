"""What the clients of a run know together: contacts, lists and segments that there should be, and what was changed."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any


@dataclass(slots=True)
class Book:
    # Id → the key by which an upsert finds it. May be behind: clients change contacts at the same time.
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    lists: list[str] = field(default_factory=list)
    # Deleted, or about to be.
    dropped: set[str] = field(default_factory=set)
    # Id → rule, as the last acknowledged change left it; None where the last change got no answer.
    segments: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    # Acknowledged.
    deleted_segments: set[str] = field(default_factory=set)
    # By kind: contacts changed, and changes to lists and segments, as the answers say.
    changed: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    # Why a call was refused, for reasons that the state of things does not explain.
    refused: list[str] = field(default_factory=list)
    _order: list[str] = field(default_factory=list)

    @property
    def contact_changes(self) -> int:
        return sum(number for kind, number in self.changed.items() if kind.startswith("contact:"))

    def knows(self, contact_id: str, key: dict[str, Any]) -> None:
        if contact_id not in self.people:
            self._order.append(contact_id)
        self.people[contact_id] = key

    def forget(self, contact_id: str) -> None:
        self.people.pop(contact_id, None)

    def one(self, rng: Random) -> str:
        """Any contact. There must be one."""
        while True:
            place = rng.randrange(len(self._order))
            found = self._order[place]
            if found in self.people:
                return found
            self._order[place] = self._order[-1]
            self._order.pop()

    def some(self, rng: Random, most: int) -> list[str]:
        """Different ones; a few or many."""
        return sorted({self.one(rng) for _ in range(rng.randint(1, most))})
