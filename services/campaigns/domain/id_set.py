"""Many ids in little memory."""

from bisect import bisect_left
from collections.abc import Iterable
from uuid import UUID

BYTES = 16


class IdSet:
    """Ids in 16 bytes each, where a set of UUID objects takes ten times as much.

    Meant for ids that are added in ascending order: those of each order make a run, and every run is searched.
    """

    def __init__(self) -> None:
        self._runs: list[bytearray] = []

    def add(self, ids: Iterable[UUID]) -> None:
        for one in ids:
            packed = one.bytes
            if not self._runs or packed < self._runs[-1][-BYTES:]:
                self._runs.append(bytearray())
            self._runs[-1] += packed

    def __contains__(self, one: UUID) -> bool:
        packed = one.bytes
        return any(found(run, packed) for run in self._runs)


def found(run: bytearray, packed: bytes) -> bool:
    places = range(0, len(run), BYTES)
    at = bisect_left(places, packed, key=lambda place: bytes(run[place : place + BYTES]))
    return at < len(places) and run[places[at] : places[at] + BYTES] == packed
