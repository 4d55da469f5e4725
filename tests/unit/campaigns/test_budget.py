"""One rate for all replicas: never more than it allows, and all of it when there is work."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.campaigns.domain.budget import BLOCK, SLOWEST, Budget, draw, pace_of, slowed
from services.campaigns.work.budget import UNKNOWN_PACE, Meters

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


def seconds_with(limit: float, *, rate: int, stray: float, seconds: int) -> list[float]:
    """The pace in each second, where the provider takes `limit` a second; stray: a share that it turns away anyhow."""
    budget = Budget(rate, EARLIER, EARLIER)
    paces = []
    for second in range(seconds):
        now = after(second)
        pace = pace_of(budget, now) or 10_000.0
        paces.append(pace)
        share = max(1 - limit / pace, stray)
        if share > 0 and (to := slowed(budget, now, attempted=pace, share=share)) is not None:
            budget = Budget(rate, EARLIER, EARLIER, to, now)
    return paces


@given(st.floats(5, 2_000), st.sampled_from([0, 3_000]))
def test_the_pace_settles_at_what_the_provider_takes(limit: float, rate: int) -> None:
    paces = seconds_with(limit, rate=rate, stray=0.0, seconds=60)
    assert all(limit * 0.8 <= pace <= limit * 1.3 for pace in paces[40:])


def test_a_few_that_are_turned_away_at_random_slow_nothing_down() -> None:
    assert seconds_with(100_000.0, rate=500, stray=0.1, seconds=60)[-1] >= 450


def test_a_pace_comes_back_to_the_rate() -> None:
    budget = Budget(100, EARLIER, EARLIER, 50.0, START)
    assert [round(pace_of(budget, after(seconds))) for seconds in (0, 1, 3, 8, 1_000)] == [50, 55, 67, 100, 100]
    # An unlimited one is limited for a while only.
    assert pace_of(Budget(0, EARLIER, EARLIER, 50.0, START), after(60)) == 0


def test_no_pace_is_so_slow_that_it_cannot_come_back() -> None:
    assert slowed(Budget(0, EARLIER, EARLIER), START, attempted=0.0, share=1.0) == SLOWEST


def test_answers_of_one_moment_slow_down_once() -> None:
    budget = Budget(0, EARLIER, EARLIER, 50.0, START)
    assert slowed(budget, after(0.5), attempted=50.0, share=1.0) is None
    assert slowed(budget, after(1.5), attempted=50.0, share=1.0) is not None


def test_meters_know_the_pace_of_late() -> None:
    clock = 100.0
    meters = Meters(lambda: clock)
    sender = UUID(int=1)
    assert meters.pace(sender) == UNKNOWN_PACE
    for _ in range(5):
        meters.add(sender, 50)
        clock += 0.5
    # 200 in the two seconds that were counted.
    assert meters.pace(sender) == 100.0
