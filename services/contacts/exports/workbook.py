"""An XLSX file in the making: rows go to disk as they come, whatever the number of them."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

# Of a sheet, the header among them.
MOST_ROWS = 1_048_576
# No cell becomes a formula, a link or a number: 15 digits are all that a spreadsheet's number holds.
OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


class Full(Exception):
    """A sheet takes no more rows."""


class Workbook:
    """One sheet of texts. Its methods block: call them in a thread."""

    def __init__(self, titles: Sequence[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="carillon-export-")
        self._path = Path(self._folder.name) / "export.xlsx"
        self._book: Any = xlsxwriter.Workbook(str(self._path), {**OPTIONS, "tmpdir": self._folder.name})
        self._sheet: Any = self._book.add_worksheet("Export")
        self._row = 0
        self.add([titles])

    def add(self, rows: Sequence[Sequence[str | None]]) -> None:
        """None and empty cells are left blank. Raises Full."""
        if self._row + len(rows) > MOST_ROWS:
            raise Full
        write = self._sheet.write_string
        for at, row in enumerate(rows, self._row):
            for column, cell in enumerate(row):
                if cell:
                    write(at, column, cell)
        self._row += len(rows)

    def finished(self, size: int) -> Iterator[bytes]:
        """The file, in pieces of so many bytes; nothing can be added any more."""
        self._book.close()
        with self._path.open("rb") as file:
            while data := file.read(size):
                yield data

    def drop(self) -> None:
        self._folder.cleanup()
