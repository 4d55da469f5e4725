"""How a stored file becomes a stream of records, by its kind."""

from collections.abc import AsyncGenerator, AsyncIterator

from formats import layout
from formats.layout import Layout, Scan
from formats.records import Record, Records
from services.contacts.imports.columns import known
from services.contacts.imports.plan import Plan

# Records that are handed on before other tasks of the process get their turn.
SLICE = 250
# Records with the bytes of the file that were read for them.
Slice = tuple[list[Record], int]


async def inspect(scan: Scan, stored: AsyncIterator[bytes]) -> Layout:
    """scan: saw the whole file. stored: its bytes again, for kinds that the head does not tell enough of.

    Raises Empty, Unreadable.
    """
    return layout.read_layout(scan, known)


async def records(plan: Plan, stored: AsyncIterator[bytes]) -> AsyncGenerator[Slice, None]:
    """Every record of the file, numbered from 1 without a gap. Raises Unreadable behind what could be read."""
    reader = Records(encoding=plan.encoding, delimiter=plan.delimiter)
    fed = 0
    async for data in stored:
        fed += len(data)
        reader.feed(data)
        while taken := reader.take(SLICE):
            yield taken, fed
    reader.feed(b"", final=True)
    while taken := reader.take(SLICE):
        yield taken, fed
