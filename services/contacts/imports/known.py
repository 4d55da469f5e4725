"""Rows whose contact is there already, told apart before they are read in full: what an unchanged file mostly holds.

For files that leave such contacts as they are and name contacts by phone, not by external id, which could point at
another contact. It costs a look-up, so it is asked only while most rows of the file turn out to be duplicates, from the
first row on where its bytes were imported before; while hardly any do, the look-up before the insert is left out as
well. A contact that is deleted between the look-up and the commit was there when its row was looked at.
"""

from collections.abc import Sequence

from chassis.db import Database
from formats.records import Record
from services.contacts.imports import chunk, staging
from services.contacts.imports.chunk import Prepared
from services.contacts.imports.repository import Lease
from services.contacts.imports.resolve import Outcome
from services.contacts.imports.rows import Read, RowReader
from services.contacts.imports.way import Way

# Of the rows of the chunk before.
WORTH_ASKING = 0.5
MOSTLY_NEW = 0.05
SLICE = 500


class KnownRows:
    def __init__(self, db: Database, lease: Lease, reader: RowReader, way: Way) -> None:
        self._db = db
        self._way = way
        self._lease = lease
        self._reader = reader
        self._possible = not lease.plan.writes_present and reader.by_phone_alone
        self._one_key = not lease.plan.writes_present and reader.has_one_key
        self._asking = self._possible and lease.again
        # Of the next chunk, by the last: see chunk.commit.
        self.mostly_new = False

    def learn(self, outcome: Outcome) -> None:
        """outcome: of the chunk that was committed last."""
        rows = outcome.imported_rows + outcome.duplicate_rows
        self._asking = self._possible and outcome.duplicate_rows > WORTH_ASKING * rows
        self.mostly_new = self._one_key and outcome.duplicate_rows <= MOSTLY_NEW * rows

    async def phones(self, records: Sequence[Record]) -> list[str | None]:
        """Of each record, by which it is asked for; none where it is not."""
        phones: list[str | None] = []
        if not self._asking:
            return phones
        for start in range(0, len(records), SLICE):
            await self._way.given()
            phones += self._reader.phones_of(records[start : start + SLICE])
        return phones

    async def ask(self, phones: Sequence[str | None]) -> list[bool]:
        """Of each record, whether its contact is known to be there. phones: of `phones`."""
        if not phones:
            return []
        async with self._db.across() as tx:
            free = await staging.free_phones(tx, self._lease.account, [phone for phone in phones if phone is not None])
        return [phone is not None and phone not in free for phone in phones]

    async def read(self, records: Sequence[Record], known: Sequence[bool]) -> list[Read]:
        """One outcome a record, as the reader's. known: as `ask` answered."""
        outcomes: list[Read] = []
        for start in range(0, len(records), SLICE):
            await self._way.given()
            outcomes += self._reader.read_all(records[start : start + SLICE], known[start : start + SLICE])
        return outcomes

    async def prepare(self, outcomes: Sequence[Read]) -> Prepared | None:
        """What is to be done with them, where hardly any is a duplicate so far. outcomes: of `read`."""
        if not self.mostly_new:
            return None
        return await chunk.prepare(self._lease, self._reader, outcomes, way=self._way)
