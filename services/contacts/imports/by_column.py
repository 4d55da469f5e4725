"""Reads many rows of a file at once, a column at a time: a row costs a fraction of what it costs by itself.

Only rows with which nothing is wrong are read so, by the same readers of cells; the others are left to be read alone,
which says what is wrong with them. Files whose columns lean on one another are not read so at all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from itertools import compress, repeat
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


def is_readable(targets: Iterable[str]) -> bool:
    """False where what a cell writes depends on other cells of its row."""
    written = [target for target in targets if target not in ("", "metadata")]
    if len(set(written)) < len(written) or not APART.isdisjoint(written):
        return False
    return "name" not in written or PARTS_OF_A_NAME.isdisjoint(written)


def trimmed(rows: Sequence[Sequence[str]], *, marked: bool) -> list[Row]:
    """rows: of the same width. marked: a spreadsheet may have put apostrophes in front of cells."""
    columns = [list(map(str.strip, column)) for column in zip(*rows, strict=True)]
    if marked:
        columns = [list(map(plain, column)) if "'" in "".join(column) else column for column in columns]
    return list(zip(*columns, strict=True))


class ColumnReader:
    def __init__(
        self,
        cells: Sequence[CellReader],
        *,
        tags: Callable[[Row], list[str]] | None,
        extras: Sequence[tuple[int, str]],
    ) -> None:
        """tags: of a row; None where no row has any. extras: where the columns of the metadata are, and their keys."""
        self._cells = cells
        self._tags = tags
        self._extras = extras

    def read(
        self, rows: Sequence[Row], *, row_ids: Sequence[UUID], known: Sequence[bool], now: datetime
    ) -> list[Contact | bool]:
        """For each trimmed row its contact, with the id given; False where the row is to be read alone.

        known: whether the row's contact is there; then True stands for it, as long as nothing else of the row is wrong.
        """
        columns = list(zip(*rows, strict=True))
        refused: set[int] = set()
        written: dict[str, Sequence[object]] = {}
        for cell in self._cells:
            column: Sequence[str] = columns[cell.at]
            if cell.column == "phone":
                column = ["" if there else phone for phone, there in zip(column, known, strict=True)]
            written |= spread(cell.column, read_cells(column, cell.read, refused))
        if self._tags is not None:
            written["tags"] = read_rows(rows, self._tags, refused)
        if self._extras:
            written["metadata"] = self._metadata(rows, columns, refused)
        wanted = [not there and at not in refused for at, there in enumerate(known)]
        given = [written.get(name) for name, _ in CONTACT_FIELDS]
        made = map(
            Contact,
            compress(row_ids, wanted),
            repeat(now),
            repeat(now),
            *(
                blank(default) if values is None else compress(values, wanted)
                for values, (_, default) in zip(given, CONTACT_FIELDS, strict=True)
            ),
        )
        return [next(made) if fresh else at not in refused for at, fresh in enumerate(wanted)]

    def _metadata(self, rows: Sequence[Row], columns: Sequence[Row], refused: set[int]) -> Sequence[str]:
        extras = self._extras
        most = sum(len(key) + max(map(len, columns[at])) for at, key in extras)
        texts = "".join([key for _, key in extras] + ["".join(columns[at]) for at, _ in extras])
        # As `metadata.check_texts` has it, for all of them at once.
        harmless = metadata.fits(most, len(extras)) and "\0" not in texts

        def read(row: Row) -> str:
            given = {key: row[at] for at, key in extras if row[at]}
            if not given:
                return "{}"
            return metadata.dump(given if harmless else metadata.check_texts(given))

        return read_rows(rows, read, refused)


def blank(default: Any) -> Iterable[object]:
    """What a new contact has, without end."""
    return iter(default, None) if callable(default) else repeat(default)


def read_cells(column: Sequence[str], read: Callable[[str], Any], refused: set[int]) -> list[Any]:
    """What the cells say, None where they are empty; cells that are refused are None and added to `refused`."""
    distinct = set(column)
    if 2 * len(distinct) > len(column):
        return read_rows(column, lambda cell: read(cell) if cell else None, refused)
    said: dict[str, Any] = {"": None}
    wrong = set()
    for cell in distinct:
        try:
            said[cell] = read(cell) if cell else None
        except Refused:
            said[cell] = None
            wrong.add(cell)
    if wrong:
        refused.update(at for at, cell in enumerate(column) if cell in wrong)
    return [said[cell] for cell in column]


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
