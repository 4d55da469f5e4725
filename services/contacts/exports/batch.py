"""What every content of a file has, whatever it is of."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.contacts.exports.workbook import Workbook

PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    data: bytes
    rows: int
    # Behind its last record.
    position: str


class Content(Protocol):
    # What comes before the first record.
    head: bytes
    # False where a file that was begun cannot be gone on with, but is made anew.
    resumable: bool

    async def after(self, position: str) -> Batch | None:
        """The next batch behind the position, empty for the first; None behind the last."""
        ...

    def rest(self) -> AsyncIterator[bytes]:
        """What comes behind the last record."""
        ...

    async def drop(self) -> None:
        """It is not needed any more."""
        ...


class Flowing:
    """A file that is written from its beginning to its end."""

    resumable = True

    async def rest(self) -> AsyncIterator[bytes]:
        nothing: tuple[bytes, ...] = ()
        for data in nothing:
            yield data

    async def drop(self) -> None:
        """Nothing is held."""


class Sheet:
    """A workbook, which is packed at its end: until then its rows lie on this machine's disk."""

    head = b""
    resumable = False

    def __init__(self, titles: Sequence[str]) -> None:
        self._book = Workbook(titles)

    async def add(self, rows: Sequence[Sequence[str | None]]) -> None:
        """Raises Full."""
        await asyncio.to_thread(self._book.add, rows)

    async def rest(self) -> AsyncIterator[bytes]:
        pieces = self._book.finished(PIECE_BYTES)
        while (data := await asyncio.to_thread(next, pieces, None)) is not None:
            yield data

    async def drop(self) -> None:
        await asyncio.to_thread(self._book.drop)
