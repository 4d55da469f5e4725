"""What contacts and rules of the differential tests are made of: values that meet, and values that break things."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from hypothesis import strategies as st

from services.segments.domain.fields import Kind
from services.segments.domain.moments import DAY, SECOND, moment

T = TypeVar("T")

# Values that meet one another: equal but for case, prefixes and endings, letters that fold to several or to a combining
# mark, LIKE's and arrays' metacharacters.
WORDS = [
    *("a", "A", "b", "ab", "AB", "aab", "ba", "prem", "Premium", "PREMIUM", "ium", "+1", "+1415"),
    *("ß", "ss", "SS", "ẞ", "Straße", "STRASSE", "é", "E\u0301", "e", "İ", "i", "I", "ı", "ς", "Σ", "σ", "ǰ", "\u0345"),
    *("%", "_", "\\", "a%", "a_b", "aXb", "a\\b", "{a,b}", '"', "'", "null", "NULL", " ", "a b", "🙂"),
]
anything = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)

# No double is as large.
TOO_LARGE = 10**400
NUMBERS: Sequence[float] = [0, 1, 5, 5.5, -1, -0.0, 2**53 + 1, 2**64, TOO_LARGE, 5e-324, 1.7976931348623157e308]
# The same numbers written in other ways, and what is none.
NUMBER_TEXTS = ["0", "-0", "5", "5.0", "05", "+5", "5e0", "0.55E1", "-1", "1e999", "1e-999", "0x5", "5.", "٥"]
# Where times are told apart: midnights, the ends of durations, the last days of February.
NOWS = [
    moment(datetime(2026, 6, 15, 12, tzinfo=UTC)),
    moment(datetime(2026, 6, 15, tzinfo=UTC)),
    moment(datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    moment(datetime(2027, 2, 28, 9, 30, tzinfo=UTC)),
    moment(datetime(2027, 3, 1, tzinfo=UTC)),
    moment(datetime(2028, 2, 28, 23, 0, 0, 1, tzinfo=UTC)),
    moment(datetime(2028, 2, 29, tzinfo=UTC)),
]
BIRTHDAYS = [
    moment(datetime(2000, 2, 29, 8, tzinfo=UTC)),
    moment(datetime(2001, 2, 28, tzinfo=UTC)),
    moment(datetime(1969, 12, 31, 23, tzinfo=UTC)),
    moment(datetime(2024, 3, 1, tzinfo=UTC)),
]
DURATIONS = ["1s", "90m", "1d", "4w", "365d", "366d", *["1500w"] * 4]
DAYS = [None, "0d", "1d", "1w", "365d"]
# So far from now things end that are as long as these; a microsecond before it and one behind it.
OFFSETS = [
    offset + slip for offset in [0, SECOND, 5400 * SECOND, DAY, 28 * DAY, 365 * DAY, 366 * DAY] for slip in (-1, 0, 1)
]
TIME_TEXTS = [
    *("2000-02-29", "2026-06-15T12:00:00Z", "2026-06-15t14:00:00+02:00", "2026-06-15 12:00:00.000001", "2027-02-28"),
    *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.9999999-01:00", "2016-12-31T23:59:60Z", "1969-12-31"),
]
NO_TIME_TEXTS = ["2026-02-30", "2026-06-15T12:00Z", "20260615", "2026-06-15T24:00:00Z", "2026-06-15T12:00:00+24:00"]
PLACES = [st.integers(0, most) for most in range(100)]


class Picker:
    """Draws by places in lists: building strategies for each value would take most of the time."""

    def __init__(self, draw: st.DrawFn, nows: Sequence[int] = NOWS) -> None:
        self._draw = draw
        self.now = self.of(nows)
        pool = [draw(anything) if self.once_in(3) else self.of(WORDS) for _ in range(self.number(1, 3))]
        self.texts = [*pool, *(one.swapcase() for one in pool), *(one + other for one in pool for other in pool)]
        ahead, ago = self.some(OFFSETS, 4, 4), self.some(OFFSETS, 3, 3)
        near = [*(self.now + offset for offset in ahead), *(self.now - offset for offset in ago)]
        self.times = [*near, self.of(BIRTHDAYS)]
        self.time_texts = [*map(written, self.times), self.of(TIME_TEXTS)]
        self.numbers: Sequence[float] = [5, *self.some(NUMBERS, 2, 2)]
        # What custom data is mostly of, and so the operators that it is asked with.
        self.custom_kind = self.of([Kind.TEXT, Kind.SET, Kind.NUMBER, Kind.TIME, Kind.TIME, Kind.CUSTOM])
        number_texts = self.some(NUMBER_TEXTS, 2, 2)
        main: Mapping[Kind, Sequence[Any]] = {
            Kind.NUMBER: [*self.numbers, *number_texts],
            Kind.TIME: self.time_texts,
            Kind.CUSTOM: [*self.texts, *self.numbers, *self.time_texts],
        }
        odd = [None, "", True, False, 1, 0, self.of(NO_TIME_TEXTS), *number_texts]
        self.scalars: Sequence[Any] = [*main.get(self.custom_kind, self.texts), *self.some(odd, 0, 2)]

    def number(self, least: int, most: int) -> int:
        return least + self._draw(PLACES[most - least])

    def of(self, values: Sequence[T]) -> T:
        return values[self.number(0, len(values) - 1)]

    def some(self, values: Sequence[T], least: int, most: int) -> list[T]:
        return [self.of(values) for _ in range(self.number(least, most))]

    def once_in(self, times: int) -> bool:
        return self.number(0, times - 1) == times - 1


def written(micros: int) -> str:
    """In UTC, as a rule or custom data has it."""
    return (datetime.fromtimestamp(micros // SECOND, UTC).replace(microsecond=micros % SECOND)).isoformat()
