"""Imports of contacts."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from carillon.contacts.v1 import contacts_pb2 as contacts
from carillon.contacts.v1 import imports_pb2 as pb
from services.gateway.convert.values import Names, embedded, moment, moment_or_none, row_errors
from services.gateway.schemas.imports import ImportCommit

STATUSES = Names(contacts.ImportStatus, "IMPORT_STATUS_", unspecified="queued")
ON_DUPLICATE = Names(contacts.OnDuplicate, "ON_DUPLICATE_", unspecified="")
LEFTOVERS = Names(pb.LeftoverReason, "LEFTOVER_REASON_", unspecified="changed_since")
UNDONE = frozenset({contacts.IMPORT_STATUS_UNDOING, contacts.IMPORT_STATUS_UNDONE})
# Behind the file's own columns; an import takes no notice of it.
ERROR_TITLE = "carillon_error"


def import_(source: contacts.Import) -> dict[str, Any]:
    return {
        "id": source.id,
        "dry_run": source.dry_run,
        "status": STATUSES.text(source.status),
        "file_name": source.file_name or None,
        "rows_total": source.rows_total if source.HasField("rows_total") else None,
        "progress": {"bytes_total": source.bytes_total, "bytes_done": source.bytes_done, "rows": source.rows},
        "imported": source.imported,
        "updated": source.updated,
        "duplicates": source.duplicates,
        "failed": source.failed,
        "errors": row_errors(source),
        "error": source.error or None,
        "duplicate_of": source.duplicate_of or None,
        "undo": undo(source),
        "created_at": moment(source.created_at),
        "finished_at": moment_or_none(source, "finished_at"),
    }


def undo(source: contacts.Import) -> dict[str, int] | None:
    if source.status not in UNDONE:
        return None
    return {"deleted": source.undo_deleted, "kept": source.undo_kept}


def leftover(source: pb.Leftover) -> dict[str, str]:
    return {"contact_id": source.contact_id, "reason": LEFTOVERS.text(source.reason)}


def with_preview(answer: Any) -> dict[str, Any]:
    """answer: has an import and perhaps a preview."""
    found = import_(getattr(answer, "import"))  # a keyword in Python
    found["preview"] = preview(answer.preview) if answer.HasField("preview") else None
    changes = [change(one) for one in getattr(answer, "changes", ())]
    found["changes"] = changes if found["dry_run"] else None
    return found


def change(source: contacts.ImportChange) -> dict[str, Any]:
    return {
        "contact_id": source.contact_id or None,
        "before": embedded(source.before_json),
        "after": embedded(source.after_json),
    }


def preview(source: contacts.ImportPreview) -> dict[str, Any]:
    return {
        "encoding": source.encoding,
        "delimiter": source.delimiter or None,
        "has_header": source.has_header,
        "columns": [
            {
                "index": column.index,
                "title": column.title,
                "samples": list(column.samples),
                "suggested_target": column.suggested_target,
                "target": column.target,
                "keep_existing": column.keep_existing,
            }
            for column in source.columns
        ],
        "rows": [list(row.cells) for row in source.rows],
    }


def summary(source: contacts.Import) -> dict[str, Any]:
    """The seed's answer to a one-step import, with what it leaves out."""
    return {
        "imported": source.imported,
        "failed": source.failed,
        "duplicates": source.duplicates,
        "errors": row_errors(source),
        "updated": source.updated,
        "import_id": source.id,
        "duplicate_of": source.duplicate_of or None,
    }


def commit(import_id: str, body: ImportCommit) -> pb.CommitImportRequest:
    mapping = body.mapping or {}
    keep = body.keep_existing or []
    named = dict.fromkeys([*mapping, *keep])
    return pb.CommitImportRequest(
        id=import_id,
        mapping=[
            pb.ColumnMapping(column=column, target=mapping.get(column, ""), keep_existing=column in keep)
            for column in named
        ],
        on_duplicate=ON_DUPLICATE.value(body.on_duplicate),
        default_region=body.default_region or "",
        tags=body.tags or (),
        list_ids=body.list_ids or (),
        dry_run=body.dry_run,
        has_header=body.has_header,
    )


def failed_row(source: pb.FailedRow) -> dict[str, Any]:
    error = source.error
    return {"row": error.row, "reason": error.reason, "code": error.code, "column": error.column or None}


def csv_header(titles: Iterable[str]) -> bytes:
    """With a byte order mark, so that spreadsheets take the file for UTF-8."""
    return b"\xef\xbb\xbf" + csv_lines([[*titles, ERROR_TITLE]])


def csv_rows(source: pb.ListImportErrorsResponse) -> bytes:
    """The rows as they were, to be mended and uploaded again, each with what is wrong."""
    width = len(source.titles)
    lines = []
    for row in source.rows:
        cells = [*row.cells[:width], *[""] * (width - len(row.cells))]
        # Cells behind the last title stay behind it.
        lines.append([*cells, row.error.reason, *row.cells[width:]])
    return csv_lines(lines)


def csv_lines(rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
