"""Imports of contacts."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from services.gateway.schemas.fields import (
    Answer,
    Body,
    Flag,
    Moment,
    NoNul,
    Reference,
    Region,
    RowError,
    ShortText,
    Tags,
)

OnDuplicate = Literal["skip", "update", "merge"]
MAX_COLUMNS = 256
Target = Annotated[str, StringConstraints(min_length=1, max_length=210), NoNul]


class ImportSummary(Answer):
    """The answer of a one-step import that ended in time."""

    imported: int
    failed: int
    duplicates: int
    errors: Annotated[list[RowError], Field(description="The first 100")]
    updated: int
    import_id: str
    duplicate_of: Annotated[str | None, Field(description="An earlier import of the same bytes")]


class ImportProgress(Answer):
    bytes_total: int
    bytes_done: int
    rows: int


class ImportUndo(Answer):
    deleted: int
    kept: Annotated[int, Field(description="Contacts left as they are, once it is undone: see the leftovers")]


class Import(Answer):
    """At any time `imported + updated + duplicates + failed` is `progress.rows`."""

    id: str
    dry_run: Annotated[bool, Field(description="Nothing is written; the counts say what would be")]
    status: Literal["uploaded", "queued", "running", "completed", "failed", "cancelled", "undoing", "undone"]
    file_name: str | None
    rows_total: Annotated[int | None, Field(description="Null until the rows were counted")]
    progress: ImportProgress
    imported: int
    updated: int
    duplicates: int
    failed: int
    errors: Annotated[list[RowError], Field(description="The first 100; none in lists")]
    error: str | None
    duplicate_of: Annotated[str | None, Field(description="An earlier import of the same bytes")]
    undo: Annotated[ImportUndo | None, Field(description="How far its undo is")]
    created_at: Moment
    finished_at: Moment | None


class ImportPage(Answer):
    data: list[Import]
    next_cursor: str | None
    has_more: bool


class ImportColumn(Answer):
    index: Annotated[int, Field(description="From 0")]
    title: str
    samples: list[str]
    suggested_target: Annotated[str, Field(examples=["phone"])]
    target: Annotated[str, Field(examples=["phone", "metadata.city", "tags", "skip"])]
    keep_existing: bool


class ImportPreview(Answer):
    encoding: Annotated[str, Field(examples=["utf-8"])]
    delimiter: Annotated[str | None, Field(examples=[";"])]
    has_header: Annotated[bool, Field(description="Whether the first row seems to hold titles")]
    columns: list[ImportColumn]
    rows: Annotated[list[list[str]], Field(description="The first 100, each cell cut at 200 characters")]


class ImportChange(Answer):
    contact_id: Annotated[str | None, Field(description="Null where the contact would be made")]
    before: dict[str, Any]
    after: dict[str, Any]


class ImportDetail(Import):
    preview: Annotated[ImportPreview | None, Field(description="Of a two-step import, while its file is kept")]
    changes: Annotated[
        list[ImportChange] | None,
        Field(description="Of a dry run, a sample: the fields that differ, of contacts made and of contacts changed"),
    ]


class ImportCommit(Body):
    mapping: Annotated[
        dict[ShortText, Target] | None,
        Field(
            max_length=MAX_COLUMNS,
            description="Title of a column, or `#1` for the first one and so on → a field, `tags`, `metadata.KEY` or "
            "`skip`. Columns that are not named stay as suggested.",
            examples=[{"Mobile": "phone", "City": "metadata.city", "Notes": "skip"}],
        ),
    ] = None
    keep_existing: Annotated[
        list[ShortText] | None,
        Field(max_length=MAX_COLUMNS, description="Columns that fill gaps and never overwrite a contact's value"),
    ] = None
    has_header: Annotated[
        Flag | None, Field(description="Whether the first row holds titles; by default as the preview says")
    ] = None
    on_duplicate: OnDuplicate | None = None
    dry_run: Annotated[
        Flag,
        Field(description="Write nothing: counts, errors and `changes` say what would be. It can be committed after."),
    ] = False
    default_region: Annotated[Region | None, Field(description="ISO 3166-1 alpha-2, for national phones")] = None
    tags: Annotated[Tags | None, Field(description="Added to every contact of the file")] = None
    list_ids: Annotated[
        list[Reference] | None, Field(max_length=100, description="Every contact of the file is put on these lists")
    ] = None


class ImportLeftover(Answer):
    contact_id: str
    reason: Annotated[
        Literal["changed_since", "updated"],
        Field(description="Made by the import and changed since, or there before and updated by it"),
    ]


class ImportLeftoverPage(Answer):
    data: list[ImportLeftover]
    next_cursor: str | None
    has_more: bool


class ImportErrorPage(Answer):
    data: list[RowError]
    next_cursor: str | None
    has_more: bool
