"""Builds as work: leased, fenced, done in steps that commit by themselves, so that a killed worker costs one step.

Making a segment's members from its rule, or from another rule after an edit, goes

  building    fill the new build from the projection, in order of contact id (filling.py). Live changes keep it in
              step from its first moment, because evaluators know it as soon as it exists. Nobody sees it.
  the cut     one short transaction under the account's exclusive lock makes it the segment's served build. So the
              old membership is served, whole, until the new one is, and a contact that is in both keeps its joined_at.
  announcing  what differs between the two is told in events, chunk by chunk, and the old members are dropped. All of
              it bears the revision of the cut, so it is in order with the live steps before and after.
  serving     done; the old build is swept away.

A first build is the same with nothing before it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

import asyncpg

from chassis.db import Database, ReadTx, WriteTx
from chassis.ids import AccountId

# A killed worker's build is taken up by another after so long.
LEASE = timedelta(seconds=8)
# How often it is renewed meanwhile.
RENEWALS = 4
# Failures in a row after which a build is given up.
MAX_FAILURES = 10

COLUMNS = (
    "account_id, id, segment_id, definition, inlined, state, cut, replaces, position, to_look_at, lease_generation"
)
# Least recently worked on first, so that a small build is not stuck behind a large one, and sweeping last. The next
# build of a segment waits until the one before it was announced, and until the segments that its rule names are filled.
CLAIM = f"""
UPDATE builds SET lease_until = now() + $1, lease_generation = lease_generation + 1
WHERE (account_id, id) = (
    SELECT account_id, id FROM builds b
    WHERE state IN ('building', 'announcing', 'retired') AND (lease_until IS NULL OR lease_until <= now())
        AND NOT (state = 'building' AND EXISTS (
            SELECT FROM builds o
            WHERE o.account_id = b.account_id AND o.segment_id = b.segment_id AND o.state = 'announcing'))
        AND NOT (state = 'building' AND EXISTS (
            SELECT FROM segment_references r
            JOIN builds o ON o.account_id = r.account_id AND o.segment_id = r.names AND o.state = 'building'
            WHERE r.account_id = b.account_id AND r.segment_id = b.segment_id))
    ORDER BY state = 'retired', lease_until NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {COLUMNS}
"""
# Steps do not wait for the disk: where a crash of the server took one back, the position is an earlier one.
HELD = f"""
SELECT {COLUMNS} FROM builds
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND state = $4 AND position IS NOT DISTINCT FROM $5
"""
ADVANCE = """
UPDATE builds SET position = $4, members = members + $5, looked_at = looked_at + $6, to_look_at = $7, failures = 0,
    lease_until = now() + $8
WHERE account_id = $1 AND id = $2 AND lease_generation = $3
"""
COUNT = "UPDATE builds SET members = members + $4 WHERE account_id = $1 AND id = $2 AND lease_generation = $3"
RENEW = """
UPDATE builds SET lease_until = now() + $4 WHERE account_id = $1 AND id = $2 AND lease_generation = $3
"""
RELEASE = """
UPDATE builds SET lease_until = now() WHERE account_id = $1 AND id = $2 AND lease_generation = $3
"""
FAIL = """
UPDATE builds SET failures = failures + 1, lease_until = now() + least(failures + 1, 10) * interval '1 second',
    state = CASE WHEN state = 'building' AND failures + 1 >= $4 THEN 'failed' ELSE state END
WHERE account_id = $1 AND id = $2 AND lease_generation = $3
"""


class State(StrEnum):
    """See tables.py."""

    BUILDING = "building"
    ANNOUNCING = "announcing"
    SERVING = "serving"
    REPLACED = "replaced"
    RETIRED = "retired"
    FAILED = "failed"


class Lost(Exception):
    """The build was taken over or taken back, or its segment was edited or deleted: leave it alone."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some of those who may join a build, in order of id; arrays in their text form, for they only pass through."""

    people: str
    # Those among them whom the clock may move, and when it may next: microseconds since 1970.
    watched: str
    moments: str
    # With them everything up to this contact is done.
    end: UUID
    # About how many were looked at to find them.
    contacts: int


@dataclass(frozen=True, slots=True)
class Build:
    """A build as the worker that holds its lease sees it."""

    account: AccountId
    id: UUID
    segment: UUID
    # See tables.py.
    definition: str
    inlined: str
    state: State
    cut: int
    replaces: UUID | None
    position: UUID | None
    to_look_at: int
    lease: int
    # What the worker that fills it has at hand (filling.py).
    found: Sequence[Chunk] = ()

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(
            AccountId(row["account_id"]),
            row["id"],
            row["segment_id"],
            row["definition"],
            row["inlined"],
            State(row["state"]),
            row["cut"],
            row["replaces"],
            row["position"],
            row["to_look_at"],
            row["lease_generation"],
        )


async def claim(db: Database) -> Build | None:
    async with db.across() as tx:
        row = await tx.fetchrow(CLAIM, LEASE)
    return None if row is None else Build.of(row)


async def held(tx: ReadTx, build: Build) -> Build:
    """The build as it is now. Raises Lost where its lease, its state or its position is another one."""
    row = await tx.fetchrow(HELD, build.account, build.id, build.lease, build.state, build.position)
    if row is None:
        raise Lost
    return Build.of(row)


async def advance(tx: WriteTx, build: Build, position: UUID, *, members: int = 0, looked_at: int = 0) -> None:
    """Record that everything up to position is done, with so many members and contacts looked at more.

    Raises Lost, which rolls it back.
    """
    done = await tx.execute(
        ADVANCE, build.account, build.id, build.lease, position, members, looked_at, build.to_look_at, LEASE
    )
    if done == "UPDATE 0":
        raise Lost


async def count(tx: WriteTx, build: Build, *, members: int) -> None:
    """Add to the build's members without going on. Raises Lost, which rolls it back."""
    if await tx.execute(COUNT, build.account, build.id, build.lease, members) == "UPDATE 0":
        raise Lost


@asynccontextmanager
async def kept(db: Database, build: Build) -> AsyncIterator[None]:
    """Holds on to the lease through what takes long. Where that fails, `advance` will say so."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / RENEWALS)
            async with db.write(build.account) as tx:
                await tx.execute(RENEW, build.account, build.id, build.lease, LEASE)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def release(db: Database, build: Build) -> None:
    async with db.write(build.account) as tx:
        await tx.execute(RELEASE, build.account, build.id, build.lease)


async def fail(db: Database, build: Build) -> None:
    """Try again after a pause, or give up the filling; announcing and sweeping are never given up."""
    async with db.write(build.account) as tx:
        await tx.execute(FAIL, build.account, build.id, build.lease, MAX_FAILURES)
