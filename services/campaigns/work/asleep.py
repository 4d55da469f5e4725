"""Recipients for whom it is not the hour yet."""

from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg

from services.campaigns.domain.hours import Hours

# Looked at again at the latest, should what their hours depend on have changed.
LONGEST_SECONDS = 900.0


class Asleep:
    """Those of one pass over a chunk."""

    def __init__(self, hours: Hours) -> None:
        self._hours = hours
        self._soonest: datetime | None = None
        self.count = 0

    def leave(self, rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
        """Those who may be written to now; the others are counted, each once if it is not asked about again."""
        if not self._hours.restrict:
            return list(rows)
        now = datetime.now(UTC)
        openings = {zone: self._hours.opening(zone, now) for zone in {row["timezone"] for row in rows}}
        awake = [row for row in rows if openings[row["timezone"]] == now]
        self.count += len(rows) - len(awake)
        later = [opening for opening in openings.values() if opening is not None and opening > now]
        self._soonest = min([*later, *([self._soonest] if self._soonest else [])], default=None)
        return awake

    def seconds(self) -> float:
        """Until the first of them may be written to."""
        if self._soonest is None:
            return LONGEST_SECONDS
        return min(max((self._soonest - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_SECONDS)
