"""The feed's queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId

# The order of the feed is the order of this lock, which lasts until the commit.
LOCK_HEAD = """
INSERT INTO feed_heads (account_id, position) VALUES ($1, 0)
ON CONFLICT (account_id) DO UPDATE SET position = feed_heads.position RETURNING position
"""
KNOWN = "SELECT id FROM feed_events WHERE account_id = $1 AND id = ANY($2::uuid[])"
# The time is read under the lock: what is dropped by it is dropped from the front.
APPEND = """
INSERT INTO feed_events (account_id, position, id, type, time, data, received_at)
SELECT $1, new.position, new.id, new.type, new.time, new.data, clock_timestamp()
FROM unnest($2::bigint[], $3::uuid[], $4::text[], $5::timestamptz[], $6::bytea[])
    AS new (position, id, type, time, data)
"""
MOVE_HEAD = "UPDATE feed_heads SET position = $2 WHERE account_id = $1"
HEAD = "SELECT position FROM feed_heads WHERE account_id = $1"
FIRST = "SELECT position FROM feed_events WHERE account_id = $1 ORDER BY position LIMIT 1"
# Sizes are read without the data.
SCAN = """
SELECT position, type, octet_length(data) AS size FROM feed_events
WHERE account_id = $1 AND position > $2 ORDER BY position LIMIT $3
"""
PICK = """
SELECT position, id, type, time, data FROM feed_events
WHERE account_id = $1 AND position = ANY($2::bigint[]) ORDER BY position
"""
CLEAN = "DELETE FROM feed_events WHERE received_at < now() - $1::interval"


@dataclass(frozen=True, slots=True)
class Event:
    position: int
    id: UUID
    type: str
    time: datetime
    data: bytes


@dataclass(frozen=True, slots=True)
class Glance:
    """What a reader has to know of an event before it is read."""

    position: int
    type: str
    size: int


async def lock_head(tx: WriteTx, account: AccountId) -> int:
    """The position of the account's last event; 0 before the first. Nobody else appends until this one commits."""
    position: int = await tx.fetchval(LOCK_HEAD, account)
    return position


async def known(tx: ReadTx, account: AccountId, event_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the events that the feed has."""
    return {row["id"] for row in await tx.fetch(KNOWN, account, list(event_ids))}


async def append(tx: WriteTx, account: AccountId, events: Sequence[Event]) -> None:
    """Under lock_head, at the positions that follow it."""
    await tx.execute(
        APPEND,
        account,
        [event.position for event in events],
        [event.id for event in events],
        [event.type for event in events],
        [event.time for event in events],
        [event.data for event in events],
    )
    await tx.execute(MOVE_HEAD, account, events[-1].position)


async def head(tx: ReadTx, account: AccountId) -> int:
    return await tx.fetchval(HEAD, account) or 0


async def first(tx: ReadTx, account: AccountId) -> int | None:
    """The oldest position that is kept; None where nothing is."""
    found: int | None = await tx.fetchval(FIRST, account)
    return found


async def scan(tx: ReadTx, account: AccountId, *, after: int, limit: int) -> list[Glance]:
    rows = await tx.fetch(SCAN, account, after, limit)
    return [Glance(row["position"], row["type"], row["size"]) for row in rows]


async def pick(tx: ReadTx, account: AccountId, positions: Sequence[int]) -> list[Event]:
    """Those that are kept, in order."""
    rows = await tx.fetch(PICK, account, list(positions))
    return [Event(row["position"], row["id"], row["type"], row["time"], row["data"]) for row in rows]
