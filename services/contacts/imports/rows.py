"""Makes contacts of a file's rows, by the same rules as a single create."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from chassis import ids
from formats.records import Broken, Record
from services.contacts.domain import metadata, tags
from services.contacts.domain.contact import FLAGS, Contact, Patch, fill
from services.contacts.domain.identity import Key, pairs
from services.contacts.domain.problems import Refused, invalid
from services.contacts.imports.plan import Plan
from services.contacts.imports.record import RowError
from services.contacts.intake import READERS, phone, write_name

TRUE = frozenset({"true", "yes", "y", "1", "x"})
FALSE = frozenset({"false", "no", "n", "0"})


@dataclass(frozen=True, slots=True)
class Draft:
    """A row that can be imported: what it writes, and the contact that it makes if nobody has its keys."""

    row: int
    patch: Patch
    contact: Contact
    keys: list[tuple[Key, str]]


class RowReader:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        # Where the cells of a field are, the column of the contact that they write, and what reads them.
        self._cells = [
            (at, *readers(column.target, plan))
            for at, column in enumerate(plan.columns)
            if column.target not in ("", "metadata", "tags")
        ]
        self._tags = next((at for at, column in enumerate(plan.columns) if column.target == "tags"), None)
        self._extras = [(at, column.title) for at, column in enumerate(plan.columns) if column.target == "metadata"]
        self._titles = {column.target: column.title for column in plan.columns if column.target != "metadata"}

    def read_all(self, records: Sequence[Record]) -> list[Draft | RowError | None]:
        """One outcome a record; None for a blank row, which counts for nothing."""
        now = datetime.now(UTC)
        return [self._read(record, now) for record in records]

    def _read(self, record: Record, now: datetime) -> Draft | RowError | None:
        row = record[0] - self._plan.preamble
        cells = record[1]
        if isinstance(cells, Broken):
            return RowError(row, "validation_failed", cells.reason)
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            return None
        try:
            patch = Patch(self._sets(cells))
            contact = Contact(id=ids.new(), created_at=now, updated_at=now)
            fill(contact, patch)
        except Refused as refused:
            return self.error(row, refused)
        return Draft(row, patch, contact, pairs(contact))

    def _sets(self, cells: list[str]) -> dict[str, object]:
        """What the cells that are not empty write. Raises Refused."""
        width = len(self._plan.columns)
        if len(cells) != width:
            if any(cells[width:]):
                raise Refused(
                    invalid("", "The row has more cells than the header; quote the cells that hold the delimiter.")
                )
            cells = cells[:width] + [""] * (width - len(cells))
        sets: dict[str, object] = {column: read(cells[at]) for at, column, read in self._cells if cells[at]}
        if "name" in sets:
            write_name(sets, given=sets)
        extras = {title: cells[at] for at, title in self._extras if cells[at]}
        if extras:
            sets["metadata"] = metadata.check_texts(extras)
        if (tagged := "" if self._tags is None else cells[self._tags]) or self._plan.tags:
            sets["tags"] = tags.clean([*tags.parse_cell(tagged), *self._plan.tags])
        return sets

    def error(self, row: int, refused: Refused) -> RowError:
        worst = refused.problems[0]
        column = self._titles.get(worst.pointer.split("/")[1], "") if worst.pointer else ""
        return RowError(row, worst.code, worst.detail, column)


def readers(field: str, plan: Plan) -> tuple[str, Callable[[Any], object]]:
    """The column of the contact that a field's cells write, and what reads them: mostly as in a single create."""
    if field == "phone":
        return "phone", partial(phone, region=plan.default_region)
    if field in FLAGS:
        return field, partial(read_flag, field)
    return READERS[field]


def read_flag(field: str, cell: str) -> bool:
    word = cell.lower()
    if word not in TRUE and word not in FALSE:
        raise Refused(invalid(field, f"{field} is neither yes nor no."))
    return word in TRUE


def parted(outcomes: Sequence[Draft | RowError | None]) -> tuple[list[Draft], list[RowError]]:
    drafts = [outcome for outcome in outcomes if isinstance(outcome, Draft)]
    return drafts, [outcome for outcome in outcomes if isinstance(outcome, RowError)]
