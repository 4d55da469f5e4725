"""A change to many contacts that goes on in the background."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class BulkJob:
    """`status`: queued, running, completed or failed. changed + unchanged + failed contacts are dealt with."""

    id: UUID
    status: str
    changed: int
    unchanged: int
    failed: int
    error: str
    created_at: datetime
    finished_at: datetime | None
