"""Looks at the beginning of a file: is it text, in which encoding, with which delimiter and columns?"""

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from formats.kinds import Kind, kind_of
from formats.records import Broken, Encoding, Records, Unreadable

MAX_COLUMNS = 256
# What of the file's start is kept while it streams by.
HEAD_BYTES = 256 * 1024
SAMPLE_RECORDS = 101
# A header is among the first rows that are not blank.
HEADER_WITHIN = 10
DELIMITERS = (",", ";", "\t", "|")
SEPARATOR_LINE = re.compile(r"\s*sep=([,;\t|])\s*", re.IGNORECASE)

# Bytes that Windows-1252 leaves undefined, and control characters that no text has.
UNDEFINED = b"\x81\x8d\x8f\x90\x9d"
CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\x1a\x1b")) + b"\x7f"


# How many of a row's titles mean something here; it tells a header from data.
Known = Callable[[Sequence[str]], int]


class Empty(Exception):
    """The file has no rows."""


@dataclass(frozen=True, slots=True)
class Layout:
    """preamble: records before the header, a spreadsheet's `sep=;` and blank ones. titles: the header, trimmed.

    samples: the first rows behind the header, trimmed cells, a broken one empty.
    """

    encoding: Encoding
    delimiter: str
    preamble: int
    titles: tuple[str, ...]
    samples: tuple[tuple[str, ...], ...] = ()
    kind: Kind = "csv"
    # Of a workbook: the name of the sheet that was chosen.
    sheet: str = ""


class Scan:
    """What every byte of an upload says of its encoding, kept in constant memory while the upload streams by."""

    def __init__(self) -> None:
        self.head = b""
        self.size = 0
        self._utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._nul = False
        self._undefined = False
        self._controls = False

    def update(self, data: bytes) -> None:
        self.size += len(data)
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self._nul = self._nul or b"\0" in data
        self._undefined = self._undefined or has_any(data, UNDEFINED)
        self._controls = self._controls or has_any(data, CONTROLS)
        self._decode(data, final=False)

    def _decode(self, data: bytes, *, final: bool) -> None:
        if self._utf8 is None:
            return
        try:
            self._utf8.decode(data, final)
        except UnicodeDecodeError:
            self._utf8 = None

    def kind(self) -> Kind:
        """Raises Empty, Unreadable."""
        if not self.size:
            raise Empty
        return kind_of(self.head)

    def encoding(self, *, whole: bool = True) -> Encoding:
        """By what has come so far; whole: there is no more. Raises Empty, Unreadable."""
        if not self.size:
            raise Empty
        self._decode(b"", final=whole)
        if self.head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if self._nul:
            return self._unmarked_utf16()
        if self._controls:
            raise Unreadable("The file is not text.")
        if self._utf8 is not None:
            return "utf-8-sig" if self.head.startswith(codecs.BOM_UTF8) else "utf-8"
        if self._undefined:
            raise Unreadable("The file is neither UTF-8 nor UTF-16 nor Windows-1252 text.")
        return "cp1252"

    def vcard_encoding(self) -> Encoding:
        """What parts the lines of a vCard file; their text may be in another one, which each line names.

        Raises Unreadable.
        """
        if self.head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        return self._unmarked_utf16() if self._nul else "utf-8"

    def _unmarked_utf16(self) -> Encoding:
        """Latin text in UTF-16 has a NUL in every other byte; anything else with NULs is no text."""
        sample = self.head[: len(self.head) // 2 * 2]
        half = len(sample) // 2
        odd, even = sample[1::2].count(0), sample[::2].count(0)
        if half and odd > half * 0.7 and even == 0:
            return "utf-16-le"
        if half and even > half * 0.7 and odd == 0:
            return "utf-16-be"
        raise Unreadable("The file is not text: it has NUL bytes.")


def has_any(data: bytes, unwanted: bytes) -> bool:
    """True where the data has one of the unwanted bytes."""
    return len(data.translate(None, unwanted)) != len(data)


def read_layout(scan: Scan, known: Known, *, whole: bool = True) -> Layout:
    """Of delimited text. whole: the scan saw all.

    Raises Empty, Unreadable. A file that is seen whole and ends within an open quote is Unreadable.
    """
    if scan.kind() != "csv":
        raise Unreadable("The file is no delimited text; send CSV.")
    encoding = scan.encoding(whole=whole)
    whole = whole and scan.size <= HEAD_BYTES
    forced = separator_line(scan.head, encoding)
    samples = [
        (delimiter, sample(scan.head, encoding, delimiter=delimiter, whole=whole))
        for delimiter in (DELIMITERS if forced is None else (forced,))
    ]
    skipped = 0 if forced is None else 1
    delimiter, rows = max(samples, key=lambda candidate: score(candidate[1][skipped:], known))
    if not rows and scan.size > HEAD_BYTES:
        raise Unreadable(f"The first line is longer than {HEAD_BYTES // 1024} KiB.")
    preamble = skipped + header_at(rows[skipped:], known)
    if whole:
        check_closed(scan.head, encoding, delimiter)
    if preamble >= len(rows) or (whole and not any(any(row) for row in rows[preamble + 1 :])):
        raise Empty
    titles = rows[preamble]
    check_width(titles)
    samples_shown = tuple(map(tuple, rows[preamble + 1 :]))
    return Layout(encoding, delimiter, preamble, tuple(titles), samples_shown)


def header_at(rows: Sequence[Sequence[str]], known: Known) -> int:
    """Which row is the header; their number where all are blank.

    The first that is not blank, unless nothing in it is known and two titles are in one of the next: a report's name
    and date stand above its table.
    """
    filled = [at for at, row in enumerate(rows) if any(row)][:HEADER_WITHIN]
    if not filled:
        return len(rows)
    if known(rows[filled[0]]):
        return filled[0]
    return next((at for at in filled if known(rows[at]) >= 2), filled[0])


def check_width(titles: Sequence[str]) -> None:
    """Raises Unreadable."""
    if len(titles) > MAX_COLUMNS:
        raise Unreadable(f"The file has more than {MAX_COLUMNS} columns.")


def check_closed(file: bytes, encoding: Encoding, delimiter: str) -> None:
    """Raises Unreadable where a record of a small file is none: better mended at once than imported in part."""
    records = Records(encoding=encoding, delimiter=delimiter)
    records.feed(file, final=True)
    while taken := records.take(SAMPLE_RECORDS):
        for number, cells in taken:
            if isinstance(cells, Broken):
                raise Unreadable(f"Row {number}: {cells.reason}")


def separator_line(head: bytes, encoding: Encoding) -> str | None:
    """The delimiter that a spreadsheet's `sep=;` in the first line names."""
    first = head[:64].decode(encoding, errors="ignore").lstrip("\ufeff").splitlines()
    match = SEPARATOR_LINE.fullmatch(first[0]) if first else None
    return match[1] if match else None


def sample(head: bytes, encoding: Encoding, *, delimiter: str, whole: bool) -> list[list[str]]:
    """The first records, trimmed cells; a broken one is an empty row."""
    records = Records(encoding=encoding, delimiter=delimiter)
    try:
        records.feed(head, final=whole)
        taken = records.take(SAMPLE_RECORDS)
    except Unreadable:
        return []
    return [[] if isinstance(cells, Broken) else [cell.strip() for cell in cells] for _, cells in taken]


def score(rows: list[list[str]], known: Known) -> tuple[int, float, int]:
    """How much the rows look like a table: titles known, rows as wide as the header, columns."""
    rows = [row for row in rows[header_at(rows, known) :] if any(row)]
    if not rows:
        return 0, 0.0, 0
    width = len(rows[0])
    even = sum(len(row) == width for row in rows) / len(rows)
    return known(rows[0]), even if width > 1 else 0.0, width
