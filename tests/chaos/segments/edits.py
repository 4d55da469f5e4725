"""A client that makes, edits, renames and deletes segments of its own, which may name everybody's."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from deploy.local.demo.rest import Refused, Rest
from tests.chaos.segments.book import Book
from tests.chaos.segments.changes import attempt
from tests.chaos.segments.rules import Rules


@dataclass(slots=True)
class Editor:
    rest: Rest
    book: Book
    rules: Rules
    rng: Random
    # How many it keeps.
    most: int
    pause_seconds: float
    own: list[str] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await attempt(self.book, self._choose())
            await asyncio.sleep(self.rng.uniform(0, 2 * self.pause_seconds))

    def _choose(self) -> Callable[[], Awaitable[None]]:
        if len(self.own) < self.most // 2:
            return self.create
        (change,) = self.rng.choices([self.create, self.edit, self.rename, self.delete], [4, 6, 1, 2])
        return self.delete if change == self.create and len(self.own) >= self.most else change

    async def create(self) -> None:
        definition = self.rules.definition()
        try:
            made = await self.rest.post("/v1/segments", {"name": f"Segment {self.book.calls}", **definition})
        except Refused as refused:
            self._explain(refused)
            return
        self.own.append(made["id"])
        self.book.segments[made["id"]] = definition
        self.book.changed["segment made"] += 1

    async def edit(self) -> None:
        segment_id = self.rng.choice(self.own)
        definition = self.rules.definition()
        before, self.book.segments[segment_id] = self.book.segments[segment_id], None
        try:
            await self.rest.call("PUT", f"/v1/segments/{segment_id}", body=definition)
        except Refused as refused:
            self._explain(refused)
            self.book.segments[segment_id] = before
            return
        self.book.segments[segment_id] = definition
        self.book.changed["segment edited"] += 1

    async def rename(self) -> None:
        segment_id = self.rng.choice(self.own)
        await self.rest.call("PATCH", f"/v1/segments/{segment_id}", body={"name": f"Renamed {self.book.calls}"})
        self.book.changed["segment renamed"] += 1

    async def delete(self) -> None:
        """Refused with 409 where another names it."""
        segment_id = self.rng.choice(self.own)
        before, self.book.segments[segment_id] = self.book.segments[segment_id], None
        try:
            await self.rest.call("DELETE", f"/v1/segments/{segment_id}")
        except Refused as refused:
            if refused.status == 409:
                self.book.segments[segment_id] = before
            raise
        self.own.remove(segment_id)
        del self.book.segments[segment_id]
        self.book.deleted_segments.add(segment_id)
        self.book.changed["segment deleted"] += 1

    def _explain(self, refused: Refused) -> None:
        """What may be wrong with such rules: a cycle, too much in all, a segment deleted just now. Raises all else."""
        if refused.status != 422 or "/value" not in str(refused):
            raise refused
        self.book.changed["segment refused"] += 1
