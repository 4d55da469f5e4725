"""Rows that are inserted each by a call of its own, with its event, and its answer under its Idempotency-Key.

Calls that come while others of their account are under way are written by the next statement, together: in one, a row
costs the database half of what it costs by itself (docs/adr/0026). None of them is worse off for it. What fails for
one in the database, or waits for a lock longer than PATIENCE, fails for all, and then each goes on by itself. Where the
database cannot be reached none does: it may have been committed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from google.protobuf.message import Message

from chassis import idempotency, outbox
from chassis.call import Call, Idempotency
from chassis.db import Database
from chassis.group_commit import GroupCommit, Metrics
from chassis.ids import AccountId
from chassis.telemetry import current_traceparent

# For a lock that somebody else holds, an import of the same contacts say.
PATIENCE = "50ms"
FOREVER = "0"


@dataclass(frozen=True, slots=True)
class Insertion:
    """In the order of alone.GIVEN."""

    asked: Idempotency | None
    response: bytes
    event: tuple[object, ...]
    id: UUID
    body: str

    def values(self) -> tuple[object, ...]:
        key = (None, None, None) if self.asked is None else (self.asked.key, self.asked.method, self.asked.fingerprint)
        return (*key, self.response, *self.event, self.id, self.body)


class Insertions:
    """Of one kind of row."""

    def __init__(self, db: Database, rows: str, metrics: Metrics) -> None:
        """rows: made by alone.inserting."""
        self._db = db
        self._rows = rows
        self._groups: GroupCommit[Insertion, asyncpg.Record | None] = GroupCommit(metrics, self._together)

    async def insert(self, call: Call, row_id: UUID, body: bytes, *, event: outbox.Event, response: Message) -> bool:
        """body: the row in JSON, as the statement reads it. response: kept where the row was inserted. False where it
        was not, because another row has what must be unique; nothing is written then.

        Raises what Database.write raises, and ResourceExhausted(OVERLOADED) where too many wait.
        """
        told = outbox.values(event, current_traceparent())
        one = Insertion(call.idempotency, response.SerializeToString(), told, row_id, body.decode())
        row = await self._groups.add(call.account, one, size=len(one.body) + len(one.response) + len(event.data))
        if row is None:
            row = await self._by_itself(call.account, one)
        if call.idempotency is not None:
            idempotency.check(call, row)
        return bool(row["added"])

    async def _together(self, account: AccountId, group: Sequence[Insertion]) -> list[asyncpg.Record | None]:
        """None for those that have to go by themselves: the second with a key, or all where one failed."""
        first: dict[str | UUID, Insertion] = {}
        for one in group:
            first.setdefault(one.id if one.asked is None else one.asked.key, one)
        together = list(first.values())
        try:
            rows = await self._write(account, together, patience=PATIENCE)
        except asyncpg.PostgresError:
            return [None] * len(group)
        found = dict(zip((one.id for one in together), rows, strict=True))
        return [found.get(one.id) for one in group]

    async def _by_itself(self, account: AccountId, one: Insertion) -> asyncpg.Record:
        try:
            (row,) = await self._write(account, [one], patience=FOREVER)
        except asyncpg.UniqueViolationError as error:
            if error.table_name == idempotency.TABLE:
                raise idempotency.in_progress() from error
            raise
        return row

    async def _write(self, account: AccountId, together: Sequence[Insertion], *, patience: str) -> list[asyncpg.Record]:
        columns = zip(*(one.values() for one in together), strict=True)
        return await self._db.insert(self._rows, account, patience, *map(list, columns))
