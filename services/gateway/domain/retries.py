"""When a delivery that failed is tried again, and how an endpoint that fails is spared."""

from datetime import timedelta

# After each attempt that failed, before the next. Ten attempts in about 56 hours; docs/webhooks.md has the table.
DELAYS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=24),
)
MAX_ATTEMPTS = len(DELAYS) + 1
# Each delay is drawn from this part below to this part above it, so that what failed together does not return together.
JITTER = 0.1
# So many attempts that fail one after another, whatever they carry, and the endpoint itself is taken to be down.
DOWN_AFTER = 5
# An endpoint that is down is asked with one delivery at a time, at these intervals.
PROBES = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 30, 60, 120, 300))
# A Retry-After is obeyed up to here.
LONGEST_WAIT = timedelta(hours=24)


def next_delay(attempts: int, *, drawn: float, asked: timedelta | None = None) -> timedelta | None:
    """attempts: made so far, from 1. drawn: 0 to 1, the jitter's. asked: the endpoint's Retry-After.

    None where that was the last.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    delay = DELAYS[attempts - 1] * (1 - JITTER + 2 * JITTER * drawn)
    return delay if asked is None else max(delay, min(asked, LONGEST_WAIT))


def is_down(failures: int) -> bool:
    """failures: attempts that failed since the last that did not."""
    return failures >= DOWN_AFTER


def probe_delay(failures: int) -> timedelta:
    """Before an endpoint that is down is asked again."""
    return PROBES[min(max(failures - DOWN_AFTER, 0), len(PROBES) - 1)]
