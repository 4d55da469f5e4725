"""Rate limits: one budget a key, shared by all replicas through the database.

A replica takes a block of requests out of the key's budget (domain.budget) and hands it out by itself; what is left of
a block after a second is void. A block is as large as what the key is likely to use in a tenth of a second, so that
little is void and the database is asked some ten times a second at most. Nothing is ever granted twice, so the replicas
together never exceed the budget; only while the database cannot be asked does each replica grant a budget by itself,
because to refuse everybody would be worse.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from chassis.errors import CarillonError, Reason, ResourceExhausted
from services.gateway.auth import Principal
from services.gateway.domain import budget
from services.gateway.domain.budget import Budget, Grant

log = structlog.get_logger()

BLOCK_SECONDS = 1.0
# How much of the expected use a block is for, and the bounds of a block as parts of a second's budget.
AHEAD_SECONDS = 0.1
SMALLEST_PART, LARGEST_PART = 100, 10
# After an empty budget nobody asks again for so long.
REST_SECONDS = 0.05
CACHE_SIZE = 10_000

# Takes so many requests out of a key's budget, at a rate per second. Raises chassis errors.
Take = Callable[[Principal, int, int], Awaitable[Grant]]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is told of a budget in the headers of an answer."""

    per_second: int
    left: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers)."""
        return [
            (b"ratelimit-policy", b'"default";q=%d;w=1' % self.per_second),
            (b"ratelimit", b'"default";r=%d;t=1' % self.left),
        ]


@dataclass(slots=True)
class Share:
    """What this replica holds of one key's budget."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    tokens: int = 0
    left: int = 0
    void_at: float = 0.0
    refused_until: float = 0.0
    # Requests since the budget was last asked, to guess how many come.
    seen: int = 0
    asked_at: float = 0.0
    # Where the database cannot be asked.
    own: Budget | None = None


class RateLimiter:
    def __init__(self, take: Take, *, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        """per_second: of keys that have no rate of their own."""
        self._take = take
        self._per_second = per_second
        self._clock = clock
        self._shares: dict[str, Share] = {}

    def standing(self, principal: Principal) -> Standing:
        rate = principal.rate_limit or self._per_second
        share = self._shares.get(principal.key_id)
        return Standing(rate, share.tokens + share.left if share is not None else rate)

    async def spend(self, principal: Principal) -> None:
        """One request of the key. Raises ResourceExhausted(RATE_LIMITED)."""
        share = self._share(principal.key_id)
        share.seen += 1
        if self._spent(share):
            return
        # One asks, and the others wait for what it gets.
        async with share.lock:
            while not self._spent(share):
                await self._ask(principal, share)

    def _share(self, key_id: str) -> Share:
        share = self._shares.get(key_id)
        if share is None:
            if len(self._shares) >= CACHE_SIZE:
                self._shares.clear()
            share = self._shares[key_id] = Share()
        return share

    def _spent(self, share: Share) -> bool:
        """Whether there was one to spend; False where the budget is to be asked. Raises ResourceExhausted."""
        now = self._clock()
        if share.tokens > 0 and now < share.void_at:
            share.tokens -= 1
            return True
        if now < share.refused_until:
            raise limited()
        return False

    async def _ask(self, principal: Principal, share: Share) -> None:
        rate = principal.rate_limit or self._per_second
        began = self._clock()
        wanted = block(rate, seen=share.seen, seconds=began - share.asked_at)
        share.seen, share.asked_at = 0, began
        try:
            got = await self._take(principal, rate, wanted)
            share.own = None
        except CarillonError as error:
            log.warning("limits.not_shared", error=type(error).__name__)
            got = budget.grant(share.own or budget.fresh(began), now=began, per_second=rate, wanted=wanted)
            share.own = got.budget
        share.tokens, share.left = got.granted, got.left
        share.void_at = began + BLOCK_SECONDS
        if not got.granted:
            share.refused_until = self._clock() + max(got.wait, REST_SECONDS)


def block(rate: int, *, seen: int, seconds: float) -> int:
    """How many to ask for at once, after so many requests in so many seconds."""
    expected = math.ceil(seen / max(seconds, AHEAD_SECONDS) * AHEAD_SECONDS)
    return max(1, rate // SMALLEST_PART, min(expected, rate // LARGEST_PART))


def limited() -> ResourceExhausted:
    return ResourceExhausted(
        Reason.RATE_LIMITED,
        "The API key has used up its requests of this second; RateLimit-Policy says how many it has.",
        # The header has whole seconds, and a second's budget is whole again after one.
        metadata={"retry_after": "1"},
    )
