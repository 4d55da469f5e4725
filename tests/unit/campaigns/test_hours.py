"""When somebody may be written to, by their own clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaigns.domain.hours import DAY, Hours, QuietHours, Span, Window, Windows
from services.campaigns.zones import MOST_LIVE_IN, of_phone, zone_of

WORKING_DAYS = tuple(range(5))
OFFICE = Hours(Windows((Window(WORKING_DAYS, Span(9 * 60, 17 * 60)),)))
NIGHT = QuietHours(21 * 60, 8 * 60)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "now", "opening"),
    [
        # 2026-03-04 is a Wednesday.
        ("UTC", "2026-03-04 09:00", "2026-03-04 09:00"),
        ("UTC", "2026-03-04 16:59", "2026-03-04 16:59"),
        ("UTC", "2026-03-04 17:00", "2026-03-05 09:00"),
        ("UTC", "2026-03-06 17:00", "2026-03-09 09:00"),
        ("", "2026-03-04 08:59", "2026-03-04 09:00"),
        ("America/New_York", "2026-03-04 09:00", "2026-03-04 14:00"),
        ("Asia/Tokyo", "2026-03-04 09:00", "2026-03-05 00:00"),
        # Sunday evening in London, and Monday morning already in Auckland.
        ("Pacific/Auckland", "2026-03-08 20:30", "2026-03-08 20:30"),
        ("Europe/London", "2026-03-08 20:30", "2026-03-09 09:00"),
        # Summer time has begun meanwhile.
        ("Europe/Berlin", "2026-03-27 17:00", "2026-03-30 07:00"),
    ],
)
def test_windows_open_by_the_recipient_s_clock(zone: str, now: str, opening: str) -> None:
    assert OFFICE.opening(zone, utc(now)) == utc(opening)


@pytest.mark.parametrize(
    ("now", "opening"),
    [
        ("2026-03-04 20:59", "2026-03-04 20:59"),
        ("2026-03-04 21:00", "2026-03-05 08:00"),
        ("2026-03-05 03:00", "2026-03-05 08:00"),
        ("2026-03-05 08:00", "2026-03-05 08:00"),
    ],
)
def test_quiet_hours_go_over_midnight(now: str, opening: str) -> None:
    assert Hours(quiet=NIGHT).opening("UTC", utc(now)) == utc(opening)


def test_quiet_hours_within_a_day_leave_both_ends() -> None:
    siesta = Hours(quiet=QuietHours(13 * 60, 16 * 60, "Europe/Madrid"))
    assert siesta.opening("", utc("2026-01-05 12:30")) == utc("2026-01-05 15:00")
    assert siesta.opening("", utc("2026-01-05 11:59")) == utc("2026-01-05 11:59")


def test_windows_and_quiet_hours_must_both_allow_it() -> None:
    late = Hours(Windows((Window((2,), Span(20 * 60, DAY)),)), NIGHT)
    assert late.opening("UTC", utc("2026-03-04 21:30")) == utc("2026-03-11 20:00")
    assert late.ever_open
    never = Hours(Windows((Window((2,), Span(22 * 60, DAY)),)), NIGHT)
    assert not never.ever_open
    assert never.opening("UTC", utc("2026-03-04 21:30")) is None


def test_without_hours_it_is_always_the_hour() -> None:
    assert Hours().opening("Asia/Tokyo", utc("2026-03-04 03:00")) == utc("2026-03-04 03:00")
    assert Hours().ever_open


SPANS = st.tuples(st.integers(0, DAY - 1), st.integers(1, DAY)).filter(lambda pair: pair[0] < pair[1])
WINDOW = st.builds(
    lambda days, span: Window(tuple(sorted(days)), Span(*span)), st.sets(st.integers(0, 6), min_size=1), SPANS
)
QUIET = st.tuples(st.integers(0, DAY - 1), st.integers(0, DAY - 1)).filter(lambda pair: pair[0] != pair[1])


def is_open(windows: list[Window], quiet: tuple[int, int] | None, at: datetime) -> bool:
    """The rules said again, minute by minute, in a zone whose clocks never change."""
    minute = at.hour * 60 + at.minute
    if quiet is not None:
        start, end = quiet
        asleep = start <= minute < end if start < end else minute >= start or minute < end
        if asleep:
            return False
    return any(at.weekday() in one.days and one.span.start <= minute < one.span.end for one in windows)


@given(
    windows=st.lists(WINDOW, min_size=1, max_size=4),
    quiet=st.none() | QUIET,
    minutes=st.integers(0, 14 * DAY),
)
def test_the_opening_is_the_first_minute_that_is_open(
    windows: list[Window], quiet: tuple[int, int] | None, minutes: int
) -> None:
    now = utc("2026-03-02 00:00") + timedelta(minutes=minutes)
    hours = Hours(Windows(tuple(windows)), None if quiet is None else QuietHours(*quiet))
    found = hours.opening("UTC", now)
    expected = next(
        (at for ahead in range(8 * DAY) if is_open(windows, quiet, at := now + timedelta(minutes=ahead))), None
    )
    assert found == expected
    assert hours.ever_open is (expected is not None)


@pytest.mark.parametrize(
    ("timezone", "phone", "zone"),
    [
        ("Europe/Berlin", "+14155550100", "Europe/Berlin"),
        (" Europe/Berlin ", "", "Europe/Berlin"),
        ("CEST?", "+4915112345678", "Europe/Berlin"),
        ("", "+14155550100", "America/Los_Angeles"),
        ("", "+12125550100", "America/New_York"),
        # Of no area that is known: where most of the plan's people live.
        ("", "+15550000001", "America/Chicago"),
        ("", "+79161234567", "Europe/Moscow"),
        ("", "+34600000000", "Europe/Madrid"),
        ("", "+8613800000000", "Asia/Shanghai"),
        ("", "+999123456789", ""),
        ("", "", ""),
        ("", "ann@example.com", ""),
    ],
)
def test_zones_come_from_the_contact_then_from_the_phone(timezone: str, phone: str, zone: str) -> None:
    assert zone_of(timezone, phone) == zone


def test_every_zone_that_decides_is_decided_for_by_some_number() -> None:
    """A misspelt one, or one that the phones' data calls otherwise by now, would decide nothing."""
    plans = ("243", "1", "299", "593", "52", "55", "62", "976", "61", "351", "34", "7", "262", "64", "689", "686")
    assert {of_phone("+" + plan) for plan in plans} == MOST_LIVE_IN
