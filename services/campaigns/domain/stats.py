"""The numbers of a campaign, and how a recipient's step changes them.

Always: total = sent + pending + skipped + uncertain, and delivered + failed <= sent.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from operator import attrgetter

from services.campaigns.domain.recipient import Status


@dataclass(frozen=True, slots=True)
class Stats:
    total: int = 0
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    pending: int = 0
    skipped: int = 0
    uncertain: int = 0
    opened: int = 0
    clicked: int = 0

    def __add__(self, other: "Stats") -> "Stats":
        return Stats(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def __sub__(self, other: "Stats") -> "Stats":
        return Stats(*(a - b for a, b in zip(self.values(), other.values(), strict=True)))

    def __mul__(self, times: int) -> "Stats":
        return Stats(*(a * times for a in self.values()))

    def values(self) -> tuple[int, ...]:
        """In the order of NAMES."""
        return VALUES(self)

    @property
    def adds_up(self) -> bool:
        return (
            self.total == self.sent + self.pending + self.skipped + self.uncertain
            and self.delivered + self.failed <= self.sent
            and self.clicked <= self.opened <= self.delivered
            and min(self.values()) >= 0
        )


NAMES = tuple(field.name for field in fields(Stats))
# Of which there is a series over time; the others follow from them.
TIMED = ("sent", "delivered", "failed", "skipped", "uncertain", "opened", "clicked")
# Not dataclasses.astuple, which copies deeply: this runs for every message.
VALUES: Callable[[Stats], tuple[int, ...]] = attrgetter(*NAMES)
NOTHING = Stats()

# What one recipient in a state adds to the numbers.
OF_ONE: dict[Status, Stats] = {
    Status.PENDING: Stats(total=1, pending=1),
    Status.CLAIMED: Stats(total=1, pending=1),
    Status.SENT: Stats(total=1, sent=1),
    Status.DELIVERED: Stats(total=1, sent=1, delivered=1),
    Status.OPENED: Stats(total=1, sent=1, delivered=1, opened=1),
    Status.CLICKED: Stats(total=1, sent=1, delivered=1, opened=1, clicked=1),
    Status.FAILED: Stats(total=1, sent=1, failed=1),
    Status.SKIPPED: Stats(total=1, skipped=1),
    Status.UNCERTAIN: Stats(total=1, uncertain=1),
}


def in_time(delta: Stats) -> bool:
    """Whether the series changes with it."""
    return any(getattr(delta, name) for name in TIMED)


def step(before: Status, now: Status) -> Stats:
    """What a recipient's step from one state to another adds."""
    return OF_ONE[now] - OF_ONE[before]


def steps(before: Status, now: Iterable[str]) -> Stats:
    """What the steps of several recipients from one state, each to its own, add."""
    return sum((step(before, Status(status)) * times for status, times in Counter(now).items()), NOTHING)


def count(statuses: Iterable[Status]) -> Stats:
    """The numbers of a ledger, counted row by row."""
    return sum((OF_ONE[status] * times for status, times in Counter(statuses).items()), NOTHING)
