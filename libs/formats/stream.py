"""Reads a table while it streams in, for files that are not stored first: delimited text, or a workbook."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import IO

from formats.layout import HEAD_BYTES, Known, Layout, Scan, read_layout
from formats.records import Broken, Record, Records
from formats.xlsx import reader as xlsx


class TextTable:
    """An opened file: iterate `batches` once."""

    def __init__(self, layout: Layout, head: Sequence[bytes], rest: AsyncIterator[bytes]) -> None:
        self.layout = layout
        self._head = head
        self._rest = rest

    async def batches(self, size: int) -> AsyncIterator[list[Record]]:
        """The records behind the header, which is row 1, at most `size` at a time, no blank ones. Raises Unreadable."""
        records = Records(encoding=self.layout.encoding, delimiter=self.layout.delimiter)
        for chunk in self._head:
            records.feed(chunk)
        for batch in self._taken(records, size):
            yield batch
        async for chunk in self._rest:
            records.feed(chunk)
            for batch in self._taken(records, size):
                yield batch
        records.feed(b"", final=True)
        for batch in self._taken(records, size):
            yield batch

    def _taken(self, records: Records, size: int) -> Iterator[list[Record]]:
        while taken := records.take(size):
            before = self.layout.preamble
            if batch := rows_of(taken, before):
                yield batch


def holds(cells: list[str] | Broken) -> bool:
    return isinstance(cells, Broken) or any(cells)


class SheetTable:
    """An opened workbook: iterate `batches` once, which closes it."""

    def __init__(self, layout: Layout, file: IO[bytes]) -> None:
        self.layout = layout
        self._file = file

    async def batches(self, size: int) -> AsyncIterator[list[Record]]:
        """As of a TextTable; cells right of the header are left out."""
        layout = self.layout
        rows = xlsx.rows(
            self._file, sheet=layout.sheet, width=len(layout.titles), behind=layout.preamble + 1, size=size
        )
        with self._file:
            async with aclosing(rows):
                async for taken, _ in rows:
                    if batch := rows_of(taken, layout.preamble):
                        yield batch


Table = TextTable | SheetTable


def rows_of(records: Sequence[Record], preamble: int) -> list[Record]:
    """Those behind the header that are not blank, numbered with the header as row 1."""
    return [(number - preamble, cells) for number, cells in records if number > preamble + 1 and holds(cells)]


async def open_table(chunks: AsyncIterator[bytes], known: Known) -> Table:
    """Reads the head; all of a workbook, onto disk. Raises Empty, Unreadable."""
    scan, head = Scan(), []
    async for chunk in chunks:
        scan.update(chunk)
        head.append(chunk)
        if scan.size > HEAD_BYTES:
            break
    if scan.kind() == "xlsx":
        return await open_sheet(head, chunks, known)
    return TextTable(read_layout(scan, known, whole=scan.size <= HEAD_BYTES), head, chunks)


async def open_sheet(head: Sequence[bytes], rest: AsyncIterator[bytes], known: Known) -> SheetTable:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the table, or here
    try:
        file.writelines(head)
        async for chunk in rest:
            file.write(chunk)
        file.flush()
        return SheetTable(await xlsx.inspect(file, known), file)
    except BaseException:
        file.close()
        raise
