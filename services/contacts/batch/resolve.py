"""Decides row by row what a batch of upserts does. The rows see one another, as if each had been sent by itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from services.contacts.domain.contact import Contact, Patch, apply, changed_fields
from services.contacts.domain.identity import Key, pairs
from services.contacts.domain.problems import Problem, Refused

Pair = tuple[Key, str]


@dataclass(slots=True)
class Row:
    """What a row writes, and the contact that it makes where nobody has its keys."""

    patch: Patch
    contact: Contact


@dataclass(slots=True)
class Refusal:
    """existing: the contacts that have the row's keys, where that is why."""

    problems: tuple[Problem, ...]
    existing: tuple[UUID, ...] = ()


@dataclass(slots=True)
class Slot:
    """A contact that the batch knows of."""

    id: UUID
    # None where a row of the batch makes it, and for one that only stands in the way.
    before: Contact | None
    # None for one that only stands in the way.
    after: Contact | None


@dataclass(slots=True)
class Result:
    outcome: Literal["created", "updated", "unchanged"]
    slot: Slot


class Batch:
    def __init__(self, *, holders: Mapping[Pair, UUID | None], present: Mapping[UUID, Contact]) -> None:
        """holders: who has the keys that were asked about, None for nobody. present: those of them that are locked."""
        self._holders = holders
        self._slots: dict[UUID, Slot] = {}
        self._by_key: dict[Pair, Slot] = {}
        # Keys that rows would give and nobody asked about yet: ask, and resolve anew.
        self.unknown: set[Pair] = set()
        for pair, holder in holders.items():
            if holder is not None:
                there = present.get(holder)
                self._by_key[pair] = self._slots.setdefault(holder, Slot(holder, there, there))

    def resolve(self, rows: Iterable[Row | Refusal]) -> list[Result | Refusal]:
        return [row if isinstance(row, Refusal) else self._row(row) for row in rows]

    def _row(self, row: Row) -> Result | Refusal:
        wanted = pairs(row.contact)
        owners = {slot.id: slot for pair in wanted if (slot := self._by_key.get(pair)) is not None}
        if not owners:
            made = Slot(row.contact.id, None, row.contact)
            self._slots[made.id] = made
            self._by_key.update(dict.fromkeys(wanted, made))
            return Result("created", made)
        if len(owners) > 1:
            return conflict(owners)
        return self._update(row, next(iter(owners.values())))

    def _update(self, row: Row, slot: Slot) -> Result | Refusal:
        assert slot.after is not None
        try:
            after = apply(slot.after, row.patch)
        except Refused as refused:
            return Refusal(refused.problems)
        keys = pairs(after)
        self.unknown.update(pair for pair in keys if pair not in self._by_key and pair not in self._holders)
        others = {
            other.id: other for pair in keys if (other := self._by_key.get(pair)) is not None and other is not slot
        }
        if others:
            return conflict(others) if len(others) > 1 else exists(next(iter(others)), keys, self._by_key)
        shown = changed_fields(slot.after, after)
        for pair in pairs(slot.after):
            self._by_key.pop(pair, None)
        self._by_key.update(dict.fromkeys(keys, slot))
        slot.after = after
        return Result("updated" if shown else "unchanged", slot)

    def created(self) -> list[Contact]:
        return [slot.after for slot in self._slots.values() if slot.before is None and slot.after is not None]

    def updated(self) -> list[tuple[Contact, Contact]]:
        """Before and after of those that differ; the version is one up where it shows."""
        found: list[tuple[Contact, Contact]] = []
        for slot in self._slots.values():
            if slot.before is None or slot.after is None or slot.before == slot.after:
                continue
            if changed_fields(slot.before, slot.after):
                slot.after.version = slot.before.version + 1
            found.append((slot.before, slot.after))
        return found


def conflict(owners: Iterable[UUID]) -> Refusal:
    detail = "The keys given belong to different contacts."
    return Refusal((Problem("", "identity_conflict", detail),), tuple(owners))


def exists(holder: UUID, keys: Iterable[Pair], by_key: Mapping[Pair, Slot]) -> Refusal:
    taken = next(name for name, value in keys if (slot := by_key.get((name, value))) is not None and slot.id == holder)
    return Refusal(
        (Problem(f"/{taken}", "contact_exists", f"A contact with that {taken} is there already."),), (holder,)
    )
