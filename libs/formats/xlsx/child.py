"""Reads a workbook in a process of its own, which may die of it: `python -m formats.xlsx.child` < FILE.

Its memory and its processor time are limited before the file is looked at. What it finds goes to standard output in
frames: a byte that says what it is, the length in four bytes, the content.
"""

import json
import resource
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO
from xml.parsers import expat

from formats.layout import Empty
from formats.records import RECORD_CHARACTERS, Broken, Record, Unreadable
from formats.xlsx.archive import Archive
from formats.xlsx.sheet import CellReader, RawRow, highest_string, raw_rows
from formats.xlsx.workbook import NOT_A_WORKBOOK, Sheet, Workbook

# A million rows with two million different texts take a third of it.
MEMORY_BYTES = 256 * 1024**2
# Processor time; a million rows take some 15 s.
INSPECT_SECONDS = 20
ROWS_SECONDS = 600

NAME, ROWS, UNREADABLE, EMPTY, END = b"N", b"R", b"U", b"E", b"Z"
# What a part that is not as it should be makes of the readers of ZIP and XML.
DAMAGED = (
    zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, OSError, ValueError, LookupError, NotImplementedError,
    OverflowError,
)  # fmt: skip

Write = Callable[[bytes, bytes], None]


def limit(*, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # The signal that comes first says why; at the second limit it would be the one that says nothing.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def inspect(workbook: Workbook, write: Write, *, wanted: str, width: int, count: int) -> None:
    """The name of the sheet and its first rows that are not blank. Raises Empty, Unreadable."""
    for sheet in candidates(workbook, wanted):
        rows: list[RawRow] = []
        for some, _ in raw_rows(workbook, sheet, width=width):
            rows.extend(some)
            if len(rows) >= count:
                break
        if rows:
            write(NAME, sheet.name.encode())
            reader = cell_reader(workbook, strings=highest_string(rows[:count]))
            write(ROWS, packed([reader.record(row) for row in rows[:count]], 1.0))
            return
    raise Empty


def candidates(workbook: Workbook, wanted: str) -> Sequence[Sheet]:
    """The sheet of that name, or all that can be seen."""
    if not wanted:
        return [sheet for sheet in workbook.sheets if not sheet.hidden] or workbook.sheets
    found = [sheet for sheet in workbook.sheets if sheet.name == wanted]
    if not found:
        raise Unreadable(f"The workbook has no sheet {wanted[:64]!r}.")
    return found


def read_all(workbook: Workbook, write: Write, *, wanted: str, width: int, behind: int) -> None:
    """Every row with a number above `behind` that is not blank."""
    reader = cell_reader(workbook)
    for sheet in candidates(workbook, wanted)[:1]:
        for rows, read in raw_rows(workbook, sheet, width=width):
            records = (reader.record(row) for row in rows if row[0] > behind)
            for some in portions(records):
                write(ROWS, packed(some, read))


def portions(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Of a bounded size: a short row of references may stand for a megabyte of text."""
    some: list[Record] = []
    size = 0
    for record in records:
        some.append(record)
        size += sum(map(len, record[1])) if isinstance(record[1], list) else 0
        if size > RECORD_CHARACTERS:
            yield some
            some, size = [], 0
    if some:
        yield some


def cell_reader(workbook: Workbook, strings: int | None = None) -> CellReader:
    return CellReader(workbook.strings(strings), workbook.formats(), epoch_1904=workbook.epoch_1904)


def packed(records: Sequence[Record], read: float) -> bytes:
    """A broken row has its reason in place of its cells."""
    rows = [[number, cells.reason if isinstance(cells, Broken) else cells] for number, cells in records]
    return json.dumps([read, rows], separators=(",", ":")).encode()


def opened(file: IO[bytes]) -> Workbook:
    """Raises Unreadable."""
    if not zipfile.is_zipfile(file):
        raise Unreadable("The workbook is damaged: its end is missing. Was it uploaded whole?")
    archive = Archive(file)
    if "[content_types].xml" not in archive:
        raise Unreadable(NOT_A_WORKBOOK)
    return Workbook(archive)


def frames(out: IO[bytes]) -> Write:
    def write(kind: bytes, content: bytes) -> None:
        out.write(kind + len(content).to_bytes(4, "big") + content)
        out.flush()

    return write


def run(arguments: Sequence[str], file: IO[bytes], write: Write) -> None:
    """arguments: `inspect SHEET WIDTH COUNT` or `rows SHEET WIDTH BEHIND`."""
    task, wanted, width, number = arguments
    try:
        if task == "inspect":
            inspect(opened(file), write, wanted=wanted, width=int(width), count=int(number))
        else:
            read_all(opened(file), write, wanted=wanted, width=int(width), behind=int(number))
    except Empty:
        write(EMPTY, b"")
    except Unreadable as unreadable:
        write(UNREADABLE, str(unreadable).encode())
    except DAMAGED:
        write(UNREADABLE, b"The workbook is damaged; open it in a spreadsheet program and save it again.")
    except MemoryError:
        write(UNREADABLE, b"The workbook takes too much memory; save the sheet as CSV.")
    else:
        write(END, b"")


def unpacked(content: bytes) -> tuple[list[Record], float]:
    """What `packed` made."""
    read, rows = json.loads(content)
    return [(number, cells if isinstance(cells, list) else Broken(cells)) for number, cells in rows], read


def main() -> None:
    limit(seconds=INSPECT_SECONDS if sys.argv[1] == "inspect" else ROWS_SECONDS)
    run(sys.argv[1:], sys.stdin.buffer, frames(sys.stdout.buffer))


if __name__ == "__main__":
    main()
