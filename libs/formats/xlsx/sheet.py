"""The rows of one sheet, in constant memory."""

from collections.abc import Iterator, Sequence

from formats.records import CELL_CHARACTERS, RECORD_CHARACTERS, Broken, Record, Unreadable
from formats.xlsx import xml
from formats.xlsx.cells import Kind, number_text, unescaped
from formats.xlsx.workbook import Sheet, Strings, Workbook

# Of a sheet, says its standard.
MAX_ROWS = 1_048_576
# Column, type, style, text.
Cell = tuple[int, str, str, str]
RawRow = tuple[int, list[Cell]]

A_CELL = f"A cell has more than {CELL_CHARACTERS} characters."
A_ROW = f"The row has more than {RECORD_CHARACTERS} characters."


class RowParser:
    """Gathers the rows that are not blank in `rows`; whoever reads takes them out of there."""

    def __init__(self, width: int) -> None:
        """width: cells right of it are left out."""
        self.rows: list[RawRow] = []
        self._width = width
        self._columns: dict[str, int] = {}
        self._number = 0
        self._cells: list[Cell] = []
        self._column = -1
        self._type = ""
        self._style = ""
        self._texts: list[str] = []
        self._length = 0
        self._on = False
        self._phonetic = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "c":
            self._column = self._column_of(attributes.get("r"))
            self._type = attributes.get("t", "n")
            self._style = attributes.get("s", "")
        elif tag in ("v", "t"):
            self._on = not self._phonetic
        elif tag == "row":
            self._start_row(attributes.get("r", ""))
        elif tag == "rPh":
            self._phonetic = True

    def _start_row(self, given: str) -> None:
        self._number = max(self._number + 1, int(given) if given.isascii() and given.isdigit() else 0)
        if self._number > MAX_ROWS:
            raise Unreadable(f"The sheet has more than {MAX_ROWS} rows.")
        self._cells, self._column = [], -1

    def _column_of(self, reference: str | None) -> int:
        if reference is None:
            return self._column + 1
        letters = reference.rstrip("0123456789")
        column = self._columns.get(letters)
        if column is None:
            column = column_number(letters)
            # Only those that a sheet can have.
            if len(letters) <= 3:
                self._columns[letters] = column
        return column

    def text(self, data: str) -> None:
        if self._on and self._length <= CELL_CHARACTERS:
            self._texts.append(data)
            self._length += len(data)

    def end(self, tag: str) -> None:
        if tag == "c":
            if self._texts:
                if self._column < self._width:
                    self._add((self._column, self._type, self._style, "".join(self._texts)))
                self._texts, self._length = [], 0
        elif tag in ("v", "t"):
            self._on = False
        elif tag == "row":
            if self._cells:
                self.rows.append((self._number, self._cells))
        elif tag == "rPh":
            self._phonetic = False

    def _add(self, cell: Cell) -> None:
        if len(self._cells) >= self._width:
            raise Unreadable(f"Row {self._number} has several cells in one column.")
        self._cells.append(cell)


def column_number(letters: str) -> int:
    """0 for A. Raises ValueError."""
    number = 0
    for letter in letters[:8].upper():
        if not "A" <= letter <= "Z":
            raise ValueError(letters)
        number = number * 26 + ord(letter) - 64
    return number - 1


def raw_rows(workbook: Workbook, sheet: Sheet, *, width: int) -> Iterator[tuple[list[RawRow], float]]:
    """Rows that are not blank, with how much of the sheet was read, 0 to 1."""
    parser = RowParser(width)
    whole = max(1, workbook.archive.declared_size(sheet.part))
    pieces = workbook.archive.pieces(sheet.part)
    for fed in xml.steps(pieces, start=parser.start, end=parser.end, text=parser.text):
        taken, parser.rows = parser.rows, []
        yield taken, min(1.0, fed / whole)


class CellReader:
    def __init__(self, strings: Strings, formats: Sequence[Kind], *, epoch_1904: bool) -> None:
        self._strings = strings
        self._formats = formats
        self._epoch_1904 = epoch_1904

    def record(self, row: RawRow) -> Record:
        number, cells = row
        texts: list[str] = []
        total = 0
        for column, kind, style, text in cells:
            read = self._text(kind, style, text)
            total += len(read)
            if len(read) > CELL_CHARACTERS:
                return number, Broken(A_CELL)
            if total > RECORD_CHARACTERS:
                return number, Broken(A_ROW)
            if column >= len(texts):
                texts.extend([""] * (column + 1 - len(texts)))
            texts[column] = read
        return number, texts

    def _text(self, kind: str, style: str, text: str) -> str:
        if kind == "s":
            return unescaped(self._strings[int(text)])
        if kind in ("inlineStr", "str"):
            return unescaped(text)
        if kind == "b":
            return "true" if text.strip() in ("1", "true") else "false"
        if kind == "n":
            return number_text(text.strip(), self._kind(style), epoch_1904=self._epoch_1904)
        return text

    def _kind(self, style: str) -> Kind:
        if not style or not style.isdigit() or int(style) >= len(self._formats):
            return "number"
        return self._formats[int(style)]


def highest_string(rows: Sequence[RawRow]) -> int:
    """How many shared texts these rows need to be read."""
    return max((int(text) + 1 for _, cells in rows for _, kind, _, text in cells if kind == "s"), default=0)
