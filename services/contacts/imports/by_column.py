"""Reads many rows of a file at once, a column at a time: a row costs a fraction of what it costs by itself.

Only rows with which nothing is wrong are read so, by the same readers of cells; the others are left to be read alone,
which says what is wrong with them. Files whose columns lean on one another are not read so at all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

from services.contacts.domain import metadata, names
from services.contacts.domain.cells import plain
from services.contacts.domain.contact import FLAGS, Contact
from services.contacts.domain.problems import Refused

# Targets that are read together with other cells of their row.
APART = frozenset({"metadata_json", "current_campaign_data_json"})
NO_NAME = (None, None)
PHONE_VALIDITY = {True: "valid", False: "invalid"}
PARTS_OF_A_NAME = frozenset({"first_name", "last_name"})
# What follows id and times, in the order in which a contact takes it, with what a new one has.
CONTACT_FIELDS = [
    (field.name, field.default_factory if field.default is MISSING else field.default) for field in fields(Contact)
][3:]

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellReader:
    """Of a column whose cells are read by themselves: where it is, what it writes, what reads a cell."""

    at: int
    column: str
    read: Callable[[Any], Any]
    # Whether nothing is wrong with any of these cells, which are not empty. False where only reading them would tell.
    all_fine: Callable[[Sequence[str]], bool] | None = None
    # The cells that are not empty and fine are what they say.
    is_text: bool = False


def short_texts(most: int) -> Callable[[Sequence[str]], bool]:
    """As `intake.text` has it, for all of them at once."""

    def all_fine(cells: Sequence[str]) -> bool:
        return max(map(len, cells), default=0) <= most and "\0" not in "".join(cells)

    return all_fine


def is_readable(targets: Iterable[str]) -> bool:
    """False where what a cell writes depends on other cells of its row."""
    written = [target for target in targets if target not in ("", "metadata")]
    if len(set(written)) < len(written) or not APART.isdisjoint(written):
        return False
    return "name" not in written or PARTS_OF_A_NAME.isdisjoint(written)


def trimmed(rows: Sequence[Sequence[str]], *, marked: bool) -> list[Row]:
    """rows: of the same width. marked: a spreadsheet may have put apostrophes in front of cells."""
    columns = [trimmed_column(cells, marked=marked) for cells in zip(*rows, strict=True)]
    return list(zip(*columns, strict=True))


def trimmed_column(cells: Sequence[str], *, marked: bool) -> list[str]:
    column = list(map(str.strip, cells))
    return list(map(plain, column)) if marked and "'" in "".join(column) else column


class ColumnReader:
    def __init__(
        self,
        cells: Sequence[CellReader],
        *,
        tags_at: int | None,
        tags: Callable[[str], list[str]] | None,
        extras: Sequence[tuple[int, str]],
    ) -> None:
        """tags: of a cell, or of an empty one where there is no column of them; None where no row has any.

        extras: where the columns of the metadata are, and their keys.
        """
        self._cells = cells
        self._tags_at = tags_at
        self._tags = tags
        self._extras = extras

    def faulty(self, columns: Sequence[Sequence[str]], *, marked: bool) -> set[int]:
        """The rows, of which there are some, with which something is wrong, whatever their phones are.

        columns: of cells that are not trimmed. Most texts need not be: those that are fine are fine without their ends.
        """
        refused: set[int] = set()
        for cell in self._cells:
            if cell.column == "phone" or (
                cell.is_text and cell.all_fine is not None and cell.all_fine(columns[cell.at])
            ):
                continue
            column = trimmed_column(columns[cell.at], marked=marked)
            if cell.all_fine is None or not cell.all_fine(list(filter(None, column))):
                read_cells(column, cell.read, refused)
        if self._tags is not None:
            tagged = [""] * len(columns[0]) if self._tags_at is None else columns[self._tags_at]
            read_distinct(trimmed_column(tagged, marked=marked), self._tags, refused)
        if self._extras and not self._harmless(columns):
            trimmed_columns = [trimmed_column(column, marked=marked) for column in columns]
            self._metadata(list(zip(*trimmed_columns, strict=True)), trimmed_columns, refused)
        return refused

    def read(self, rows: Sequence[Row], *, row_ids: Sequence[UUID], now: datetime) -> list[Contact | None]:
        """For each trimmed row its contact, with the id given; None where the row is to be read alone."""
        columns = list(zip(*rows, strict=True))
        refused: set[int] = set()
        written: dict[str, Sequence[object]] = {}
        for cell in self._cells:
            written |= spread(cell.column, cell_values(columns[cell.at], cell, refused))
        if self._tags is not None:
            written["tags"] = self._read_tags(columns, refused)
        if self._extras:
            written["metadata"] = self._metadata(rows, columns, refused)
        given = [written.get(name) for name, _ in CONTACT_FIELDS]
        made: list[Contact | None] = list(
            map(
                Contact,
                row_ids,
                repeat(now),
                repeat(now),
                *(
                    blank(default) if values is None else values
                    for values, (_, default) in zip(given, CONTACT_FIELDS, strict=True)
                ),
            )
        )
        for at in refused:
            made[at] = None
        return made

    def _read_tags(self, columns: Sequence[Sequence[str]], refused: set[int]) -> list[list[str]]:
        if self._tags is None:
            return []
        if self._tags_at is None:
            return read_rows([""] * len(columns[0]), self._tags, refused)
        return read_rows(columns[self._tags_at], self._tags, refused)

    def _harmless(self, columns: Sequence[Sequence[str]]) -> bool:
        """Whether no row can have metadata that is refused, as `metadata.check_texts` has it, for all at once."""
        most = sum(len(key) + max(map(len, columns[at])) for at, key in self._extras)
        texts = "".join([key for _, key in self._extras] + ["".join(columns[at]) for at, _ in self._extras])
        return metadata.fits(most, len(self._extras)) and "\0" not in texts

    def _metadata(self, rows: Sequence[Row], columns: Sequence[Sequence[str]], refused: set[int]) -> Sequence[str]:
        extras = self._extras
        harmless = self._harmless(columns)

        def read(row: Row) -> str:
            given = {key: row[at] for at, key in extras if row[at]}
            if not given:
                return "{}"
            return metadata.dump(given if harmless else metadata.check_texts(given))

        return read_rows(rows, read, refused)


def blank(default: Any) -> Iterable[object]:
    """What a new contact has, without end."""
    return iter(default, None) if callable(default) else repeat(default)


def cell_values(column: Sequence[str], cell: CellReader, refused: set[int]) -> list[Any]:
    """As `read_cells`."""
    if cell.is_text and cell.all_fine is not None and cell.all_fine(column):
        # Behind an apostrophe there may have been another blank.
        return [one.strip() or None for one in column]
    return read_cells(column, cell.read, refused)


def read_cells(column: Sequence[str], read: Callable[[str], Any], refused: set[int]) -> list[Any]:
    """What the cells say, None where they are empty; cells that are refused are None and added to `refused`."""
    if 2 * len(set(column)) > len(column):
        return read_rows(column, lambda cell: read(cell) if cell else None, refused)
    said = read_distinct(column, lambda cell: read(cell) if cell else None, refused)
    return [said[cell] for cell in column]


def read_distinct(column: Sequence[str], read: Callable[[str], Any], refused: set[int]) -> dict[str, Any]:
    """What each of the cells that differ says; None where it is refused, and its rows are added to `refused`."""
    said: dict[str, Any] = {}
    wrong = set()
    for cell in set(column):
        try:
            said[cell] = read(cell)
        except Refused:
            said[cell] = None
            wrong.add(cell)
    if wrong:
        refused.update(at for at, cell in enumerate(column) if cell in wrong)
    return said


def read_rows(rows: Iterable[Any], read: Callable[[Any], Any], refused: set[int]) -> list[Any]:
    """What is read of each; None where it is refused, which is added to `refused`."""
    said = []
    for row in rows:
        try:
            said.append(read(row))
        except Refused:
            refused.add(len(said))
            said.append(None)
    return said


def spread(column: str, values: list[Any]) -> dict[str, Sequence[object]]:
    """The columns of the contact that a field's values write."""
    if column == "phone":
        return {
            "phone": [None if one is None else one.e164 for one in values],
            "phone_validity": ["unknown" if one is None else PHONE_VALIDITY[one.valid] for one in values],
            "phone_country": [None if one is None else one.region for one in values],
        }
    if column == "email":
        return {
            "email": [None if one is None else one.address for one in values],
            "email_normal": [None if one is None else one.normal for one in values],
            "email_validity": ["unknown" if one is None else one.validity for one in values],
        }
    if column == "name":
        parts = [NO_NAME if one is None else names.split(one) for one in values]
        return {"first_name": [one[0] for one in parts], "last_name": [one[1] for one in parts]}
    if column in FLAGS:
        return {column: [FLAGS[column] if one is None else one for one in values]}
    return {column: values}
