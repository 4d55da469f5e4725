"""Places that are shared fairly: next is whoever had the last turn longest ago, by account and then by campaign.

An account with a thousand campaigns, or a campaign with a million recipients, takes no more of them than any other that
wants some. Whoever wants several at once has them all or none, and those behind wait until they are free.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

# What is done once there are so many places for it.
Waiting = deque[tuple[asyncio.Future[None], int]]

# Accounts and campaigns whose last turn is remembered.
MOST_REMEMBERED = 10_000


class Closed(Exception):
    """Nobody gets a place any more."""


class Slots:
    def __init__(self, count: int) -> None:
        self._count = self._free = count
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
                for turn, _ in waiting:
                    if not turn.done():
                        turn.set_exception(Closed())
        self._accounts.clear()

    @asynccontextmanager
    async def place(self, account: UUID, campaign: UUID) -> AsyncIterator[None]:
        """Raises Closed."""
        await self.take(account, campaign)
        try:
            yield
        finally:
            self.give()

    async def take(self, account: UUID, campaign: UUID, places: int = 1) -> None:
        """To be given back. places: no more than there are. Raises Closed."""
        assert 0 < places <= self._count
        if self._closed:
            raise Closed
        turn = asyncio.get_running_loop().create_future()
        self._accounts.setdefault(account, {}).setdefault(campaign, deque()).append((turn, places))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            # Served and cancelled at once: the places go to the next.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give(places)
            raise

    def give(self, places: int = 1) -> None:
        self._free += places
        self._serve()

    def _serve(self) -> None:
        while self._accounts:
            account = min(self._accounts, key=self._last_turn)
            campaign = min(self._accounts[account], key=self._last_turn)
            turn, places = self._accounts[account][campaign][0]
            if not turn.done():
                if places > self._free:
                    return
                self._free -= places
                turn.set_result(None)
            self._pass(account, campaign)

    def _pass(self, account: UUID, campaign: UUID) -> None:
        """It has had its turn."""
        if len(self._turns) > MOST_REMEMBERED:
            self._turns.clear()
        self._turn += 1
        self._turns[account] = self._turns[campaign] = self._turn
        campaigns = self._accounts[account]
        campaigns[campaign].popleft()
        if not campaigns[campaign]:
            del campaigns[campaign]
        if not campaigns:
            del self._accounts[account]

    def _last_turn(self, who: UUID) -> int:
        return self._turns.get(who, 0)
