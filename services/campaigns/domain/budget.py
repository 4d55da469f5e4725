"""A rate as a budget that all replicas draw from: GCRA, granted in blocks of a tenth of a second.

Whoever is asked by the provider to wait goes on more slowly than before, and faster again by and by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

BLOCK = timedelta(seconds=0.1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How a pace that the provider found too high comes back: so much more with each second.
GROWTH = 1.1
SLOWEST = 1.0
# From here on an unlimited budget is unlimited again.
FASTEST = 10_000.0
# Answers of one moment are one word of the provider's.
SLOWED_AGAIN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Budget:
    # A second; 0: unlimited.
    rate: int
    # When the permits granted so far will have been used up.
    used_until: datetime
    # A provider asked for a pause until then.
    blocked_until: datetime
    # The pace, a second, that was set when the provider last asked, and when that was. 0: it never did.
    slowed_to: float = 0.0
    slowed_at: datetime = EPOCH


@dataclass(frozen=True, slots=True)
class Grant:
    """Permits to send now, or (0) for how long to wait before asking again."""

    permits: int
    wait: float
    # The new used_until of each budget.
    used_until: tuple[datetime, ...] = ()
    # Which of the budgets has to be waited for.
    waits_for: int = 0


def draw(budgets: Sequence[Budget], wanted: int, now: datetime) -> Grant:
    """Draw on all budgets at once or on none. Never more than a block is granted ahead of time."""
    waits = [waiting(budget, now) for budget in budgets]
    longest = max(range(len(waits)), key=waits.__getitem__, default=0)
    if waits and waits[longest] > timedelta():
        return Grant(0, waits[longest].total_seconds(), waits_for=longest)
    limits = [pace for budget in budgets if (pace := pace_of(budget, now))]
    permits = min([wanted, *map(block, limits)])
    return Grant(permits, 0.0, tuple(spent(budget, permits, now) for budget in budgets))


def pace_of(budget: Budget, now: datetime) -> float:
    """Messages a second; 0: unlimited."""
    if not budget.slowed_to:
        return budget.rate
    top = budget.rate or FASTEST
    # So many seconds bring any pace back; more would be too large a number.
    seconds = min(max((now - budget.slowed_at).total_seconds(), 0.0), 100.0)
    pace = budget.slowed_to * GROWTH**seconds
    return budget.rate if pace >= top else pace


def slowed(budget: Budget, now: datetime, *, attempted: float, share: float) -> float | None:
    """The pace after the provider asked for a pause; None: it was set a moment ago.

    attempted: messages a second of late, which count where nothing limits them. share: of the answers that asked.
    """
    if now - budget.slowed_at < SLOWED_AGAIN:
        return None
    # By half when all are turned away. Few of many are no reason to crawl: so the pace settles at what is taken.
    return max((pace_of(budget, now) or attempted) * (1 - share / 2), SLOWEST)


def waiting(budget: Budget, now: datetime) -> timedelta:
    blocked = budget.blocked_until - now
    ahead = budget.used_until - now - BLOCK if pace_of(budget, now) else timedelta()
    return max(blocked, ahead)


def block(pace: float) -> int:
    return max(1, int(pace * BLOCK.total_seconds()))


def spent(budget: Budget, permits: int, now: datetime) -> datetime:
    pace = pace_of(budget, now)
    if not pace:
        return budget.used_until
    # Time in which nothing was sent is not saved up.
    return max(budget.used_until, now) + timedelta(seconds=permits / pace)
