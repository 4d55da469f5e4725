"""Two lanes that share nothing but the database: nobody's edit waits behind an import."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

# The longest that the bulk lane gives way at a time, so that a busy live lane does not starve it.
BULK_PATIENCE_SECONDS = 0.1


class Lanes:
    """A live batch goes first: the bulk lane starts no transaction beside it."""

    def __init__(self) -> None:
        self._live_batches = 0
        self._no_live = asyncio.Event()
        self._no_live.set()

    @asynccontextmanager
    async def turn(self, *, bulk: bool) -> AsyncIterator[None]:
        if bulk:
            with suppress(TimeoutError):
                async with asyncio.timeout(BULK_PATIENCE_SECONDS):
                    await self._no_live.wait()
            yield
            return
        self._live_batches += 1
        self._no_live.clear()
        try:
            yield
        finally:
            self._live_batches -= 1
            if not self._live_batches:
                self._no_live.set()
