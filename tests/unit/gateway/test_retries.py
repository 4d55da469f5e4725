"""When what failed is tried again."""

from datetime import timedelta

from services.gateway.domain import retries


def test_the_schedule_ends_within_the_time_that_events_are_kept() -> None:
    longest = [retries.next_delay(number, drawn=1.0) for number in range(1, retries.MAX_ATTEMPTS)]
    assert sum((one for one in longest if one is not None), timedelta(0)) < timedelta(hours=72)
    assert retries.next_delay(retries.MAX_ATTEMPTS, drawn=0.5) is None


def test_each_delay_is_drawn_around_its_middle() -> None:
    assert retries.next_delay(1, drawn=0.5) == timedelta(seconds=5)
    assert retries.next_delay(1, drawn=0.0) == timedelta(seconds=4.5)
    assert retries.next_delay(1, drawn=1.0) == timedelta(seconds=5.5)


def test_what_the_endpoint_asks_for_lengthens_the_delay_up_to_a_limit_and_never_shortens_it() -> None:
    assert retries.next_delay(1, drawn=0.5, asked=timedelta(minutes=2)) == timedelta(minutes=2)
    assert retries.next_delay(1, drawn=0.5, asked=timedelta(seconds=1)) == timedelta(seconds=5)
    assert retries.next_delay(1, drawn=0.5, asked=timedelta(days=300)) == retries.LONGEST_WAIT


def test_an_endpoint_that_fails_is_asked_less_and_less_often() -> None:
    assert not retries.is_down(retries.DOWN_AFTER - 1)
    assert retries.is_down(retries.DOWN_AFTER)
    rests = [retries.probe_delay(retries.DOWN_AFTER + number) for number in range(20)]
    assert rests == sorted(rests)
    assert rests[-1] == timedelta(minutes=5)
