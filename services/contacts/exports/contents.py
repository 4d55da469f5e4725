"""What goes into the file: batch after batch, each with the position to go on from.

A batch of contacts is one consistent look at the database; two batches are two. Those of a filter go down by id, from
the newest contact at the first look: every contact that was there then, and still is when its turn comes, is in the
file once, as it stands at its turn. What is added meanwhile is not.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from carillon.contacts.v1 import contacts_pb2
from chassis.db import Database, ReadTx
from chassis.ids import AccountId
from services.contacts import repository as contacts
from services.contacts.convert import CHANNEL_NAMES
from services.contacts.domain.contact import Contact
from services.contacts.exports import cards, cells, documents
from services.contacts.exports.batch import Batch, Content, Flowing, Sheet
from services.contacts.exports.peers import Campaigns, Segments
from services.contacts.exports.recipients import open_recipients
from services.contacts.exports.repository import Lease
from services.contacts.exports.sources import Filtered, Members, Selection, Source
from services.contacts.listing.filters import ANY, Filter

BATCH_CONTACTS = 5_000
# Contacts that are written before other tasks of the process get their turn.
SLICE = 250

ReadFilter = Callable[[contacts_pb2.ListContactsRequest], Filter]


class Contents:
    def __init__(
        self,
        db: Database,
        *,
        read_filter: ReadFilter,
        segments: Segments,
        campaigns: Campaigns,
        batch_contacts: int = BATCH_CONTACTS,
    ) -> None:
        self._db = db
        self._read_filter = read_filter
        self._segments = segments
        self._campaigns = campaigns
        self._batch_contacts = batch_contacts

    def open(self, lease: Lease) -> Content:
        if lease.resource == "recipients":
            return open_recipients(lease, self._campaigns)
        source = self._source(lease)
        columns = cells.WITH_OPTOUTS if lease.resource == "optouts" else cells.CELLS
        if lease.format == "csv":
            return Csv(self._db, lease.account, source, columns)
        if lease.format == "xlsx":
            return Xlsx(self._db, lease.account, source, columns)
        return Lines(self._db, lease.account, source, documents.line if lease.format == "jsonl" else cards.card)

    def _source(self, lease: Lease) -> Source:
        request = lease.request
        if lease.resource == "segment_members":
            return Members(lease.account, self._segments, segment_id=request.segment_id)
        wanted = self._read_filter(request.contacts)
        if lease.resource == "optouts":
            wanted = replace(wanted, opted_out=CHANNEL_NAMES.get(request.channel, ANY))
        return Filtered(lease.account, wanted, size=self._batch_contacts)


class ContactBatches:
    """Contacts of a source, each batch read in one transaction."""

    def __init__(self, db: Database, account: AccountId, source: Source) -> None:
        self._db = db
        self._account = account
        self._source = source

    async def after(self, position: str) -> Batch | None:
        await self._source.reach(position)
        async with self._db.read(self._account, snapshot=True) as tx:
            chosen = await self._source.select(tx, position)
            if chosen is None:
                return None
            behind = chosen.position or await last_of(tx, chosen)
            if behind is None:
                return None
            data, rows = await self.write(tx, chosen)
        return Batch(data, rows, behind)

    async def write(self, tx: ReadTx, chosen: Selection) -> tuple[bytes, int]:
        """What the file has of it, and how many records."""
        raise NotImplementedError


async def last_of(tx: ReadTx, chosen: Selection) -> str | None:
    """The lowest id; None where nothing was chosen."""
    sql = f"SELECT c.id FROM ({chosen.sql}) AS c ORDER BY c.id LIMIT 1"
    last = await tx.fetchval(sql, *chosen.args)
    return None if last is None else str(last)


class Csv(Flowing, ContactBatches):
    """COPY writes it: the rows never become objects here."""

    def __init__(self, db: Database, account: AccountId, source: Source, columns: Mapping[str, str]) -> None:
        super().__init__(db, account, source)
        self.head = ",".join(columns).encode() + b"\n"
        self._columns = columns

    async def write(self, tx: ReadTx, chosen: Selection) -> tuple[bytes, int]:
        written = bytearray()

        async def keep(data: bytes) -> None:
            written.extend(data)

        status = await tx.connection.copy_from_query(
            cells.query(chosen.sql, self._columns), *chosen.args, output=keep, format="csv"
        )
        return bytes(written), int(status.removeprefix("COPY "))


class Lines(Flowing, ContactBatches):
    """A contact after the other, each by itself."""

    head = b""

    def __init__(self, db: Database, account: AccountId, source: Source, line: Callable[[Contact], bytes]) -> None:
        super().__init__(db, account, source)
        self._line = line

    async def write(self, tx: ReadTx, chosen: Selection) -> tuple[bytes, int]:
        rows = await tx.fetch(chosen.sql, *chosen.args)
        written = bytearray()
        for at in range(0, len(rows), SLICE):
            written += b"".join([self._line(contacts.contact(row)) for row in rows[at : at + SLICE]])
            await asyncio.sleep(0)
        return bytes(written), len(rows)


class Xlsx(Sheet, ContactBatches):
    def __init__(self, db: Database, account: AccountId, source: Source, columns: Mapping[str, str]) -> None:
        Sheet.__init__(self, tuple(columns))
        self._columns = columns
        ContactBatches.__init__(self, db, account, source)

    async def write(self, tx: ReadTx, chosen: Selection) -> tuple[bytes, int]:
        """Raises Full."""
        rows = await tx.fetch(cells.query(chosen.sql, self._columns), *chosen.args)
        await self.add([tuple(row) for row in rows])
        return b"", len(rows)
