"""Exports to files."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from services.gateway.schemas.contact_filters import ContactFilter
from services.gateway.schemas.fields import Answer, Body, Moment

Resource = Literal["contacts"]
Format = Literal["csv", "jsonl"]


class ExportCreate(Body):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"resource": "contacts", "format": "csv", "filter": {"tag": "premium"}}]},
    )

    resource: Resource
    format: Annotated[Format, Field(description="`jsonl`: a whole record a line, as the API answers with it")] = "csv"
    filter: ContactFilter = ContactFilter()


class ExportProgress(Answer):
    rows: Annotated[int, Field(description="Records written so far")]
    bytes: int


class Export(Answer):
    id: str
    resource: Resource
    format: Format
    status: Literal["queued", "running", "completed", "failed"]
    progress: ExportProgress
    error: str | None
    created_at: Moment
    finished_at: Moment | None
    expires_at: Annotated[Moment | None, Field(description="When file and export are gone; null until it ended")]
    download_path: Annotated[str | None, Field(description="Null unless the export is completed")]


class ExportPage(Answer):
    data: list[Export]
    next_cursor: str | None
    has_more: bool
