"""Exports to files."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from services.gateway.schemas.campaigns import RecipientStatus
from services.gateway.schemas.contact_filters import ContactFilter
from services.gateway.schemas.fields import Answer, Body, Moment, Reference

Resource = Literal["contacts", "optouts", "segment_members", "recipients"]
Format = Literal["csv", "jsonl", "xlsx", "vcf"]


class ExportFilter(ContactFilter):
    """As the parameters of the list call: of `GET /contacts`; of optouts `channel` (opted out of it) and `search`; of
    recipients `status`."""

    status: RecipientStatus | None = None


class ExportCreate(Body):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"resource": "contacts", "format": "csv", "filter": {"tag": "premium"}}]},
    )

    resource: Resource
    format: Annotated[
        Format,
        Field(description="`jsonl`: a whole record a line, as the API answers with it. `vcf` is not of recipients"),
    ] = "csv"
    filter: ExportFilter = ExportFilter()
    segment_id: Annotated[Reference | None, Field(description="Of `segment_members`, and only there")] = None
    campaign_id: Annotated[Reference | None, Field(description="Of `recipients`, and only there")] = None


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
