"""When messages may be sent, by the clock of whom they are for: a campaign's windows less the account's quiet hours."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY = 24 * 60
# A week, and the day on which it began.
LOOK_AHEAD_DAYS = 8


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Minutes of a day, the end exclusive: 0 <= start < end <= DAY."""

    start: int
    end: int


ALL_DAY = (Span(0, DAY),)


@dataclass(frozen=True, slots=True)
class Window:
    # From 0, Monday.
    days: tuple[int, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Windows:
    """On a day that no window names nothing is sent."""

    windows: tuple[Window, ...]
    # Of those whose own is not known; empty: the quiet hours', or UTC.
    timezone: str = ""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Every day from start until end, over midnight where the end is the lesser."""

    start: int
    end: int
    # As that of Windows.
    timezone: str = ""

    @property
    def awake(self) -> tuple[Span, ...]:
        """The rest of a day."""
        if self.start > self.end:
            return (Span(self.end, self.start),)
        return tuple(Span(a, b) for a, b in ((0, self.start), (self.end, DAY)) if a < b)


@dataclass(frozen=True, slots=True)
class Hours:
    windows: Windows | None = None
    quiet: QuietHours | None = None

    @property
    def restrict(self) -> bool:
        return self.windows is not None or self.quiet is not None

    @property
    def ever_open(self) -> bool:
        return any(self._spans(weekday) for weekday in range(len(WEEKDAYS)))

    def opening(self, timezone: str, now: datetime) -> datetime | None:
        """The first moment from now on at which somebody may be written to: now itself, or later; None: never.

        timezone: an IANA name, or empty where it is not known.
        """
        if not self.restrict:
            return now
        zone = ZoneInfo(timezone or self._default)
        first = now.astimezone(zone).date()
        for ahead in range(LOOK_AHEAD_DAYS):
            day = first + timedelta(days=ahead)
            for span in self._spans(day.weekday()):
                if now < moment(day, span.end, zone):
                    return max(now, moment(day, span.start, zone))
        return None

    @property
    def _default(self) -> str:
        named = (self.windows.timezone if self.windows else "", self.quiet.timezone if self.quiet else "", "UTC")
        return next(name for name in named if name)

    def _spans(self, weekday: int) -> list[Span]:
        """In their order."""
        spans: Iterable[Span] = ALL_DAY
        if self.windows is not None:
            spans = sorted(window.span for window in self.windows.windows if weekday in window.days)
        awake = ALL_DAY if self.quiet is None else self.quiet.awake
        return list(common(spans, awake))


def common(some: Iterable[Span], others: Iterable[Span]) -> Iterator[Span]:
    for one in some:
        for other in others:
            start, end = max(one.start, other.start), min(one.end, other.end)
            if start < end:
                yield Span(start, end)


def moment(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """A wall clock's minute. One that a change of the clocks skips is as long after as it would have been."""
    days, minute = divmod(minute, DAY)
    local = datetime.combine(day + timedelta(days=days), time(*divmod(minute, 60)), zone)
    return local.astimezone(UTC)
