"""Places that are shared fairly: next is whoever had the last turn longest ago, by account and then by campaign.

An account with a thousand campaigns, or a campaign with a million recipients, takes no more of them than any other that
wants some.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

Waiting = deque[asyncio.Future[None]]

# Accounts and campaigns whose last turn is remembered.
MOST_REMEMBERED = 10_000


class Closed(Exception):
    """Nobody gets a place any more."""


class Slots:
    def __init__(self, count: int) -> None:
        self._free = count
        self._accounts: dict[UUID, dict[UUID, Waiting]] = {}
        # The number of the last turn of accounts and campaigns, also of those that do not wait now.
        self._turns: dict[UUID, int] = {}
        self._turn = 0
        self._closed = False

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
        self._accounts.setdefault(account, {}).setdefault(campaign, deque()).append(turn)
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
        account = min(self._accounts, key=self._last_turn)
        campaigns = self._accounts[account]
        campaign = min(campaigns, key=self._last_turn)
        if len(self._turns) > MOST_REMEMBERED:
            self._turns.clear()
        self._turn += 1
        self._turns[account] = self._turns[campaign] = self._turn
        waiting = campaigns[campaign]
        turn = waiting.popleft()
        if not waiting:
            del campaigns[campaign]
        if not campaigns:
            del self._accounts[account]
        return turn

    def _last_turn(self, who: UUID) -> int:
        return self._turns.get(who, 0)
