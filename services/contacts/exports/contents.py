"""What goes into the file: batch after batch, each with the position to go on from.

A batch of contacts is one consistent look at the database; two batches are two. They go down by id, from the newest
contact at the first look: every contact that was there then, and still is when its turn comes, is in the file once,
as it stands at its turn. What is added meanwhile is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from carillon.contacts.v1 import contacts_pb2
from chassis.db import Database, ReadTx
from services.contacts import repository as contacts
from services.contacts.exports import cells, documents
from services.contacts.exports.repository import Lease
from services.contacts.listing import pages
from services.contacts.listing.filters import Filter

BATCH_CONTACTS = 5_000

ReadFilter = Callable[[contacts_pb2.ListContactsRequest], Filter]


@dataclass(frozen=True, slots=True)
class Batch:
    data: bytes
    rows: int
    # Behind its last record.
    position: str


class Content(Protocol):
    # What comes before the first record.
    head: bytes

    async def after(self, position: str) -> Batch | None:
        """The next batch behind the position, empty for the first; None behind the last."""
        ...


class ContactPages:
    """Contacts of a filter, by id from the newest down."""

    def __init__(self, db: Database, lease: Lease, *, wanted: Filter, size: int) -> None:
        self._db = db
        self._account = lease.account
        self._wanted = wanted
        self._size = size

    async def query(self, tx: ReadTx, position: str) -> tuple[str, list[object]]:
        after = (UUID(position),) if position else None
        return await pages.selection(tx, self._account, self._wanted, after=after, limit=self._size)


class ContactsCsv(ContactPages):
    """COPY writes it: the rows never become objects here."""

    head = ",".join(cells.TITLES).encode() + b"\n"

    async def after(self, position: str) -> Batch | None:
        written = bytearray()

        async def keep(data: bytes) -> None:
            written.extend(data)

        async with self._db.read(self._account, snapshot=True) as tx:
            sql, args = await self.query(tx, position)
            last, rows = await bounds(tx, sql, args)
            if last is None:
                return None
            await tx.connection.copy_from_query(cells.query(sql), *args, output=keep, format="csv")
        return Batch(bytes(written), rows, str(last))


async def bounds(tx: ReadTx, sql: str, args: list[object]) -> tuple[UUID | None, int]:
    """The last contact of the page, and how many there are."""
    row = await tx.fetchrow(f"SELECT (array_agg(c.id ORDER BY c.id))[1], count(*) FROM ({sql}) AS c", *args)
    assert row is not None
    return row[0], row[1]


class ContactsJsonl(ContactPages):
    head = b""

    async def after(self, position: str) -> Batch | None:
        async with self._db.read(self._account) as tx:
            sql, args = await self.query(tx, position)
            rows = [contacts.contact(row) for row in await tx.fetch(sql, *args)]
        if not rows:
            return None
        return Batch(b"".join(map(documents.line, rows)), len(rows), str(rows[-1].id))


def open_content(db: Database, lease: Lease, *, read_filter: ReadFilter, batch_contacts: int) -> Content:
    wanted = read_filter(lease.request.contacts)
    if lease.format == "csv":
        return ContactsCsv(db, lease, wanted=wanted, size=batch_contacts)
    return ContactsJsonl(db, lease, wanted=wanted, size=batch_contacts)
