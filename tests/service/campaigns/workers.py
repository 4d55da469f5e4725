"""Worker processes of their own, to be killed and stopped, and where to hold them."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.campaigns.work.chunk import BATCH

# A process may take this long to start on a busy machine.
STARTED = 60


@asynccontextmanager
async def worker(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.campaigns", "work", env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Gate:
    """Holds calls at the provider."""

    def __init__(self, calls: int = BATCH) -> None:
        """calls: so many are waited for; a micro-batch as a rule."""
        self._calls = calls
        self.waiting = 0
        self.opened = asyncio.Event()

    async def hold(self, _: dict[str, Any]) -> None:
        self.waiting += 1
        await self.opened.wait()

    async def hold_before(self, message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        await self.hold(message)
        return 200, {}

    async def someone(self) -> bool:
        # All calls of a micro-batch at least.
        return self.waiting >= self._calls
