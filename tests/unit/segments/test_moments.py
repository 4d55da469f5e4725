"""Time in rules."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.segments.domain import moments
from services.segments.domain.moments import DAY, SECOND, moment, parse_days, parse_duration, parse_moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30d", 30 * DAY), ("12h", DAY // 2), ("90m", 5400 * SECOND), ("1s", SECOND), ("2w", 14 * DAY)],
)
def test_durations(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "d", "0d", "-1d", "1.5h", "30", "30D", " 30d", "30d ", "٣d", "36526d", "1y"])
def test_no_durations(text):
    assert parse_duration(text) is None


def test_days():
    assert [parse_days(text) for text in ("0d", "7d", "2w", "365d", "366d", "24h")] == [0, 7, 14, 365, None, None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T09:30:00Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31t09:30:00.5z", datetime(2026, 1, 31, 9, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-01-31 09:30:00+02:00", datetime(2026, 1, 31, 7, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("1969-12-31T23:59:59.123456789-00:30", datetime(1970, 1, 1, 0, 29, 59, 123_456, tzinfo=UTC)),
    ],
)
def test_moments(text, expected):
    assert parse_moment(text) == moment(expected)


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-02-30", "2026-13-01", "0000-01-01", "2026-01-31T25:00:00Z", "2026-01-31T10:00Z",
             "2026-01-31T10:00:00+24:00", "20260131", "2026-W05-1", "٢026-01-31"],
)  # fmt: skip
def test_no_moments(text):
    assert parse_moment(text) is None


@given(at=st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_a_moment_reads_back(at):
    assert parse_moment(at.isoformat()) == moment(at)


def at(text: str) -> int:
    found = parse_moment(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("born", "now", "days", "holds"),
    [
        (131, "2026-01-31", 0, True),
        (131, "2026-01-31T23:59:59.999999", 0, True),
        (131, "2026-02-01", 0, False),
        (131, "2026-01-24", 7, True),
        (131, "2026-01-23T23:59:59", 7, False),
        # Over the turn of the year.
        (101, "2026-12-31", 1, True),
        # 29 February: the day before in common years.
        (229, "2026-02-28", 0, True),
        (229, "2028-02-28", 0, False),
        (229, "2028-02-29", 0, True),
    ],
)
def test_anniversaries(born, now, days, holds):
    assert moments.has_anniversary(born, now=at(now), days=days) is holds


@given(
    born=st.dates(date(1904, 1, 1), date(2024, 12, 31)),
    now=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),
    days=st.integers(0, 365),
)
def test_an_anniversary_flips_no_earlier_than_it_says(born, now, days):
    """Every midnight until the flip answers as now does."""
    month_day, start = born.month * 100 + born.day, moment(now)
    flip = moments.flip_of_anniversary(month_day, now=start, days=days)
    assert start < flip <= start + 368 * DAY
    present = moments.has_anniversary(month_day, now=start, days=days)

    day = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while moment(day) < flip:
        assert moments.has_anniversary(month_day, now=moment(day), days=days) is present
        day += timedelta(days=1)
