"""A ZIP archive whose sizes are not believed: what really comes out of it is counted, and bounded."""

import zipfile
from collections.abc import Iterator
from typing import IO

from formats.records import Unreadable

MAX_ENTRIES = 10_000
# Of all parts that are read, together.
MAX_INFLATED = 2 * 1024**3
# Sheets shrink to a tenth, dull ones to a fiftieth; a bomb to a thousandth.
MAX_RATIO = 200
# Below this the ratio says nothing.
HARMLESS = 64 * 1024**2
PIECE = 64 * 1024
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1


class Archive:
    def __init__(self, file: IO[bytes]) -> None:
        """Raises Unreadable, zipfile.BadZipFile."""
        self._zip = zipfile.ZipFile(file)
        self._size = file.seek(0, 2)
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise Unreadable(f"The workbook has more than {MAX_ENTRIES} parts.")
        # Some writers do not keep to the case of the names they refer to.
        self._entries = {entry.filename.lower().lstrip("/"): entry for entry in entries}
        self.inflated = 0

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._entries

    def declared_size(self, name: str) -> int:
        """What the archive says; to show progress, and for nothing else."""
        return self._entries[name.lower()].file_size

    def pieces(self, name: str) -> Iterator[bytes]:
        """The part, inflated, up to 64 KiB at a time. Raises KeyError, Unreadable, zipfile.BadZipFile, zlib.error."""
        entry = self._entries[name.lower()]
        if entry.flag_bits & ENCRYPTED:
            raise Unreadable("The workbook is protected by a password; save it without one.")
        if entry.compress_type not in METHODS:
            raise Unreadable("The workbook is compressed in a way that is not read.")
        with self._zip.open(entry) as part:
            while piece := part.read(PIECE):
                self._count(len(piece))
                yield piece

    def _count(self, size: int) -> None:
        self.inflated += size
        bomb = self.inflated > HARMLESS and self.inflated > MAX_RATIO * self._size
        if bomb or self.inflated > MAX_INFLATED:
            raise Unreadable("The workbook is far larger inside than the file is; save the sheet as CSV.")
