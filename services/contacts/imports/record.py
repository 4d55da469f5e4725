"""An import as it stands."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that was not imported. `row` is 1-based, with the header as row 1."""

    row: int
    code: str
    reason: str
    column: str = ""
    # As they stood in the row, trimmed; None where it could not be parted into cells.
    cells: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What an import would do to a contact: the fields that differ, by their public names."""

    # Public; empty where the contact would be made.
    contact_id: str
    before: dict[str, Any]
    after: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Import:
    """`status`: uploaded, queued, running, completed, failed, cancelled, undoing or undone.

    imported + updated + duplicates + failed = rows, at any time.
    """

    id: UUID
    status: str
    bytes_total: int
    bytes_done: int
    rows: int
    imported: int
    updated: int
    duplicates: int
    failed: int
    error: str
    created_at: datetime
    finished_at: datetime | None
    # Empty where the client gave none.
    file_name: str
    # Of the file; None until they were counted.
    rows_total: int | None
    # Another import of the same bytes, that was under way or completed when this one began.
    duplicate_of: UUID | None
    # Nothing is written; the counts say what would be.
    dry_run: bool
    # Of an undo: contacts deleted so far, and contacts left as they are.
    undo_deleted: int
    undo_kept: int
    # The first 100.
    errors: list[RowError] = field(default_factory=list)
