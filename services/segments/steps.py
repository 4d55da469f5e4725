"""The steps of a build: each one transaction, short enough that no live change feels it. See builds.py."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg
import orjson

from chassis import ids
from chassis.db import Database, WriteTx
from services.segments import builds, contact_facts, due, engagement, locks, membership, projection, rulebooks
from services.segments.builds import Build, State
from services.segments.domain.batch import Batch
from services.segments.domain.comparisons import Compiled
from services.segments.domain.definitions import compile_with
from services.segments.domain.matcher import RuleSet
from services.segments.membership import Telling
from services.segments.predicate import compile_possible, compile_sql
from services.segments.projection import ContactVersion

# Contacts looked at in one step of filling. Only those that join are locked.
FILL_CHUNK = 5_000
# The most that may join in one step, which bounds how long their rows stay locked.
FILL_JOINS = 1_000
# The most that are looked at for when the clock may move them, which is done contact by contact.
FILL_WATCHED = 1_000
ANNOUNCE_CHUNK = 2_000
SWEEP_CHUNK = 5_000
NIL = UUID(int=0)

CHUNK_END = """
SELECT contact_id, count(*) OVER () AS contacts FROM (
    SELECT contact_id FROM contacts_projection WHERE account_id = $1 AND contact_id > $2
    ORDER BY contact_id LIMIT $3) AS chunk
ORDER BY contact_id DESC LIMIT 1
"""
COUNT = "SELECT count(*) FROM contacts_projection WHERE account_id = $1 AND contact_id > $2 AND contact_id <= $3"
# The planner's reckoning, because counting takes as long as filling does.
RECKON = "EXPLAIN (FORMAT JSON) SELECT FROM contacts_projection WHERE account_id = $1"
# A scalar subquery, because as an anti-join it may become a scan of the build's members for every contact.
# Waiting for a row, Postgres holds the newer version against the predicate again before it answers with it.
CANDIDATES = """
SELECT p.contact_id FROM contacts_projection p {join}
WHERE p.account_id = $1 AND p.contact_id > $2 AND p.contact_id <= $3 AND NOT p.deleted AND {predicate}
    AND (SELECT m.contact_id FROM members m
        WHERE m.account_id = $1 AND m.build_id = $4 AND m.contact_id = p.contact_id) IS NULL
ORDER BY p.contact_id LIMIT $5 FOR NO KEY UPDATE OF p
"""
# Messages leave the contact's row as it is. Now that it is locked, what is known of them stands still.
CONFIRMED = """
SELECT p.contact_id FROM contacts_projection p {join}
WHERE p.account_id = $1 AND p.contact_id = ANY ($2::uuid[]) AND {predicate} ORDER BY p.contact_id
"""
# Whom the clock may move in or out.
WATCHED = """
SELECT p.contact_id, p.version, p.snapshot FROM contacts_projection p {join}
WHERE p.account_id = $1 AND p.contact_id > $2 AND p.contact_id <= $3 AND NOT p.deleted AND {predicate}
ORDER BY p.contact_id LIMIT $4
"""
# Of contacts whose rows are locked. A live change may have made one a member just before it was.
JOIN = """
INSERT INTO members (account_id, build_id, contact_id, joined_at, revision)
SELECT $1, $2, c.contact_id, coalesce((
    SELECT o.joined_at FROM members o WHERE o.account_id = $1 AND o.contact_id = c.contact_id AND o.build_id = (
        SELECT served_build FROM segments WHERE account_id = $1 AND id = $4)), now()), 0
FROM unnest($3::uuid[]) AS c (contact_id)
ON CONFLICT DO NOTHING
"""
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
    async with db.write(build.account) as tx:
        await locks.share(tx, build.account)
        now = await builds.held(tx, build)
        if now.position is None:
            now = replace(now, to_look_at=await reckon(tx, build.account))
        chunk = await tx.fetchrow(CHUNK_END, now.account, now.position or NIL, FILL_CHUNK)
        if chunk is not None:
            await fill_chunk(tx, now, chunk["contact_id"], chunk["contacts"], now=clock())
            return await builds.held(tx, now)
    return await cut(db, build)


async def reckon(tx: WriteTx, account: UUID) -> int:
    """How many contacts the account has, roughly."""
    plan = orjson.loads(await tx.fetchval(RECKON, account))
    rows: int = plan[0]["Plan"]["Plan Rows"]
    return rows


async def fill_chunk(tx: WriteTx, build: Build, end: UUID, contacts: int, *, now: int) -> None:
    rule = compile_with(build.definition, orjson.loads(build.inlined))
    rules, reached = RuleSet({build.id: rule}), end
    watched = await watchable(tx, build, rule=rule, end=end, now=now) if len(rules.relative) else []
    if len(watched) == FILL_WATCHED:
        reached = watched[-1].contact_id
    found = await candidates(tx, build, rule=rule, end=reached, now=now)
    if len(found) == FILL_JOINS:
        reached = found[-1]
    if reached != end:
        contacts = await tx.fetchval(COUNT, build.account, build.position or NIL, reached)
    # The clock's next moments are written before builds are touched: everybody does it in that order.
    if watched:
        await watch(tx, rules, watched, now=now)
    found = await confirmed(tx, build, found, rule=rule, now=now)
    joined = await join(tx, build, found) if found else 0
    await builds.advance(tx, build, reached, members=joined, looked_at=contacts)


async def candidates(tx: WriteTx, build: Build, *, rule: Compiled, end: UUID, now: int) -> list[UUID]:
    """Lock contacts up to end, in order, that the rule matches and the build lacks: FILL_JOINS of them at most."""
    predicate = compile_sql(rule, first=6, now=now)
    sql = CANDIDATES.format(predicate=predicate.sql, join=predicate.join)
    rows = await tx.fetch(sql, build.account, build.position or NIL, end, build.id, FILL_JOINS, *predicate.args)
    return [row["contact_id"] for row in rows]


async def confirmed(tx: WriteTx, build: Build, contacts: list[UUID], *, rule: Compiled, now: int) -> list[UUID]:
    """Those of the contacts, whose rows are locked, that the rule matches also by the newest of their messages."""
    predicate = compile_sql(rule, first=3, now=now)
    if not contacts or not predicate.join:
        return contacts
    sql = CONFIRMED.format(predicate=predicate.sql, join=predicate.join)
    return [row["contact_id"] for row in await tx.fetch(sql, build.account, contacts, *predicate.args)]


async def watchable(tx: WriteTx, build: Build, *, rule: Compiled, end: UUID, now: int) -> list[ContactVersion]:
    """Those up to end whom the clock may move in or out, in order: FILL_WATCHED of them at most."""
    predicate = compile_possible(rule, first=5, now=now)
    sql = WATCHED.format(predicate=predicate.sql, join=predicate.join)
    rows = await tx.fetch(sql, build.account, build.position or NIL, end, FILL_WATCHED, *predicate.args)
    return [projection.stored(row) for row in rows]


async def watch(tx: WriteTx, rules: RuleSet[UUID], contacts: list[ContactVersion], *, now: int) -> None:
    """Note when the clock may move the contacts.

    Nobody's row is locked for it: whoever changes one meanwhile knows of the build, and writes what is right then.
    """
    if rules.reads_engagement:
        contacts = await engagement.join(tx, contacts)
    flips = rules.flips(Batch([contact.facts for contact in contacts], now))
    moments = {contact.contact_id: flip for contact, flip in zip(contacts, flips, strict=True) if flip is not None}
    if moments:
        await due.put_sooner(tx, moments)


async def join(tx: WriteTx, build: Build, contacts: list[UUID]) -> int:
    """The contacts, whose rows are locked, become members. Returns how many were not."""
    done = await tx.execute(JOIN, build.account, build.id, contacts, build.segment)
    return int(done.removeprefix("INSERT 0 "))


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
        return await builds.held(tx, replace(build, state=State.ANNOUNCING))


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
            await tx.execute(DROP_MEMBERS, now.account, now.replaces, now.position or NIL, end)
        await builds.advance(tx, now, end)
        return await builds.held(tx, now)


async def next_members(tx: WriteTx, build: Build) -> tuple[list[asyncpg.Record], list[asyncpg.Record], UUID | None]:
    """The next members of the build and of the one it replaces, up to the contact given last; None at the end."""
    position = build.position or NIL
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
        await tx.execute(DROP_MEMBERS, build.account, build.id, NIL, end)
        await builds.advance(tx, build, end)
        return await builds.held(tx, build)
