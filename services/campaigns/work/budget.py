"""Draws permits to send from the budgets of a sender and a campaign, in turn between the campaigns of a sender."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakValueDictionary

import asyncpg

from chassis.db import Database
from services.campaigns.domain.budget import Budget, Grant, draw, slowed
from services.campaigns.repository import budgets as queries
from services.campaigns.work.slots import Slots

# For so long nobody is asked again where nothing limits: the length of a block.
UNLIMITED_SECONDS = 0.1
METER_SECONDS = 2.0
MOST_KEPT = 1_000
# Of a sender of whose messages none was attempted for a while.
UNKNOWN_PACE = 20.0


@dataclass(frozen=True, slots=True)
class Draw:
    """Permits to send now, or (0) for how long to wait, and for whose budget."""

    permits: int
    wait: float
    owner: UUID | None
    unlimited: bool = False


async def acquire(db: Database, account: UUID, owners: Sequence[UUID], wanted: int) -> Draw:
    """owners: the sender, and the campaign, whose rates both hold."""
    async with db.across() as tx:
        rows = await queries.look(tx, account, owners)
        if len(rows) < len(owners):
            await queries.ensure(tx, account, owners)
            rows = await queries.look(tx, account, owners)
        grant = drawn(rows, wanted)
        # Waiting, or unlimited: nothing to write, and nobody to keep waiting for the rows.
        if grant.permits == 0 or is_unlimited(grant, rows):
            return told(grant, rows)
        rows = await queries.lock(tx, account, owners)
        grant = drawn(rows, wanted)
        if grant.permits:
            used = [row["owner_id"] for row in rows]
            await queries.spend(tx, account, dict(zip(used, grant.used_until, strict=True)))
        return told(grant, rows)


async def block(
    db: Database, account: UUID, owner: UUID, seconds: float, *, attempted: float = UNKNOWN_PACE, share: float = 1.0
) -> None:
    """A provider asked for a pause: nobody sends in it, and all of them more slowly afterwards.

    attempted: messages a second that it was given of late. share: of its last answers, those that asked for the pause.
    """
    async with db.across() as tx:
        await queries.ensure(tx, account, [owner])
        (row,) = await queries.lock(tx, account, [owner])
        pace = slowed(budget(row), row["now"], attempted=attempted, share=share)
        await queries.block(tx, account, owner, seconds=seconds, slowed_to=pace, now=row["now"])


def drawn(rows: Sequence[asyncpg.Record], wanted: int) -> Grant:
    return draw([budget(row) for row in rows], wanted, rows[0]["now"])


def budget(row: asyncpg.Record) -> Budget:
    return Budget(row["rate"], row["used_until"], row["blocked_until"], row["slowed_to"], row["slowed_at"])


def is_unlimited(grant: Grant, rows: Sequence[asyncpg.Record]) -> bool:
    return all(until == row["used_until"] for until, row in zip(grant.used_until, rows, strict=True))


def told(grant: Grant, rows: Sequence[asyncpg.Record]) -> Draw:
    if grant.permits:
        return Draw(grant.permits, 0.0, None, unlimited=is_unlimited(grant, rows))
    return Draw(0, grant.wait, rows[grant.waits_for]["owner_id"])


class Permits:
    """What the chunks of this process draw their permits from."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._meters = Meters()
        # By sender, as long as one of its chunks is worked on.
        self._turns: WeakValueDictionary[UUID, Slots] = WeakValueDictionary()
        # By sender and campaign: until when nothing limits them.
        self._unlimited: dict[tuple[UUID, UUID], float] = {}

    def turn(self, sender: UUID) -> Slots:
        """The place from which one chunk at a time asks for the sender's permits. To be kept hold of."""
        turn = self._turns.get(sender)
        if turn is None:
            turn = self._turns[sender] = Slots(1)
        return turn

    def close(self) -> None:
        """Turn away whoever waits for a turn."""
        for turn in list(self._turns.values()):
            turn.close()

    async def draw(self, account: UUID, sender: UUID, campaign: UUID, wanted: int) -> Draw:
        if self._unlimited.get((sender, campaign), 0.0) > time.monotonic():
            return Draw(wanted, 0.0, None, unlimited=True)
        asked_at = time.monotonic()
        draw = await acquire(self._db, account, [sender, campaign], wanted)
        if draw.unlimited:
            if len(self._unlimited) >= MOST_KEPT:
                self._unlimited.clear()
            self._unlimited[sender, campaign] = asked_at + UNLIMITED_SECONDS
        return draw

    def attempted(self, sender: UUID, messages: int) -> None:
        self._meters.add(sender, messages)

    async def block(self, account: UUID, sender: UUID, seconds: float, *, share: float) -> None:
        """As the function."""
        self._unlimited.clear()
        await block(self._db, account, sender, seconds, attempted=self._meters.pace(sender), share=share)


class Meters:
    """How many messages a second this process gave each sender's provider of late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By sender: since when is counted, how many, and the pace before that.
        self._counts: dict[UUID, tuple[float, int, float]] = {}

    def add(self, sender: UUID, messages: int) -> None:
        now = self._clock()
        since, count, before = self._counts.get(sender, (now, 0, 0.0))
        if now - since >= METER_SECONDS:
            # A pause is no pace.
            before = count / (now - since) if now - since < 2 * METER_SECONDS else 0.0
            since, count = now, 0
        if len(self._counts) >= MOST_KEPT:
            self._counts.clear()
        self._counts[sender] = (since, count + messages, before)

    def pace(self, sender: UUID) -> float:
        since, count, before = self._counts.get(sender, (self._clock(), 0, 0.0))
        return max(before, count / max(self._clock() - since, 1.0)) or UNKNOWN_PACE
