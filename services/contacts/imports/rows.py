"""Makes contacts of a file's rows, by the same rules as a single create."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import compress
from typing import Any
from uuid import UUID

from chassis import ids
from formats import phones
from formats.countries import code_of
from formats.records import Broken, Record
from services.contacts.domain import emails, metadata, tags
from services.contacts.domain.contact import FLAGS, Contact, Patch, fill
from services.contacts.domain.identity import Key, pairs
from services.contacts.domain.problems import Refused, invalid
from services.contacts.imports.by_column import (
    CellReader,
    ColumnReader,
    Row,
    is_readable,
    short_texts,
    trimmed,
)
from services.contacts.imports.keeping import Keeping
from services.contacts.imports.plan import Plan
from services.contacts.imports.record import RowError
from services.contacts.intake import READERS, TEXT_LIMITS, country, phone, write_name

CODE_CHARACTERS = 2
TRUE = frozenset({"true", "yes", "y", "1", "x"})
FALSE = frozenset({"false", "no", "n", "0"})
# Targets that write columns of other names, or several.
COLUMNS = {
    "phone": ("phone", "phone_validity", "phone_country"),
    "email": ("email", "email_normal", "email_validity"),
    "name": ("first_name", "last_name"),
    "country": ("given_country",),
    "metadata_json": ("metadata",),
    "current_campaign_data_json": ("current_campaign_data",),
}
# The cells of a column of tags repeat.
TAG_CELLS_KEPT = 1024
# Of rows that make no contact.
NO_ID = UUID(int=0)


@dataclass(slots=True)
class Draft:
    """A row that can be imported: the contact that it makes if nobody has its keys, and the cells to patch another."""

    row: int
    # Trimmed, as many as the file has columns.
    cells: Row
    contact: Contact
    keys: list[tuple[Key, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """A row whose contact is there already and is left as it is."""


KNOWN = Known()
# What became of a record; None for a blank row, which counts for nothing.
Read = Draft | Known | RowError | None


class RowReader:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._width = len(plan.columns)
        # Where the cells of a field are, the column of the contact that they write, and what reads them.
        self._cells = [
            (at, *readers(column.target, plan))
            for at, column in enumerate(plan.columns)
            if column.target not in ("", "metadata", "tags")
        ]
        self._named = any(column == "name" for _, column, _ in self._cells)
        self._tags = next((at for at, column in enumerate(plan.columns) if column.target == "tags"), None)
        self._tagged = self._tags is not None or bool(plan.tags)
        self._extras = [
            (at, column.key or column.title) for at, column in enumerate(plan.columns) if column.target == "metadata"
        ]
        self._titles = {column.target: column.title for column in plan.columns if column.target != "metadata"}
        # Of the contact: what the file can write.
        self.columns = written_columns(plan)
        self.keeping = Keeping(plan.columns, COLUMNS)
        # No spreadsheet has had a card in its hands.
        self._marked = plan.kind != "vcard"
        self._read_tags = lru_cache(maxsize=TAG_CELLS_KEPT)(self._tags_of)
        targets = [column.target for column in plan.columns]
        self._phone = targets.index("phone") if "phone" in targets else None
        # Its phone, or else its email.
        self.has_one_key = "external_id" not in targets
        # A row's phone says which contact it is about.
        self.by_phone_alone = self._phone is not None and self.has_one_key
        self._checks = [(at, read) for at, column, read in self._cells if column != "phone"]
        # None where cells lean on one another.
        self._by_column = self._column_reader() if is_readable(targets) else None

    def _column_reader(self) -> ColumnReader:
        return ColumnReader(
            [
                CellReader(at, column, read, *all_fine(self._plan.columns[at].target))
                for at, column, read in self._cells
            ],
            tags_at=self._tags,
            tags=self._read_tags if self._tagged else None,
            extras=self._extras,
        )

    def read_all(self, records: Sequence[Record], known: Sequence[bool] = ()) -> list[Read]:
        """One outcome a record. known: of each, whether its contact is there, so that it need not be read in full."""
        now = datetime.now(UTC)
        known = known or [False] * len(records)
        # In the order of the file, whichever way a row is read.
        row_ids = [NO_ID if there else ids.new() for there in known]
        outcomes: list[Read] = [None] * len(records)
        left: Iterable[int] = range(len(records))
        if self._by_column is not None:
            if True in known:
                self._recognise(self._by_column, records, outcomes, known=known)
            self._read_columns(self._by_column, records, outcomes, row_ids=row_ids, known=known, now=now)
            left = [at for at, outcome in enumerate(outcomes) if outcome is None]
        for at in left:
            outcomes[at] = self._read(records[at], row_ids[at], known=known[at], now=now)
        return outcomes

    def _recognise(
        self, reader: ColumnReader, records: Sequence[Record], outcomes: list[Read], *, known: Sequence[bool]
    ) -> None:
        """Fills in the outcomes of known rows with which nothing is wrong."""
        whole = self._whole(records, compress(range(len(records)), known))
        if not whole:
            return
        columns = list(zip(*[records[at][1] for at in whole], strict=True))
        faulty = reader.faulty(columns, marked=self._marked)
        for number, at in enumerate(whole):
            if number not in faulty:
                outcomes[at] = KNOWN

    def _whole(self, records: Sequence[Record], places: Iterable[int]) -> list[int]:
        """Those of the places whose rows are as wide as the header."""
        width = self._width
        return [at for at in places if isinstance(cells := records[at][1], list) and len(cells) == width]

    def _read_columns(
        self,
        reader: ColumnReader,
        records: Sequence[Record],
        outcomes: list[Read],
        *,
        row_ids: Sequence[UUID],
        known: Sequence[bool],
        now: datetime,
    ) -> None:
        """Fills in the outcomes of new rows with which nothing is wrong."""
        whole = self._whole(records, [at for at, there in enumerate(known) if not there])
        if not whole:
            return
        rows = trimmed([records[at][1] for at in whole], marked=self._marked)  # type: ignore[misc]  # no Broken ones
        made = reader.read(rows, row_ids=[row_ids[at] for at in whole], now=now)
        for at, cells, contact in zip(whole, rows, made, strict=True):
            if contact is not None and (keys := pairs(contact)):
                outcomes[at] = Draft(records[at][0] - self._plan.preamble, cells, contact, keys)

    def phones_of(self, records: Sequence[Record]) -> list[str | None]:
        """Each contact's phone, as it is stored if the contact is there; None where the row has none."""
        at = self._phone
        if at is None:
            return [None] * len(records)
        cells = [raw[at] if isinstance(raw, list) and len(raw) > at else "" for _, raw in records]
        # What is stored reads as itself, so that a phone that is stored in this very form needs no reading.
        found = phones.compact_all(cells)
        for number, cell in enumerate(cells):
            if cell and found[number] is None:
                found[number] = self._phone_of(cell)
        return found

    def _phone_of(self, cell: str) -> str | None:
        compacted = phones.compact(cell)
        if compacted is not None and phones.is_e164(compacted):
            return compacted
        number = phones.normalise(cell, self._plan.default_region)
        return None if number is None else number.e164

    def _read(self, record: Record, row_id: UUID, *, known: bool, now: datetime) -> Read:
        row = record[0] - self._plan.preamble
        raw = record[1]
        if isinstance(raw, Broken):
            return RowError(row, "validation_failed", raw.reason)
        (cells,) = trimmed([raw], marked=self._marked) or [()]
        if not any(cells):
            return None
        try:
            if len(cells) != self._width:
                cells = fitted(cells, self._width)
            if known:
                self._check(cells)
                return KNOWN
            contact = Contact(row_id, now, now)
            fill(contact, self._sets(cells))
        except Refused as refused:
            return self.error(row, refused, cells)
        return Draft(row, cells, contact, pairs(contact))

    def patch(self, draft: Draft) -> Patch:
        """What the row writes to a contact that has its keys; the plan's additions aside."""
        sets = self._sets(draft.cells)
        if self._plan.tags:
            sets.pop("tags", None)
            if self._tags is not None and (cell := draft.cells[self._tags]):
                sets["tags"] = tags.clean(tags.parse_cell(cell))
        return Patch(sets)

    def _sets(self, cells: Row) -> dict[str, object]:
        """What the cells that are not empty write, by column of the contact. Raises Refused."""
        sets: dict[str, object] = {column: read(cells[at]) for at, column, read in self._cells if cells[at]}
        if self._named and "name" in sets:
            write_name(sets, given=sets)
        if self._extras:
            extras = {title: cells[at] for at, title in self._extras if cells[at]}
            if extras:
                sets["metadata"] = self._beside(sets.get("metadata"), metadata.check_texts(extras))
        if self._tagged and (tagged := self._tags_in(cells)):
            sets["tags"] = tagged
        return sets

    def _check(self, cells: Row) -> None:
        """What `_sets` refuses in the cells beside the phone. Raises Refused."""
        for at, read in self._checks:
            if cells[at]:
                read(cells[at])
        if self._extras:
            metadata.check_texts({title: cells[at] for at, title in self._extras if cells[at]})
        if self._tagged:
            self._tags_in(cells)

    def _beside(self, given: object, extras: metadata.Json) -> metadata.Json:
        """The columns of the metadata over its object, where the row has one. Raises Refused."""
        return metadata.merge(given, extras) if isinstance(given, dict) else extras

    def _tags_in(self, cells: Row) -> list[str]:
        return self._read_tags("" if self._tags is None else cells[self._tags])

    def _tags_of(self, cell: str) -> list[str]:
        return tags.clean([*tags.parse_cell(cell), *self._plan.tags])

    def error(self, row: int, refused: Refused, cells: Sequence[str]) -> RowError:
        worst = refused.problems[0]
        column = self._titles.get(worst.pointer.split("/")[1], "") if worst.pointer else ""
        return RowError(row, worst.code, worst.detail, column, cells)


def written_columns(plan: Plan) -> tuple[str, ...]:
    targets = dict.fromkeys(column.target for column in plan.columns if column.target)
    if plan.tags:
        targets["tags"] = None
    if plan.list_ids:
        targets["list_ids"] = None
    return tuple(dict.fromkeys(name for target in targets for name in COLUMNS.get(target, (target,))))


def readers(field: str, plan: Plan) -> tuple[str, Callable[[Any], object]]:
    """The column of the contact that a field's cells write, and what reads them: mostly as in a single create."""
    if field == "phone":
        return "phone", partial(phone, region=plan.default_region)
    if field == "country":
        return "given_country", read_country
    if field in FLAGS:
        return field, partial(read_flag, field)
    return READERS[field]


def all_fine(target: str) -> tuple[Callable[[Sequence[str]], bool] | None, bool]:
    """What a CellReader of the target knows of many cells at once."""
    if target in TEXT_LIMITS:
        return short_texts(TEXT_LIMITS[target]), True
    return (emails.all_plain if target == "email" else None), False


@lru_cache(maxsize=256)
def read_country(cell: str) -> str | None:
    """By its code, or by its name: people who keep lists write names."""
    return country(cell if len(cell) == CODE_CHARACTERS else code_of(cell) or cell)


def read_flag(field: str, cell: str) -> bool:
    word = cell.lower()
    if word not in TRUE and word not in FALSE:
        raise Refused(invalid(field, f"{field} is neither yes nor no."))
    return word in TRUE


def fitted(cells: Row, width: int) -> Row:
    """A ragged row as wide as the header. Raises Refused where a cell would be lost."""
    if any(cells[width:]):
        raise Refused(invalid("", "The row has more cells than the header; quote the cells that hold the delimiter."))
    return cells[:width] + ("",) * (width - len(cells))


def parted(outcomes: Sequence[Read]) -> tuple[list[Draft], list[RowError]]:
    drafts = [outcome for outcome in outcomes if isinstance(outcome, Draft)]
    return drafts, [outcome for outcome in outcomes if isinstance(outcome, RowError)]
