"""How a stored file becomes a stream of records, by its kind."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import IO

from formats import layout
from formats.layout import Layout, Scan
from formats.records import Record, Records
from formats.vcard import cards
from formats.vcard.cards import Cards
from formats.xlsx import reader as xlsx
from services.contacts.imports.columns import known
from services.contacts.imports.plan import Plan

# Records that are handed on before other tasks of the process get their turn.
SLICE = 250
PIECE = 64 * 1024
# Inspected side by side: each takes a process of up to 256 MiB.
WORKBOOKS = 2
# Records with the bytes of the file that were read for them.
Slice = tuple[list[Record], int]


class Inspector:
    def __init__(self) -> None:
        self._workbooks = asyncio.Semaphore(WORKBOOKS)

    async def inspect(self, scan: Scan, stored: AsyncIterator[bytes], *, sheet: str = "") -> Layout:
        """scan: saw the whole file. stored: its bytes again; only a workbook's are read. sheet: the one of a workbook.

        Raises Empty, Unreadable.
        """
        kind = scan.kind()
        if kind == "vcard":
            return cards.inspect(scan)
        if kind == "csv":
            return layout.read_layout(scan, known)
        async with self._workbooks, spooled(stored) as (file, _):
            return await xlsx.inspect(file, known, sheet=sheet)


async def records(plan: Plan, stored: AsyncIterator[bytes], *, behind: int = 0) -> AsyncGenerator[Slice, None]:
    """The records of the file, numbered from 1 without a gap; those up to `behind` may be left out.

    Raises Unreadable behind what could be read.
    """
    if plan.kind == "xlsx":
        source = sheet_rows(plan, stored, behind=behind)
    elif plan.kind == "vcard":
        source = fed(Cards(plan.encoding), in_pieces(stored))
    else:
        source = fed(Records(encoding=plan.encoding, delimiter=plan.delimiter), stored)
    async with aclosing(source):
        async for records in source:
            yield records


async def fed(reader: Records | Cards, stored: AsyncIterator[bytes]) -> AsyncGenerator[Slice, None]:
    size = 0
    async for data in stored:
        size += len(data)
        reader.feed(data)
        while taken := reader.take(SLICE):
            yield taken, size
    reader.feed(b"", final=True)
    while taken := reader.take(SLICE):
        yield taken, size


async def in_pieces(stored: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cards are parsed as they are fed; this bounds for how long at a time."""
    async for data in stored:
        for start in range(0, len(data), PIECE):
            yield data[start : start + PIECE]


async def sheet_rows(plan: Plan, stored: AsyncIterator[bytes], *, behind: int) -> AsyncGenerator[Slice, None]:
    async with spooled(stored) as (file, size):
        rows = xlsx.rows(file, sheet=plan.sheet, width=len(plan.columns), behind=behind, size=SLICE)
        async with aclosing(rows):
            async for taken, read in rows:
                yield taken, int(read * size)


@asynccontextmanager
async def spooled(stored: AsyncIterator[bytes]) -> AsyncIterator[tuple[IO[bytes], int]]:
    """On disk for the time of the block, without a name, so that it is gone even after a kill; and its size."""
    with tempfile.TemporaryFile() as file:
        async for data in stored:
            file.write(data)
        file.flush()
        yield file, file.tell()
