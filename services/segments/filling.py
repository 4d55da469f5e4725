"""Filling a build: find whom the rule matches, in one look that locks nothing, and let them join in short steps.

What was found may be old by the time it is used. Whoever changed since is none of this module's business: evaluators
have known of the build for as long as it exists, and keep it in step. So those who were found are held still, a
thousand at a time, and looked at again as they are then; and those who were not found, and match by now, are members
already.

Where nobody evaluates just then, evaluations are kept away for the milliseconds that a step takes, and another thousand
join beside, on a second connection. Otherwise the rows are locked, which makes a step half as long again and writes
whole pages to the log.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import orjson

from chassis import ids
from chassis.db import Database, WriteTx
from services.segments import builds, due, locks, projection
from services.segments.builds import Build, Chunk
from services.segments.domain.boolean import leaves
from services.segments.domain.comparisons import RELATIVE, Compiled
from services.segments.domain.definitions import compile_with
from services.segments.domain.matcher import is_engagement
from services.segments.predicate import compile_found, compile_sql

# Contacts looked at in one go: what a killed worker costs.
FIND_CONTACTS = 2_000_000
# The most that are found in one go, which bounds memory.
FIND_ROWS = 100_000
# Those who join in one step, which bounds how long their rows stay locked.
JOIN_ROWS = 1_000
NOBODY = "{}"

RANGE_END = """
SELECT contact_id FROM contacts_projection WHERE account_id = $1 AND contact_id > $2
ORDER BY contact_id OFFSET $3 LIMIT 1
"""
# Without a lock, so that all processors take part.
FIND = """
SELECT array_agg(contact_id ORDER BY contact_id)::text AS people,
    coalesce(array_agg(contact_id ORDER BY contact_id) FILTER (WHERE due_at IS NOT NULL), '{{}}')::text AS watched,
    coalesce(array_agg(due_at ORDER BY contact_id) FILTER (WHERE due_at IS NOT NULL), '{{}}')::text AS moments,
    (array_agg(contact_id ORDER BY contact_id))[count(*)] AS last, count(*) AS size
FROM (
    SELECT contact_id, due_at, (row_number() OVER (ORDER BY contact_id) - 1) / $5 AS chunk FROM (
        SELECT p.contact_id, {due} AS due_at FROM contacts_projection p {join}
        WHERE p.account_id = $1 AND p.contact_id > $2 AND p.contact_id <= $3 AND NOT p.deleted AND {predicate}
        ORDER BY p.contact_id LIMIT $4) AS found) AS numbered
GROUP BY chunk ORDER BY chunk
"""
LOCKED = "FOR NO KEY UPDATE OF p"
LOCK = """
SELECT FROM contacts_projection WHERE account_id = $1 AND contact_id = ANY ((SELECT $2::text::uuid[])::uuid[])
ORDER BY contact_id FOR NO KEY UPDATE
"""
# The array is read once, and not for every row. Waiting for a row, Postgres holds the newer version against the
# predicate before it answers with it. A live change may have made a contact a member just before.
JOIN = """
INSERT INTO members (account_id, build_id, contact_id, joined_at, revision)
SELECT $1, $2, c.contact_id, coalesce((
    SELECT o.joined_at FROM members o WHERE o.account_id = $1 AND o.contact_id = c.contact_id AND o.build_id = (
        SELECT served_build FROM segments WHERE account_id = $1 AND id = $4)), now()), 0
FROM (
    SELECT p.contact_id FROM contacts_projection p {join}
    WHERE p.account_id = $1 AND p.contact_id = ANY ((SELECT $3::text::uuid[])::uuid[]) AND NOT p.deleted AND {predicate}
    ORDER BY p.contact_id {lock}) AS c
ON CONFLICT DO NOTHING
"""


async def step(db: Database, build: Build, *, clock: Callable[[], int]) -> Build:
    """Find those behind the build's position, if none are at hand, and let the next of them join.

    Returns the build as it is then, at ids.HIGHEST when nobody is left. Raises builds.Lost. clock: microseconds since
    1970; asked once evaluations are kept away, or the rows are locked, for they must not have gone by a later one.
    """
    rule = compile_with(build.definition, orjson.loads(build.inlined))
    if not build.found:
        build = await find(db, build, rule, now=clock())
    async with db.write(build.account, repeatable=True) as tx:
        # Taken before evaluations are kept away: they may come to wait on all others.
        async with db.write(build.account, repeatable=True) as beside:
            alone = await locks.exclude_at_once(tx, build.account)
            if not alone:
                await locks.share(tx, build.account)
            await builds.held(tx, build)
            chunks = build.found[: 2 if alone else 1]
            if len(chunks) == 2:
                joined = await join_both(tx, beside, build, rule, *chunks, clock=clock)
            else:
                joined = await join(tx, build, rule, *chunks, alone=alone, clock=clock)
        end, looked_at = chunks[-1].end, sum(chunk.contacts for chunk in chunks)
        await builds.advance(tx, build, end, members=joined, looked_at=looked_at)
    return replace(build, position=end, found=build.found[len(chunks) :])


async def find(db: Database, build: Build, rule: Compiled, *, now: int) -> Build:
    """The build with those who may join, or whom the clock may move, from its position on."""
    position = build.position or ids.LOWEST
    async with builds.kept(db, build), db.read(build.account) as tx:
        await tx.plan_each()
        # Reckoned, because counting takes as long as filling does.
        contacts = build.to_look_at or await tx.planned_rows(projection.OF_ACCOUNT, build.account)
        end = None
        if contacts > FIND_CONTACTS:
            end = await tx.fetchval(RANGE_END, build.account, position, FIND_CONTACTS)
        wanted = compile_found(rule, first=6, now=now)
        sql = FIND.format(due=wanted.due, join=wanted.join, predicate=wanted.sql)
        rows = await tx.fetch(sql, build.account, position, end or ids.HIGHEST, FIND_ROWS, JOIN_ROWS, *wanted.args)
    found = sum(row["size"] for row in rows)
    looked_at = min(contacts, FIND_CONTACTS) if found < FIND_ROWS else found
    chunks = [
        Chunk(row["people"], row["watched"], row["moments"], row["last"], looked_at * row["size"] // found)
        for row in rows
    ]
    if found < FIND_ROWS:
        # Behind the last of them there is nobody.
        last = chunks.pop() if chunks else Chunk(NOBODY, NOBODY, NOBODY, ids.HIGHEST, looked_at)
        chunks.append(replace(last, end=end or ids.HIGHEST))
    return replace(build, to_look_at=contacts, found=chunks)


async def join(
    tx: WriteTx, build: Build, rule: Compiled, chunk: Chunk, *, alone: bool, clock: Callable[[], int]
) -> int:
    """How many of the chunk became members. alone: no evaluation of the account runs."""
    # Contacts, then the clock's next moments, then builds: everybody takes them in that order.
    joined = await let_in(tx, build, rule, chunk.people, alone=alone, clock=clock) if chunk.people != NOBODY else 0
    # A contact that changed meanwhile has its moment already, and keeps it where that is sooner.
    if chunk.watched != NOBODY:
        await due.put_all_sooner(tx, chunk.watched, chunk.moments)
    return joined


async def join_both(
    tx: WriteTx, beside: WriteTx, build: Build, rule: Compiled, first: Chunk, second: Chunk, *, clock: Callable[[], int]
) -> int:
    """How many of the first chunk became members.

    The second joins in a transaction that commits before tx does, and counts for itself: where tx fails, they are
    members already when the step is taken again.
    """

    async def join_second() -> None:
        await beside.plan_each()
        await builds.count(beside, build, members=await join(beside, build, rule, second, alone=True, clock=clock))

    joined, failed = await asyncio.gather(
        join(tx, build, rule, first, alone=True, clock=clock), join_second(), return_exceptions=True
    )
    # Only now that no statement runs on either connection.
    if isinstance(joined, BaseException):
        raise joined
    if failed is not None:
        raise failed
    # Where its connection is gone, so is the lock, and evaluations went on while the second looked.
    await builds.held(tx, build)
    return joined


async def let_in(
    tx: WriteTx, build: Build, rule: Compiled, contacts: str, *, alone: bool, clock: Callable[[], int]
) -> int:
    """Those of the contacts, the text form of an array, that the rule matches become members. How many were not."""
    if not alone and any(one.how in RELATIVE or is_engagement(one.column) for one in leaves(rule)):
        # Messages and time leave the contact's row as it is. Once it is locked, what is known of messages stands still
        # for the statements that follow, and nobody has evaluated it at a later moment than theirs.
        await tx.execute(LOCK, build.account, contacts)
    predicate = compile_sql(rule, first=5, now=clock())
    sql = JOIN.format(join=predicate.join, predicate=predicate.sql, lock="" if alone else LOCKED)
    done = await tx.execute(sql, build.account, build.id, contacts, build.segment, *predicate.args)
    return int(done.removeprefix("INSERT 0 "))
