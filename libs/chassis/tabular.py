"""Reads delimited text as it streams in: encoding, delimiter and header are found out, memory stays flat.

Row numbers are those a person sees in a spreadsheet: the header is row 1, blank lines count. A record that spans
lines inside quotes is one row. The grammar is the csv module's (RFC 4180 and its usual deviations).
"""

import codecs
import csv
import io
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from chassis.errors import InvalidArgument, Reason

HEAD_BYTES = 64 * 1024
MAX_FIELD_CHARACTERS = 64 * 1024
MAX_RECORD_CHARACTERS = 1024 * 1024
MAX_COLUMNS = 500
SAMPLE_ROWS = 50
DELIMITERS = ",;\t|"
BOMS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]
# How common files begin that are no text.
MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b", b"\x7fELF")
CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32)])

Row = tuple[int, list[str]]

csv.field_size_limit(MAX_FIELD_CHARACTERS)


def as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Single bytes that are not UTF-8 in a file that mostly is: an old editor's accents."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return wrong.decode("cp1252", errors="replace"), error.end


codecs.register_error("windows-1252", as_windows_1252)


class NeedMore(Exception):
    """The lines so far end within a record."""


class Lines:
    """Feeds the csv reader; gives back a record's lines when the record turns out to go on in the next chunk."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._of_record: list[str] = []
        self._tail = ""
        self._closed = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._lines:
            line = self._lines.popleft()
            self._of_record.append(line)
            return line
        if self._closed:
            raise StopIteration
        raise NeedMore

    def feed(self, text: str) -> None:
        text = self._tail + text
        # A "\r" at the end may be the first half of "\r\n".
        cut = len(text) - 1 if text.endswith("\r") else len(text)
        lines = list(io.StringIO(text[:cut], newline=""))
        rest = text[cut:]
        if lines and not lines[-1].endswith(("\n", "\r")):
            rest = lines.pop() + rest
        self._tail = rest
        self._lines.extend(lines)

    def close(self) -> None:
        if self._tail:
            self._lines.append(self._tail)
            self._tail = ""
        self._closed = True

    def record_done(self) -> None:
        self._of_record.clear()

    def give_back(self) -> None:
        """Raises InvalidArgument when the record has grown beyond reason: a quote that is never closed."""
        if sum(map(len, self._of_record)) + len(self._tail) > MAX_RECORD_CHARACTERS:
            raise unreadable("A row is longer than 1 MiB; a quote is probably not closed")
        self._lines.extendleft(reversed(self._of_record))
        self._of_record.clear()


@dataclass(frozen=True, slots=True)
class Layout:
    """What was found out from the head of the file."""

    encoding: str
    delimiter: str
    columns: list[str]


class Table:
    """An opened file: iterate `batches` once."""

    def __init__(self, layout: Layout, head: bytes, chunks: AsyncIterator[bytes]) -> None:
        self.layout = layout
        self.bytes_read = len(head)
        self._head = head
        self._chunks = chunks
        self._row = 0

    async def batches(self, size: int) -> AsyncIterator[list[Row]]:
        """The data rows, without blank ones, at most `size` at a time. Raises InvalidArgument(FILE_UNREADABLE)."""
        lines = Lines()
        reader = csv.reader(lines, delimiter=self.layout.delimiter)
        decoder = codecs.getincrementaldecoder(self.layout.encoding)(
            errors="windows-1252" if self.layout.encoding == "utf-8" else "replace"
        )
        lines.feed(decoder.decode(self._head))
        async for chunk in self._chunks:
            for batch in self._rows(reader, lines, size):
                yield batch
            lines.feed(decoder.decode(chunk))
            self.bytes_read += len(chunk)
        lines.feed(decoder.decode(b"", final=True))
        lines.close()
        for batch in self._rows(reader, lines, size):
            yield batch

    def _rows(self, reader: Iterator[list[str]], lines: Lines, size: int) -> Iterator[list[Row]]:
        batch: list[Row] = []
        try:
            for cells in reader:
                lines.record_done()
                self._row += 1
                if self._row > 1 and any(cells):
                    batch.append((self._row, cells))
                if len(batch) >= size:
                    yield batch
                    batch = []
        except NeedMore:
            lines.give_back()
        except csv.Error as error:
            raise unreadable(f"Row {self._row + 1} cannot be read: {error}") from error
        if batch:
            yield batch


async def open_table(chunks: AsyncIterator[bytes]) -> Table:
    """Read the head of a file. Raises InvalidArgument: FILE_EMPTY or FILE_UNREADABLE."""
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    layout = inspect(head)
    start = next((len(mark) for mark, _ in BOMS if head.startswith(mark)), 0)
    table = Table(layout, head[start:], chunks)
    table.bytes_read = len(head)
    return table


def inspect(head: bytes) -> Layout:
    """What the first 64 KiB (or all) of a file say of it. Raises InvalidArgument."""
    encoding, text = decode_head(head)
    if not text.strip():
        raise InvalidArgument(Reason.FILE_EMPTY, "The file is empty; it needs a header and at least one row.")
    if sum(1 for character in text if ord(character) in CONTROLS) > len(text) // 200:
        raise unreadable("The file is not text")
    delimiter, columns = best_delimiter(text)
    if len(columns) > MAX_COLUMNS:
        raise unreadable(f"The file has {len(columns)} columns; {MAX_COLUMNS} are the most that is read")
    return Layout(encoding, delimiter, columns)


def decode_head(head: bytes) -> tuple[str, str]:
    if head.startswith(MAGIC):
        raise unreadable("The file is not delimited text (CSV)")
    for mark, encoding in BOMS:
        if head.startswith(mark):
            return encoding, head[len(mark) :].decode(encoding, errors="replace")
    if b"\0" in head:
        return decode_wide(head)
    try:
        return "utf-8", codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252", head.decode("cp1252", errors="replace")


def decode_wide(head: bytes) -> tuple[str, str]:
    """UTF-16 without a mark: Latin text has a zero in every other byte, always on the same side."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 5 and min(even, odd) < len(head) // 50:
        encoding = "utf-16-be" if even > odd else "utf-16-le"
        return encoding, head[: len(head) // 2 * 2].decode(encoding, errors="replace")
    raise unreadable("The file is not text")


def best_delimiter(text: str) -> tuple[str, list[str]]:
    """The delimiter that cuts most rows into as many cells as the header, and the header."""
    best: tuple[float, str, list[str]] = (-1.0, ",", [])
    for delimiter in DELIMITERS:
        rows = sample(text, delimiter)
        if not rows:
            continue
        width = len(rows[0])
        agreeing = sum(1 for row in rows if len(row) == width) / len(rows)
        score = width * agreeing if width > 1 else 0.0
        if score > best[0]:
            best = (score, delimiter, rows[0])
    return best[1], [column.strip() for column in best[2]]


def sample(text: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) >= SAMPLE_ROWS:
                break
    except csv.Error:
        return rows
    # The last row may be cut off where the head ends.
    return rows[:-1] if 1 < len(rows) < SAMPLE_ROWS and len(text) >= HEAD_BYTES // 4 else rows


def unreadable(detail: str) -> InvalidArgument:
    return InvalidArgument(Reason.FILE_UNREADABLE, f"{detail}.")
