"""Reads a workbook through a child process, so that a hostile one harms nobody but itself.

The file is the child's standard input and the rows come through a pipe, a few at a time, as they are asked for.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import IO

from formats.layout import HEADER_WITHIN, MAX_COLUMNS, SAMPLE_RECORDS, Empty, Known, Layout, check_width, header_at
from formats.records import Broken, Record, Unreadable
from formats.xlsx import child

# Far above the child's limit of processor time: only for one that neither works nor dies.
FRAME_SECONDS = 900.0
FRAME_BYTES = 64 * 1024**2


class Misbehaved(Exception):
    """The child said what it never says: our fault, not the file's."""


async def inspect(file: IO[bytes], known: Known, *, sheet: str = "") -> Layout:
    """sheet: its name; else the first visible one with rows. Raises Empty, Unreadable."""
    name, rows = "", []
    arguments = ("inspect", sheet, str(MAX_COLUMNS + 1), str(SAMPLE_RECORDS + HEADER_WITHIN))
    async with aclosing(frames(file, arguments)) as answers:
        async for kind, content in answers:
            if kind == child.NAME:
                name = content.decode()
            else:
                rows = [(number, trimmed(cells)) for number, cells in child.unpacked(content)[0]]
    at = header_at([cells for _, cells in rows], known)
    if at + 1 >= len(rows):
        raise Empty
    number, titles = rows[at]
    check_width(titles)
    samples = tuple(tuple(cells[: len(titles)]) for _, cells in rows[at + 1 : at + SAMPLE_RECORDS])
    return Layout("utf-8", "", number - 1, tuple(titles), samples, kind="xlsx", sheet=name)


def trimmed(cells: list[str] | Broken) -> list[str]:
    return [] if isinstance(cells, Broken) else [cell.strip() for cell in cells]


async def rows(
    file: IO[bytes], *, sheet: str, width: int, behind: int = 0, size: int = 250
) -> AsyncGenerator[tuple[list[Record], float], None]:
    """The records behind that number, up to `size` at a time, each with how much of the sheet was read, 0 to 1.

    width: cells right of it are left out. A record's number is its row's in the sheet; blank rows are there, as empty
    lists, up to the last that is not blank. Raises Unreadable behind what could be read.
    """
    done = behind
    async with aclosing(frames(file, ("rows", sheet, str(width), str(behind)))) as answers:
        async for _, content in answers:
            records, read = child.unpacked(content)
            for some in without_gaps(records, behind=done, size=size):
                yield some, read
            done = records[-1][0]


def without_gaps(records: Sequence[Record], *, behind: int, size: int) -> Iterator[list[Record]]:
    some: list[Record] = []
    for record in records:
        for number in range(behind + 1, record[0]):
            some.append((number, []))
            if len(some) >= size:
                yield some
                some = []
        some.append(record)
        behind = record[0]
        if len(some) >= size:
            yield some
            some = []
    if some:
        yield some


async def frames(file: IO[bytes], arguments: Sequence[str]) -> AsyncGenerator[tuple[bytes, bytes], None]:
    """What the child has to say. Raises Empty, Unreadable, Misbehaved."""
    file.seek(0)
    command = (sys.executable, "-I", "-m", child.__name__, *arguments)
    # No environment: a child that was taken over finds no password in it.
    process = await asyncio.create_subprocess_exec(*command, stdin=file, stdout=PIPE, stderr=DEVNULL, env={})
    try:
        while True:
            kind, content = await frame(process)
            if kind == child.END:
                return
            if kind == child.EMPTY:
                raise Empty
            if kind == child.UNREADABLE:
                raise Unreadable(content.decode())
            yield kind, content
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def frame(process: Process) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(FRAME_SECONDS):
            head = await process.stdout.readexactly(5)
            size = int.from_bytes(head[1:], "big")
            if size > FRAME_BYTES:
                raise Misbehaved(f"a frame of {size} bytes")
            return head[:1], await process.stdout.readexactly(size)
    except asyncio.IncompleteReadError:
        raise died(await process.wait()) from None
    except TimeoutError:
        raise Unreadable("The workbook takes too long to read; save the sheet as CSV.") from None


def died(code: int) -> Exception:
    if code == -signal.SIGXCPU:
        return Unreadable("The workbook takes too long to read; save the sheet as CSV.")
    if code in (-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS):
        return Unreadable("The workbook takes too much memory; save the sheet as CSV.")
    return Misbehaved(f"ended with {code}")
