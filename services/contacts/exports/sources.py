"""Which contacts an export is of: batch after batch, each as a statement that selects them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from chassis.db import ReadTx
from chassis.ids import AccountId
from services.contacts.arguments import Arguments
from services.contacts.exports.peers import Segments
from services.contacts.listing import pages
from services.contacts.listing.filters import Filter


@dataclass(frozen=True, slots=True)
class Selection:
    """Columns of contacts, as repository.SELECTED. position: behind it, where it is known before it is read."""

    sql: str
    args: list[object]
    position: str | None = None


class Source(Protocol):
    async def reach(self, position: str) -> None:
        """What needs another service, before a transaction is begun."""
        ...

    async def select(self, tx: ReadTx, position: str) -> Selection | None:
        """The next batch behind the position, empty for the first; None behind the last."""
        ...


class Filtered:
    """By id from the newest down, as the list of contacts has them."""

    def __init__(self, account: AccountId, wanted: Filter, *, size: int) -> None:
        self._account = account
        self._wanted = wanted
        self._size = size

    async def reach(self, position: str) -> None:
        """All is here."""

    async def select(self, tx: ReadTx, position: str) -> Selection:
        after = (UUID(position),) if position else None
        sql, args = await pages.selection(tx, self._account, self._wanted, after=after, limit=self._size)
        return Selection(sql, args)


class Members:
    """Of a segment, by id from the oldest up, as they were when the stream began. Those deleted since are left out."""

    def __init__(self, account: AccountId, segments: Segments, *, segment_id: str) -> None:
        self._account = account
        self._segments = segments
        self._segment_id = segment_id
        self._stream: AsyncGenerator[list[UUID]] | None = None
        self._found: list[UUID] = []

    async def reach(self, position: str) -> None:
        if self._stream is None:
            after = UUID(position) if position else None
            self._stream = self._segments.members(self._account, self._segment_id, after=after)
        self._found = await anext(self._stream, [])

    async def select(self, tx: ReadTx, position: str) -> Selection | None:
        if not self._found:
            return None
        args = Arguments([self._account, self._found])
        return Selection(pages.BY_IDS, args, str(self._found[-1]))
