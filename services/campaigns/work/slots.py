"""Places that are shared fairly: whoever has waited with the fewest turns is next, by account and then by campaign.

An account with a thousand campaigns, or a campaign with a million recipients, takes no more of them than any other that
wants some.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

Waiting = deque[asyncio.Future[None]]


class Closed(Exception):
    """Nobody gets a place any more."""


class Slots:
    def __init__(self, count: int) -> None:
        self._free = count
        # In the order in which they are served; who was served goes to the end.
        self._accounts: OrderedDict[UUID, OrderedDict[UUID, Waiting]] = OrderedDict()
        self._closed = False

    @property
    def idle(self) -> bool:
        """Nobody waits."""
        return not self._accounts

    def close(self) -> None:
        """Turn away those who wait, and whoever comes; those who have a place keep it."""
        self._closed = True
        for campaigns in self._accounts.values():
            for waiting in campaigns.values():
                for turn in waiting:
                    if not turn.done():
                        turn.set_exception(Closed())
        self._accounts.clear()

    @asynccontextmanager
    async def place(self, account: UUID, campaign: UUID) -> AsyncIterator[None]:
        """Raises Closed."""
        await self._wait(account, campaign)
        try:
            yield
        finally:
            self._free += 1
            self._serve()

    async def _wait(self, account: UUID, campaign: UUID) -> None:
        if self._closed:
            raise Closed
        turn = asyncio.get_running_loop().create_future()
        self._accounts.setdefault(account, OrderedDict()).setdefault(campaign, deque()).append(turn)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            # Served and cancelled at once: the place goes to the next.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._free += 1
                self._serve()
            raise

    def _serve(self) -> None:
        while self._free > 0 and self._accounts:
            turn = self._next()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)

    def _next(self) -> asyncio.Future[None]:
        account, campaigns = next(iter(self._accounts.items()))
        campaign, waiting = next(iter(campaigns.items()))
        turn = waiting.popleft()
        campaigns.move_to_end(campaign)
        if not waiting:
            del campaigns[campaign]
        self._accounts.move_to_end(account)
        if not campaigns:
            del self._accounts[account]
        return turn
