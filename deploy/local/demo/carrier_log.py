"""What the carrier simulator wrote down: the witness that the services never read."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Accepted:
    """A line of accepted.jsonl. `duplicate`: a known key was answered again and no message made."""

    key: str
    to: str
    text: str
    id: str
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """A line of receipts.jsonl: a receipt that the callback took."""

    id: str
    status: str


class Tail:
    """The lines that a log gains after this object was made. A last line still being written is left for later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def lines(self) -> Iterator[dict[str, object]]:
        """Those not yet returned."""
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._at)
            for line in log:
                if not line.endswith(b"\n"):
                    return
                self._at += len(line)
                yield json.loads(line)


class Witness:
    """All that the carrier wrote down of one run: of the messages whose text carries the run's mark."""

    def __init__(self, folder: Path, mark: str) -> None:
        self._mark = mark
        self._accepted = Tail(folder / "accepted.jsonl")
        self._receipts = Tail(folder / "receipts.jsonl")
        self.accepted: list[Accepted] = []
        self.receipts: list[Receipt] = []

    def look(self) -> int:
        """Reads on; the number of messages (no duplicates) accepted so far."""
        for line in self._accepted.lines():
            if self._mark in str(line["text"]):
                accepted = Accepted(
                    str(line["key"]), str(line["to"]), str(line["text"]), str(line["id"]), bool(line["duplicate"])
                )
                self.accepted.append(accepted)
        for line in self._receipts.lines():
            self.receipts.append(Receipt(str(line["id"]), str(line["status"])))
        return len(self.messages)

    @property
    def messages(self) -> list[Accepted]:
        """One for each message that the carrier would have delivered."""
        return [line for line in self.accepted if not line.duplicate]

    async def wait_for_receipts(self, count: int, *, seconds: float) -> None:
        """Until `count` messages have ended: the carrier writes a receipt down after the callback took it."""
        deadline = time.monotonic() + seconds
        self.look()
        while outcomes(self.messages, self.receipts).total() < count and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            self.look()


def more_than_once(values: Iterable[str]) -> list[str]:
    return sorted(value for value, count in Counter(values).items() if count > 1)


def outcomes(messages: Iterable[Accepted], receipts: Iterable[Receipt]) -> Counter[str]:
    """delivered and failed, by the receipts of these messages; delivered outranks failed, whichever came first."""
    known = {message.id for message in messages}
    delivered = {receipt.id for receipt in receipts if receipt.status == "delivered"} & known
    failed = {receipt.id for receipt in receipts if receipt.status == "failed"} & known
    return Counter(delivered=len(delivered), failed=len(failed - delivered))
