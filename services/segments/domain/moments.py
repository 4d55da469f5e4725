"""Time in rules: moments, durations and anniversaries, and when a test on them changes its answer.

A moment is microseconds since 1970-01-01T00:00Z. Days, and so anniversaries, are those of UTC. Whoever was born on
29 February has the anniversary on 28 February in the years between.
"""

import re
from calendar import isleap
from datetime import UTC, date, datetime, timedelta

SECOND = 1_000_000
DAY = 86_400 * SECOND
UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": 7 * DAY}
# A hundred years.
MAX_DURATION = 36_525 * DAY
MAX_DAYS = 365
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
# RFC 3339, or a date, or a date and a time without an offset, which then is UTC. A `t`, `z` or a space as RFC 3339
# has them.
MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)


def parse_duration(text: str) -> int | None:
    """`30d`, `12h`, also `m`, `s`, `w`; in microseconds, above 0. None where it is none."""
    found = DURATION.fullmatch(text)
    if found is None:
        return None
    duration = int(found[1]) * UNITS[found[2]]
    return duration if 0 < duration <= MAX_DURATION else None


def parse_days(text: str) -> int | None:
    """`7d`, `2w`: whole days up to a year, 0 included. None where it is none."""
    found = DURATION.fullmatch(text)
    if found is None or found[2] not in "dw":
        return None
    days = int(found[1]) * (7 if found[2] == "w" else 1)
    return days if days <= MAX_DAYS else None


def parse_moment(text: str) -> int | None:
    """None where it is none. Digits beyond microseconds are dropped."""
    found = MOMENT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    # A leap second counts as the one after it, as POSIX has it.
    leap = second == "60"
    try:
        at = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), 59 if leap else int(second or 0),
            tzinfo=UTC,
        )  # fmt: skip
    except ValueError:
        return None
    micros = moment(at) + leap * SECOND + int(f"{fraction or '':0<6}"[:6])
    return micros if offset in (None, "Z", "z") else shifted(micros, offset)


def shifted(micros: int, offset: str) -> int | None:
    hours, minutes = int(offset[1:3]), int(offset[4:6])
    if hours > 23 or minutes > 59:
        return None
    ahead = (hours * 60 + minutes) * UNITS["m"]
    return micros + ahead if offset[0] == "-" else micros - ahead


def moment(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def day_of(micros: int) -> date | None:
    """None outside the years 1 to 9999, which an offset can lead to."""
    try:
        return (EPOCH + timedelta(days=micros // DAY)).date()
    except OverflowError:
        return None


def month_day(micros: int) -> int | None:
    """101 for 1 January to 1231: what anniversaries compare."""
    day = day_of(micros)
    return None if day is None else day.month * 100 + day.day


def anniversary_in(month_and_day: int, year: int) -> date:
    month, day = divmod(month_and_day, 100)
    return date(year, month, 28 if month_and_day == 229 and not isleap(year) else day)


def has_anniversary(month_and_day: int, *, now: int, days: int) -> bool:
    """Whether the next anniversary is today or within so many days after today."""
    today = day_of(now)
    assert today is not None
    return (next_anniversary(month_and_day, today) - today).days <= days


def next_anniversary(month_and_day: int, today: date) -> date:
    """Today included."""
    this_year = anniversary_in(month_and_day, today.year)
    return this_year if this_year >= today else anniversary_in(month_and_day, today.year + 1)


def midnight(day: date) -> int:
    return (day - EPOCH.date()).days * DAY


def flip_of_anniversary(month_and_day: int, *, now: int, days: int) -> int:
    """The next moment at which has_anniversary may change its answer."""
    today = day_of(now)
    assert today is not None
    following = next_anniversary(month_and_day, today)
    enters = midnight(following) - days * DAY
    return enters if enters > now else midnight(following) + DAY
