"""The rows of a file in batches, read ahead of who writes them."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from chassis.db import Database
from formats.records import Record, Unreadable
from services.contacts.imports import files, sources
from services.contacts.imports.chunk import Prepared
from services.contacts.imports.known import KnownRows
from services.contacts.imports.repository import Lease
from services.contacts.imports.rows import Read
from services.contacts.imports.way import Way

CHUNK_RECORDS = 5_000
# Bounds the memory of a chunk whose rows are large.
CHUNK_BYTES = 4 * 1024 * 1024
# Batches that wait to be written: while the database works, rows are read.
READ_AHEAD = 2

Made = TypeVar("Made")


@dataclass(slots=True)
class Taken:
    """Records taken out of the file."""

    records: list[Record]
    # Behind its last record.
    records_done: int
    bytes_done: int


@dataclass(slots=True)
class Batch:
    """Rows read, not yet written: one outcome a record."""

    outcomes: list[Read]
    records_done: int
    bytes_done: int
    # While new rows come.
    prepared: Prepared | None = None


def read_ahead(
    db: Database, lease: Lease, known: KnownRows, *, way: Way, chunk_records: int = CHUNK_RECORDS
) -> AsyncGenerator[Batch, None]:
    """From behind what the lease says is dealt with. Raises Unreadable behind the last row that could be read."""
    return ahead(batches(known, taken(db, lease, way, chunk_records)), READ_AHEAD)


async def batches(known: KnownRows, source: AsyncGenerator[Taken, None]) -> AsyncGenerator[Batch, None]:
    # While the database says which rows are known, others are taken out of the file, and others are read.
    async with aclosing(ahead(asked(known, source), 1)) as pieces:
        async for piece, there in pieces:
            outcomes = await known.read(piece.records, there)
            yield Batch(outcomes, piece.records_done, piece.bytes_done, await known.prepare(outcomes))


async def asked(
    known: KnownRows, source: AsyncGenerator[Taken, None]
) -> AsyncGenerator[tuple[Taken, list[bool]], None]:
    """With what `KnownRows.ask` says of each record."""
    # The database is asked for some phones while the next ones are spelt.
    async with aclosing(ahead(spelt(known, source), 1)) as pieces:
        async for piece, phones in pieces:
            yield piece, await known.ask(phones)


async def spelt(
    known: KnownRows, source: AsyncGenerator[Taken, None]
) -> AsyncGenerator[tuple[Taken, list[str | None]], None]:
    """With what `KnownRows.phones` says of the records."""
    async with aclosing(ahead(source, 1)) as pieces:
        async for piece in pieces:
            yield piece, await known.phones(piece.records)


async def taken(db: Database, lease: Lease, way: Way, size: int) -> AsyncGenerator[Taken, None]:
    """Raises Unreadable behind the last record that could be taken."""
    done = max(lease.records_done, lease.plan.skipped_records)
    fed = weighed = 0
    unread: list[Record] = []
    broken_off: Unreadable | None = None
    try:
        stored = files.read(db, lease.account, lease.file_id)
        async with aclosing(sources.records(lease.plan, stored, behind=done)) as slices:
            async for records, fed in slices:
                fresh = [record for record in records if record[0] > done]
                done += len(fresh)
                weighed += weight(fresh)
                unread += fresh
                if len(unread) >= size or weighed >= CHUNK_BYTES:
                    yield Taken(unread, done, fed)
                    unread, weighed = [], 0
                await way.given()
    except Unreadable as unreadable:
        broken_off = unreadable
    if unread:
        yield Taken(unread, done, fed)
    if broken_off is not None:
        raise broken_off


async def ahead(source: AsyncGenerator[Made, None], most: int) -> AsyncGenerator[Made, None]:
    """What the source yields, up to `most` of it made before it is asked for; then its error, if it has one."""
    made: asyncio.Queue[Made | Exception | None] = asyncio.Queue(most)

    async def make() -> None:
        async with aclosing(source):
            try:
                async for batch in source:
                    await made.put(batch)
            except Exception as error:
                await made.put(error)
            else:
                await made.put(None)

    making = asyncio.create_task(make())
    try:
        while (batch := await made.get()) is not None:
            if isinstance(batch, Exception):
                raise batch
            yield batch
    finally:
        making.cancel()
        await asyncio.wait([making])


def halves(batch: Batch) -> Sequence[Batch]:
    """The batch in two, so that each can be committed by itself; one record stays as it is. Nothing is prepared."""
    middle = len(batch.outcomes) // 2
    if not middle:
        return [replace(batch, prepared=None)]
    first = Batch(batch.outcomes[:middle], batch.records_done - (len(batch.outcomes) - middle), batch.bytes_done)
    return [first, Batch(batch.outcomes[middle:], batch.records_done, batch.bytes_done)]


def weight(records: Iterable[Record]) -> int:
    """The characters of their cells."""
    return sum(map(len, chain.from_iterable([cells for _, cells in records if isinstance(cells, list)])))
