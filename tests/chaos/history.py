"""What happened in a run, in order, for the report."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class History:
    began: float = field(default_factory=time.monotonic)
    events: list[dict[str, object]] = field(default_factory=list)

    def add(self, event: str, **facts: object) -> None:
        """`at` is seconds from the start of the run."""
        self.events.append({"at": round(time.monotonic() - self.began, 3), "event": event, **facts})
