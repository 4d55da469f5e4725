"""An import as it stands."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that was not imported. `row` is 1-based, with the header as row 1."""

    row: int
    code: str
    reason: str
    column: str = ""


@dataclass(slots=True)
class Import:
    """`status`: queued, running, completed or failed. imported + updated + duplicates + failed = rows."""

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
    # The first 100.
    errors: list[RowError] = field(default_factory=list)
