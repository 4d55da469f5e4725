"""Imports of contacts."""

from typing import Annotated, Literal

from pydantic import Field

from services.gateway.schemas.fields import Answer, Moment, RowError


class ImportSummary(Answer):
    """The answer of a one-step import that ended in time."""

    imported: int
    failed: int
    duplicates: int
    errors: Annotated[list[RowError], Field(description="The first 100")]
    updated: int
    import_id: str


class ImportProgress(Answer):
    bytes_total: int
    bytes_done: int
    rows: int


class Import(Answer):
    id: str
    status: Literal["queued", "running", "completed", "failed"]
    progress: ImportProgress
    imported: int
    updated: int
    duplicates: int
    failed: int
    errors: Annotated[list[RowError], Field(description="The first 100")]
    error: str | None
    created_at: Moment
    finished_at: Moment | None
