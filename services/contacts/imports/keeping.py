"""Columns whose cells fill gaps only, while the others of the file overwrite."""

from collections.abc import Iterable, Mapping

from services.contacts.domain.contact import Contact, Patch, only_missing, parse_stored
from services.contacts.imports.plan import Column


class Keeping:
    def __init__(self, columns: Iterable[Column], written: Mapping[str, tuple[str, ...]]) -> None:
        """written: targets that write columns of the contact by other names, or several."""
        kept = [column for column in columns if column.keep_existing and column.target]
        self._keys = frozenset(column.key or column.title for column in kept if column.target == "metadata")
        self._columns = frozenset(
            name
            for column in kept
            if column.target != "metadata"
            for name in written.get(column.target, (column.target,))
        )

    def spare(self, present: Contact, patch: Patch) -> Patch:
        """The patch without what the contact is to keep."""
        if self._columns:
            of_kept = Patch({name: value for name, value in patch.sets.items() if name in self._columns})
            others = {name: value for name, value in patch.sets.items() if name not in self._columns}
            patch = Patch(others | only_missing(present, of_kept).sets)
        given = patch.sets.get("metadata")
        if self._keys and isinstance(given, dict):
            there = parse_stored(present.metadata)
            fresh = {key: value for key, value in given.items() if key not in self._keys or key not in there}
            patch = Patch(patch.sets | {"metadata": fresh})
        return patch
