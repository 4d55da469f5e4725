"""What the simulator accepted: the witness that tests and audits read."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.carrier import lines


@dataclass(frozen=True, slots=True)
class Accepted:
    id: str
    duplicate: bool


class Acceptances:
    """accepted.jsonl, and the keys in it, which a restarted simulator still knows."""

    def __init__(self, path: Path) -> None:
        self._ids: dict[str, str] = {}
        # Those that an earlier run wrote down.
        self.found: set[str] = set()
        # Ids are unique over restarts by their first half, and within one by the count in the second.
        self._start, self._made = secrets.token_hex(8), 0
        self.accepted = self.duplicates = 0
        for line in lines.read(path):
            self._ids.setdefault(line["key"] or "", line["id"])
            self.found.add(line["id"])
            self.count(duplicate=line["duplicate"])
        self._lines = lines.Appender(path)

    def accept(
        self,
        key: str | None,
        to: str,
        *,
        text: str,
        id_prefix: str,
        honour_keys: bool,
        first: Callable[[Accepted], None] | None = None,
    ) -> Accepted:
        """Written down when this returns. A known key gets its first id again and is no new message.

        first: is done before it is written down.
        """
        known = self._ids.get(key) if key and honour_keys else None
        outcome = Accepted(known or self._new_id(id_prefix), duplicate=known is not None)
        if first is not None:
            first(outcome)
        self._lines.append(
            {"at": now(), "key": key, "to": to, "text": text, "id": outcome.id, "duplicate": outcome.duplicate}
        )
        if key:
            self._ids.setdefault(key, outcome.id)
        self.count(duplicate=outcome.duplicate)
        return outcome

    def _new_id(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}{self._start}{self._made:016x}"

    def count(self, *, duplicate: bool) -> None:
        if duplicate:
            self.duplicates += 1
        else:
            self.accepted += 1

    def close(self) -> None:
        self._lines.close()


def now() -> str:
    """RFC 3339, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
