"""What the simulator accepted: the witness that tests and audits read."""

import secrets
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
        self.accepted = self.duplicates = 0
        for line in lines.read(path):
            self._ids.setdefault(line["key"] or "", line["id"])
            self.count(duplicate=line["duplicate"])
        self._lines = lines.Appender(path)

    def accept(self, key: str | None, to: str, *, text: str, id_prefix: str, honour_keys: bool) -> Accepted:
        """Written down when this returns. A known key gets its first id again and is no new message."""
        known = self._ids.get(key) if key and honour_keys else None
        outcome = Accepted(known or id_prefix + secrets.token_hex(16), duplicate=known is not None)
        self._lines.append(
            {"at": now(), "key": key, "to": to, "text": text, "id": outcome.id, "duplicate": outcome.duplicate}
        )
        if key:
            self._ids.setdefault(key, outcome.id)
        self.count(duplicate=outcome.duplicate)
        return outcome

    def count(self, *, duplicate: bool) -> None:
        if duplicate:
            self.duplicates += 1
        else:
            self.accepted += 1

    def close(self) -> None:
        self._lines.close()


def now() -> str:
    """RFC 3339, UTC, microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
