"""One rate for all replicas: never more than it allows, and all of it when there is work."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.campaigns.domain.budget import BLOCK, Budget, draw

START = datetime(2026, 3, 1, tzinfo=UTC)
EARLIER = START - timedelta(days=1)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@given(
    st.integers(1, 2000),
    st.lists(st.tuples(st.floats(0, 0.3), st.integers(1, 50)), min_size=1, max_size=60),
)
def test_a_rate_is_never_exceeded(rate: int, asks: list[tuple[float, int]]) -> None:
    now, used, granted = 0.0, EARLIER, 0
    for pause, wanted in asks:
        now += pause
        grant = draw([Budget(rate, used, EARLIER)], wanted, after(now))
        assert 0 <= grant.permits <= wanted
        granted += grant.permits
        if grant.permits:
            (used,) = grant.used_until
        # A block ahead, and the block that was granted last.
        assert granted <= rate * (now + 2 * BLOCK.total_seconds()) + 1


@given(st.integers(1, 2000))
def test_who_waits_as_told_gets_the_whole_rate(rate: int) -> None:
    now, used, granted = 0.0, EARLIER, 0
    while now < 5:
        grant = draw([Budget(rate, used, EARLIER)], 50, after(now))
        granted += grant.permits
        if grant.permits:
            (used,) = grant.used_until
        now += grant.wait or 0.001
    assert granted >= min(rate, 50_000) * 5 * 0.95 - 1


def test_unlimited_is_granted_whole() -> None:
    grant = draw([Budget(0, EARLIER, EARLIER), Budget(0, EARLIER, EARLIER)], 50, START)
    assert (grant.permits, grant.used_until) == (50, (EARLIER, EARLIER))


def test_the_lowest_of_two_rates_holds() -> None:
    assert draw([Budget(1000, EARLIER, EARLIER), Budget(20, EARLIER, EARLIER)], 50, START).permits == 2


def test_a_blocked_sender_waits_also_when_unlimited() -> None:
    grant = draw([Budget(0, EARLIER, after(3))], 50, START)
    assert (grant.permits, grant.wait) == (0, 3.0)


def test_time_without_sending_is_not_saved_up() -> None:
    grant = draw([Budget(100, EARLIER, EARLIER)], 50, START)
    assert (grant.permits, grant.used_until) == (10, (after(0.1),))
