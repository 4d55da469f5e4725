"""Decides row by row what a chunk of a file does: new contacts, changes to those present, duplicates, conflicts.

The rows of a chunk see one another in file order, as if each had been imported by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from services.contacts.domain.change import Change
from services.contacts.domain.change import apply as add
from services.contacts.domain.contact import Contact, Patch, apply, changed_fields, only_missing, undisturbed
from services.contacts.domain.identity import Key, pairs
from services.contacts.domain.problems import Refused
from services.contacts.imports.plan import OnDuplicate
from services.contacts.imports.record import RowError
from services.contacts.imports.rows import Draft, RowReader

NOTHING = Change()


@dataclass(slots=True)
class Slot:
    """A contact that the chunk knows of: there before it, or made by one of its rows."""

    id: UUID
    # None while duplicates are skipped: nothing of the contact but its id is needed then.
    before: Contact | None
    # As it will be; None for one that is there and is not read.
    after: Contact | None
    made: bool


@dataclass(slots=True)
class Outcome:
    """What a chunk writes, and its counts."""

    created: list[Contact] = field(default_factory=list)
    # Before and after, of those that differ.
    updated: list[tuple[Contact, Contact]] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    imported_rows: int = 0
    updated_rows: int = 0
    duplicate_rows: int = 0


class Chunk:
    def __init__(
        self,
        *,
        holders: Mapping[tuple[Key, str], UUID],
        present: Mapping[UUID, Contact],
        on_duplicate: OnDuplicate,
        additions: Change,
        reader: RowReader,
    ) -> None:
        """holders: who has which key now. present: those contacts, locked; empty where none of them is changed.

        additions: what comes to every contact; of its lists those that are there.
        """
        self._slots: dict[UUID, Slot] = {}
        self._by_key: dict[tuple[Key, str], Slot] = {}
        self._on_duplicate = on_duplicate
        self._additions = additions
        self._reader = reader
        self._outcome = Outcome()
        for key, contact_id in holders.items():
            before = present.get(contact_id)
            slot = self._slots.setdefault(contact_id, Slot(contact_id, before, before, made=False))
            self._by_key[key] = slot

    def resolve(self, drafts: Iterable[Draft]) -> Outcome:
        for draft in drafts:
            self._row(draft)
        for slot in self._slots.values():
            self._collect(slot)
        return self._outcome

    def _row(self, draft: Draft) -> None:
        wanted = draft.keys
        slots = [slot for pair in wanted if (slot := self._by_key.get(pair)) is not None]
        if not slots:
            # Its tags have what is added already.
            if self._additions.add_lists:
                draft.contact.list_ids = list(self._additions.add_lists)
            slot = Slot(draft.contact.id, None, draft.contact, made=True)
            self._slots[slot.id] = slot
            for pair in wanted:
                self._by_key[pair] = slot
            self._outcome.imported_rows += 1
        elif any(slot is not slots[0] for slot in slots):
            reason = "The keys of the row belong to different contacts."
            self._outcome.errors.append(RowError(draft.row, "identity_conflict", reason, cells=draft.cells))
        else:
            self._duplicate(draft, slots[0])

    def _duplicate(self, draft: Draft, slot: Slot) -> None:
        if slot.after is None:
            self._outcome.duplicate_rows += 1
            return
        try:
            after = self._after(draft, slot.after)
        except Refused as refused:
            self._outcome.errors.append(self._reader.error(draft.row, refused, draft.cells))
            return
        if after == slot.after or not changed_fields(slot.after, after):
            self._outcome.duplicate_rows += 1
            return
        self._outcome.updated_rows += 1
        for pair in pairs(slot.after):
            self._by_key.pop(pair, None)
        self._by_key.update(dict.fromkeys(pairs(after), slot))
        slot.after = after

    def _after(self, draft: Draft, present: Contact) -> Contact:
        """Raises Refused."""
        after = present if self._on_duplicate == "skip" else apply(present, self._patch(draft, present))
        return after if self._additions == NOTHING else add(after, self._additions)

    def _patch(self, draft: Draft, present: Contact) -> Patch:
        patch = undisturbed(present, self._reader.patch(draft))
        return (
            only_missing(present, patch)
            if self._on_duplicate == "merge"
            else self._reader.keeping.spare(present, patch)
        )

    def _collect(self, slot: Slot) -> None:
        if slot.after is None:
            return
        if slot.made:
            self._outcome.created.append(slot.after)
        elif slot.before is not None and changed_fields(slot.before, slot.after):
            slot.after.version = slot.before.version + 1
            self._outcome.updated.append((slot.before, slot.after))
