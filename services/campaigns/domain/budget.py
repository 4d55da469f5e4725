"""A rate as a budget that all replicas draw from: GCRA, granted in blocks of a tenth of a second."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

BLOCK = timedelta(seconds=0.1)


@dataclass(frozen=True, slots=True)
class Budget:
    # A second; 0: unlimited.
    rate: int
    # When the permits granted so far will have been used up.
    used_until: datetime
    # A provider asked for a pause until then.
    blocked_until: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """Permits to send now, or (0) for how long to wait before asking again."""

    permits: int
    wait: float
    # The new used_until of each budget.
    used_until: tuple[datetime, ...] = ()


def draw(budgets: Sequence[Budget], wanted: int, now: datetime) -> Grant:
    """Draw on all budgets at once or on none. Never more than a block is granted ahead of time."""
    wait = max((waiting(budget, now) for budget in budgets), default=timedelta())
    if wait > timedelta():
        return Grant(0, wait.total_seconds())
    permits = min([wanted, *(block(budget) for budget in budgets if budget.rate)])
    return Grant(permits, 0.0, tuple(spent(budget, permits, now) for budget in budgets))


def waiting(budget: Budget, now: datetime) -> timedelta:
    blocked = budget.blocked_until - now
    ahead = budget.used_until - now - BLOCK if budget.rate else timedelta()
    return max(blocked, ahead)


def block(budget: Budget) -> int:
    return max(1, int(budget.rate * BLOCK.total_seconds()))


def spent(budget: Budget, permits: int, now: datetime) -> datetime:
    if not budget.rate:
        return budget.used_until
    # Time in which nothing was sent is not saved up.
    return max(budget.used_until, now) + timedelta(seconds=permits / budget.rate)
