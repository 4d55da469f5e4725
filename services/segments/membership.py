"""Who is in which build, and the events that tell of each step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.events.v1 import events_pb2
from chassis.db import ReadTx, WriteTx
from chassis.outbox import MAX_OBJECTS
from services.segments.rulebooks import Entry

MEMBERS_CHANGED = "segment.members_changed"

# Looked up contact by contact (OFFSET 0 keeps the planner from joining otherwise): on a table without statistics yet
# the account alone seems selective, and it would read all of the account's members.
STORED = """
SELECT m.build_id, c.contact_id FROM unnest($2::uuid[]) AS c (contact_id), LATERAL (
    SELECT build_id FROM members WHERE account_id = $1 AND contact_id = c.contact_id OFFSET 0) AS m
"""
# In order of id, as every writer does it, late in the transaction: the lock lasts until the commit.
LOCK_BUILDS = """
SELECT id, revision FROM builds WHERE account_id = $1 AND id = ANY ($2::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""
WRITE = """
WITH counted AS (
    UPDATE builds SET members = builds.members + d.delta, revision = d.revision
    FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS d (build_id, delta, revision)
    WHERE builds.account_id = $1 AND builds.id = d.build_id
)
INSERT INTO members (account_id, build_id, contact_id, joined_at, revision)
SELECT $1, j.build_id, j.contact_id, coalesce((
    SELECT o.joined_at FROM members o
    WHERE o.account_id = $1 AND o.build_id = j.before AND o.contact_id = j.contact_id), $9), j.revision
FROM unnest($5::uuid[], $6::uuid[], $7::bigint[], $8::uuid[]) AS j (build_id, contact_id, revision, before)
"""
LEAVE = "DELETE FROM members WHERE account_id = $1 AND build_id = $2 AND contact_id = ANY ($3::uuid[])"


@dataclass(frozen=True, slots=True)
class Who:
    """A contact by both of its ids."""

    id: UUID
    public_id: str


@dataclass(frozen=True, slots=True)
class Steps:
    """The contacts that step into and out of one build in one transaction."""

    entry: Entry
    joined: Sequence[Who]
    left: Sequence[Who]


async def stored(tx: ReadTx, account: UUID, contacts: Sequence[UUID]) -> list[asyncpg.Record]:
    """(build_id, contact_id) of everything that the contacts are in, builds out of use among it."""
    return await tx.fetch(STORED, account, contacts)


async def write(tx: WriteTx, steps: Sequence[Steps], *, at: datetime) -> list[int]:
    """Write the steps with the counts that go with them; each build's revision after it, in the order of steps.

    The caller holds the rows of the contacts, so that nobody else moves them meanwhile.
    """
    builds = [step.entry.build for step in steps]
    before = {row["id"]: row["revision"] for row in await tx.fetch(LOCK_BUILDS, tx.account, builds)}
    revisions = [before[step.entry.build] + step.entry.visible for step in steps]
    moved = list(zip(steps, revisions, strict=True))
    joined = [(step.entry, who, revision) for step, revision in moved for who in step.joined]
    await tx.execute(
        WRITE,
        tx.account,
        builds,
        [len(step.joined) - len(step.left) for step in steps],
        revisions,
        [entry.build for entry, _, _ in joined],
        [who.id for _, who, _ in joined],
        # Members of a build that is still being filled count as there from its beginning.
        [revision if entry.visible else 0 for entry, _, revision in joined],
        [entry.before for entry, _, _ in joined],
        at,
    )
    left = [(tx.account, step.entry.build, [who.id for who in step.left]) for step in steps if step.left]
    if left:
        await tx.executemany(LEAVE, left)
    return revisions


@dataclass(frozen=True, slots=True)
class Step:
    """One contact's, as an event tells it."""

    public_id: str
    at: datetime
    joined: bool


def tell(tx: WriteTx, segment: str, steps: Iterable[Step], *, revision: int, bulk: bool) -> None:
    """Add the events of steps made at one revision of a segment: one for each 500 of them."""
    told = list(steps)
    for start in range(0, len(told), MAX_OBJECTS):
        event = events_pb2.SegmentMembersChanged(segment_id=segment, revision=revision)
        for step in told[start : start + MAX_OBJECTS]:
            (event.joined if step.joined else event.left).append(change(step, revision))
        tx.add_event(MEMBERS_CHANGED, event, bulk=bulk)


def change(step: Step, revision: int) -> events_pb2.MembershipChange:
    at = Timestamp()
    at.FromDatetime(step.at)
    return events_pb2.MembershipChange(contact_id=step.public_id, membership_revision=revision, at=at)
