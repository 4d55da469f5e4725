"""What a key may still ask for: a budget of so many requests a second, granted in blocks to whoever asks first.

The budget of a second may be spent at once. What follows is spread evenly, so that over any longer time no more than
the rate is granted, however hard the client tries: a bucket that is full at first and begins to fill up only when the
second is over that its first load was meant for.
"""

import math
from dataclasses import dataclass

# Whoever was this far below the rate may spend a whole second's budget at once again.
IDLE_SECONDS = 0.5
# Of sums of fractions of a second.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Budget:
    """Times in seconds of one clock, whichever."""

    # When the bucket was full last.
    since: float
    # Up to when what was granted is paid for.
    spent_until: float


@dataclass(frozen=True, slots=True)
class Grant:
    budget: Budget
    # Of those wanted; may be none.
    granted: int
    # What could be granted to the next who asks now.
    left: int
    # Seconds until one more can be granted; 0 where something was.
    wait: float


def fresh(now: float) -> Budget:
    return Budget(since=now, spent_until=now)


def grant(budget: Budget, *, now: float, per_second: int, wanted: int) -> Grant:
    """Up to `wanted` requests out of the budget."""
    if now - budget.spent_until >= IDLE_SECONDS:
        budget = fresh(now)
    until = max(now, budget.since + 1.0)
    there = max(0, math.floor((until - budget.spent_until) * per_second + ROUNDING))
    granted = min(wanted, there)
    paid = Budget(since=budget.since, spent_until=budget.spent_until + granted / per_second)
    wait = 0.0 if granted else max(0.0, budget.spent_until + 1.0 / per_second - now)
    return Grant(paid, granted, there - granted, wait)
