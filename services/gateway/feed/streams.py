"""How many streams of events an account has open in this process: each asks the database twice a second."""

from collections import Counter
from collections.abc import AsyncIterator

from chassis.errors import Reason, ResourceExhausted
from chassis.ids import AccountId

MOST = 20


class Streams:
    def __init__(self) -> None:
        self._open: Counter[AccountId] = Counter()

    def counted(self, account: AccountId, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Raises ResourceExhausted(RATE_LIMITED)."""
        if self._open[account] >= MOST:
            raise ResourceExhausted(
                Reason.RATE_LIMITED, f"The account has {MOST} streams open already.", metadata={"retry_after": "5"}
            )
        return self._count(account, stream)

    async def _count(self, account: AccountId, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._open[account] += 1
        try:
            async for piece in stream:
                yield piece
        finally:
            self._open[account] -= 1
