"""Reads a delimited text file while it streams in, for files that are not stored first."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from formats.layout import HEAD_BYTES, Layout, Scan, read_layout
from formats.records import Broken, Record, Records


class Table:
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
            batch = [(number - before, cells) for number, cells in taken if number > before + 1 and holds(cells)]
            if batch:
                yield batch


def holds(cells: list[str] | Broken) -> bool:
    return isinstance(cells, Broken) or any(cells)


async def open_table(chunks: AsyncIterator[bytes], known: Callable[[Sequence[str]], int]) -> Table:
    """Reads the head. known: as in read_layout. Raises Empty, Unreadable."""
    scan, head = Scan(), []
    async for chunk in chunks:
        scan.update(chunk)
        head.append(chunk)
        if scan.size > HEAD_BYTES:
            return Table(read_layout(scan, known, whole=False), head, chunks)
    return Table(read_layout(scan, known), head, chunks)
