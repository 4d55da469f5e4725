"""What an uploaded file looks like, for a person who decides what becomes of its columns."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from carillon.contacts.v1 import contacts_pb2 as pb
from formats.layout import HEAD_BYTES, Layout, Scan
from formats.records import Broken, Records, Unreadable
from services.contacts.imports.mapping import target_text
from services.contacts.imports.plan import Plan

ROWS = 100
SAMPLES = 3
CELL_CHARACTERS = 200
# Records that are parsed at a time.
SLICE = 250


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows behind the header, as many cells each as there are columns; what the columns seem to be."""

    rows: list[list[str]]
    suggested: list[str]
    has_header: bool
    # None where the file is longer than what was looked at.
    rows_total: int | None

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "suggested": self.suggested, "has_header": self.has_header}


def read_preview(scan: Scan, layout: Layout, plan: Plan) -> Preview:
    """Of a whole upload."""
    width = len(layout.titles)
    rows = [
        [cell.replace("\0", "")[:CELL_CHARACTERS] for cell in (*cells[:width], *[""] * (width - len(cells)))]
        for cells in (layout.samples if plan.has_header else (layout.titles, *layout.samples))
        if any(cells)
    ]
    total = count_rows(scan.head, plan) if plan.kind == "csv" and scan.size <= HEAD_BYTES else None
    return Preview(rows[:ROWS], [target_text(column) for column in plan.columns], plan.has_header, total)


def count_rows(file: bytes, plan: Plan) -> int:
    """Of a small file, as a worker counts those of a large one."""
    records = Records(encoding=plan.encoding, delimiter=plan.delimiter)
    rows = 0
    with suppress(Unreadable):
        records.feed(file, final=True)
        while taken := records.take(SLICE):
            rows += sum(number > plan.skipped_records and is_row(cells) for number, cells in taken)
    return rows


def is_row(cells: Sequence[str] | Broken) -> bool:
    """False for a blank one, which counts for nothing."""
    return isinstance(cells, Broken) or any(cell and not cell.isspace() for cell in cells)


def message(plan: Plan, stored: dict[str, Any]) -> pb.ImportPreview:
    """stored: of `Preview.to_json`."""
    rows: list[list[str]] = stored["rows"]
    return pb.ImportPreview(
        encoding=plan.encoding,
        delimiter=plan.delimiter,
        columns=[
            pb.ImportColumn(
                index=at,
                title=column.title,
                samples=samples(row[at] for row in rows),
                suggested_target=stored["suggested"][at],
                target=target_text(column),
                keep_existing=column.keep_existing,
            )
            for at, column in enumerate(plan.columns)
        ],
        rows=[pb.ImportRow(cells=row) for row in rows],
        has_header=stored["has_header"],
    )


def samples(cells: Iterator[str]) -> list[str]:
    """The first few that differ."""
    found: dict[str, None] = {}
    for cell in cells:
        if cell:
            found[cell] = None
        if len(found) == SAMPLES:
            break
    return list(found)
