"""The steps of a build: each one transaction, short enough that no live change feels it. See builds.py."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg

from chassis import ids
from chassis.db import Database, WriteTx
from services.segments import builds, contact_facts, filling, locks, membership, rulebooks
from services.segments.builds import Build, State
from services.segments.membership import Telling

ANNOUNCE_CHUNK = 2_000
SWEEP_CHUNK = 5_000

SERVED = """
SELECT b.id, b.revision FROM segments s LEFT JOIN builds b ON b.account_id = s.account_id AND b.id = s.served_build
WHERE s.account_id = $1 AND s.id = $2 AND s.next_build = $3
"""
REPLACE = "UPDATE builds SET state = 'replaced' WHERE account_id = $1 AND id = $2"
SERVE_BUILD = """
UPDATE builds SET state = 'announcing', replaces = $3, revision = $4, cut = $4, position = NULL, failures = 0
WHERE account_id = $1 AND id = $2
"""
SERVE_SEGMENT = "UPDATE segments SET served_build = $3, next_build = NULL WHERE account_id = $1 AND id = $2"
MEMBERS = """
SELECT contact_id, joined_at, revision FROM members
WHERE account_id = $1 AND build_id = $2 AND contact_id > $3 ORDER BY contact_id LIMIT $4
"""
DROP_MEMBERS = """
DELETE FROM members WHERE account_id = $1 AND build_id = $2 AND contact_id > $3 AND contact_id <= $4
"""
FINISH = "UPDATE builds SET state = 'serving', replaces = NULL, position = NULL WHERE account_id = $1 AND id = $2"
RETIRE = "UPDATE builds SET state = 'retired' WHERE account_id = $1 AND id = $2"
SWEEP_END = """
SELECT contact_id FROM (
    SELECT contact_id FROM members WHERE account_id = $1 AND build_id = $2 ORDER BY contact_id LIMIT $3) AS chunk
ORDER BY contact_id DESC LIMIT 1
"""
FORGET = "DELETE FROM builds WHERE account_id = $1 AND id = $2 AND lease_generation = $3"


async def take(db: Database, build: Build, *, clock: Callable[[], int] = contact_facts.now_micros) -> Build | None:
    """The next step of the build; the build as it is then, or None when it needs no more. Raises builds.Lost.

    clock: microseconds since 1970.
    """
    if build.state is State.BUILDING:
        return await fill(db, build, clock)
    if build.state is State.ANNOUNCING:
        return await announce(db, build)
    return await sweep(db, build)


async def fill(db: Database, build: Build, clock: Callable[[], int]) -> Build:
    if build.position == ids.HIGHEST:
        return await cut(db, build)
    return await filling.step(db, build, clock=clock)


async def cut(db: Database, build: Build) -> Build:
    """Everything is filled: serve it."""
    async with db.write(build.account) as tx:
        await locks.exclude(tx, build.account)
        await builds.held(tx, build)
        served = await tx.fetchrow(SERVED, build.account, build.segment, build.id)
        if served is None:
            raise builds.Lost
        if served["id"] is not None:
            await tx.execute(REPLACE, build.account, served["id"])
        await tx.execute(SERVE_BUILD, build.account, build.id, served["id"], (served["revision"] or 0) + 1)
        await tx.execute(SERVE_SEGMENT, build.account, build.segment, build.id)
        await rulebooks.advance(tx)
        return await builds.held(tx, replace(build, state=State.ANNOUNCING, position=None))


async def announce(db: Database, build: Build) -> Build | None:
    async with db.write(build.account) as tx:
        await locks.share(tx, build.account)
        now = await builds.held(tx, build)
        new, old, end = await next_members(tx, now)
        if end is None:
            await finish(tx, now)
            return None
        telling = told_steps(now, new, old, at=await tx.fetchval("SELECT now()"))
        membership.tell(tx, [telling], bulk=True)
        if now.replaces is not None:
            await tx.execute(DROP_MEMBERS, now.account, now.replaces, now.position or ids.LOWEST, end)
        await builds.advance(tx, now, end)
        return replace(now, position=end)


async def next_members(tx: WriteTx, build: Build) -> tuple[list[asyncpg.Record], list[asyncpg.Record], UUID | None]:
    """The next members of the build and of the one it replaces, up to the contact given last; None at the end."""
    position = build.position or ids.LOWEST
    new = await tx.fetch(MEMBERS, build.account, build.id, position, ANNOUNCE_CHUNK)
    old: list[asyncpg.Record] = []
    if build.replaces is not None:
        old = await tx.fetch(MEMBERS, build.account, build.replaces, position, ANNOUNCE_CHUNK)
    # Where a list was cut short, what lies beyond its last row is not known yet.
    ends = [rows[-1]["contact_id"] for rows in (new, old) if len(rows) == ANNOUNCE_CHUNK]
    end = min(ends) if ends else max((rows[-1]["contact_id"] for rows in (new, old) if rows), default=None)
    if end is None:
        return [], [], None
    return [r for r in new if r["contact_id"] <= end], [r for r in old if r["contact_id"] <= end], end


def told_steps(build: Build, new: list[asyncpg.Record], old: list[asyncpg.Record], *, at: datetime) -> Telling:
    """What the cut changed. Members that joined after it were told of when they did."""
    before = {row["contact_id"] for row in old}
    after = {row["contact_id"] for row in new}
    joined = [
        (ids.encode("cnt", row["contact_id"]), membership.timestamp(row["joined_at"]))
        for row in new
        if row["contact_id"] not in before and row["revision"] <= build.cut
    ]
    gone = membership.timestamp(at)
    left = [(ids.encode("cnt", contact), gone) for contact in sorted(before - after)]
    return Telling(ids.encode("seg", build.segment), build.cut, joined, left)


async def finish(tx: WriteTx, build: Build) -> None:
    """Everything is told."""
    await tx.execute(FINISH, build.account, build.id)
    if build.replaces is not None:
        await tx.execute(RETIRE, build.account, build.replaces)


async def sweep(db: Database, build: Build) -> Build | None:
    """Drop members of a retired build, and in the end the build."""
    async with db.write(build.account) as tx:
        await builds.held(tx, build)
        end = await tx.fetchval(SWEEP_END, build.account, build.id, SWEEP_CHUNK)
        if end is None:
            await tx.execute(FORGET, build.account, build.id, build.lease)
            return None
        await tx.execute(DROP_MEMBERS, build.account, build.id, ids.LOWEST, end)
        await builds.advance(tx, build, end)
        return replace(build, position=end)
