"""Who reads a file ahead gives way to who writes what was read, in one process.

A slice of rows is read in milliseconds, an answer of the database is there in tenths of one. Who writes a chunk asks it
several times before it can hand over the insert; where a slice was read each of these times, the database stood idle.
So rows are read while the database inserts others, and while there is nothing to write.
"""

import asyncio


class Way:
    def __init__(self) -> None:
        self._free = asyncio.Event()
        self._free.set()

    async def given(self) -> None:
        """For who reads, before each slice."""
        # All others have a turn in any case.
        await asyncio.sleep(0)
        await self._free.wait()

    def take(self) -> None:
        """For who writes: nothing is read until `leave`, which has to come."""
        self._free.clear()

    def leave(self) -> None:
        self._free.set()
