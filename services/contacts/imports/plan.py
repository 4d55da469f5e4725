"""How a file is read and what is done with its rows; stored with the import as JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from formats.kinds import Kind
from formats.records import Encoding
from services.contacts.domain.change import Change

OnDuplicate = Literal["skip", "update", "merge"]


@dataclass(frozen=True, slots=True)
class Column:
    """`title`: as in the file. `target`: a field of the contact, `metadata`, or empty where the column is left out."""

    title: str
    target: str
    # In the metadata; empty is the title.
    key: str = ""
    # A contact that is there keeps the value that it has.
    keep_existing: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    encoding: Encoding
    delimiter: str
    # Lines before the header: a spreadsheet's `sep=;`, blank ones.
    preamble: int
    columns: tuple[Column, ...]
    on_duplicate: OnDuplicate = "skip"
    default_region: str | None = None
    # Added to every contact of the file.
    tags: tuple[str, ...] = ()
    # UUIDs as texts; every contact of the file is put on these lists.
    list_ids: tuple[str, ...] = ()
    # Rows are counted from 1 with it or without it.
    has_header: bool = True
    # Nothing is written.
    dry_run: bool = False
    # Of the upload: the import's events continue its trace. Empty where it has none.
    traceparent: str = ""
    kind: Kind = "csv"
    # Of a workbook: the sheet's name.
    sheet: str = ""

    @property
    def skipped_records(self) -> int:
        """Records that are no rows: the preamble and the header. vCards have neither."""
        return 0 if self.kind == "vcard" else self.preamble + self.has_header

    @property
    def additions(self) -> Change:
        """What comes to every contact of the file, those that are there among them, whatever `on_duplicate` says."""
        return Change(add_tags=self.tags, add_lists=tuple(map(UUID, self.list_ids)))

    @property
    def writes_present(self) -> bool:
        """Contacts that are there may be changed."""
        return self.on_duplicate != "skip" or bool(self.tags or self.list_ids)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Plan":
        columns = tuple(Column(**column) for column in stored["columns"])
        lists = tuple(stored.get("list_ids", ()))
        return cls(**{**stored, "columns": columns, "tags": tuple(stored["tags"]), "list_ids": lists})
