"""Who is in which build, and the events that tell of each step."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.events.v1 import events_pb2
from chassis.db import ReadTx, WriteTx
from chassis.outbox import MAX_OBJECTS
from services.segments.projection import ContactVersion
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
# Looked up row by row, as above. The contacts' rows are held, so that nobody else touches these.
LEAVE = """
DELETE FROM members WHERE account_id = $1 AND ctid = ANY (ARRAY(
    SELECT m.ctid FROM unnest($2::uuid[], $3::uuid[]) AS l (build_id, contact_id), LATERAL (
        SELECT ctid FROM members
        WHERE account_id = $1 AND build_id = l.build_id AND contact_id = l.contact_id OFFSET 0) AS m))
"""


@dataclass(frozen=True, slots=True)
class Steps:
    """The contacts that step into and out of one build in one transaction."""

    entry: Entry
    joined: Sequence[ContactVersion]
    left: Sequence[ContactVersion]


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
    joined = [(step.entry, contact, revision) for step, revision in moved for contact in step.joined]
    await tx.execute(
        WRITE,
        tx.account,
        builds,
        [len(step.joined) - len(step.left) for step in steps],
        revisions,
        [entry.build for entry, _, _ in joined],
        [contact.contact_id for _, contact, _ in joined],
        # Members of a build that is still being filled count as there from its beginning.
        [revision if entry.visible else 0 for entry, _, revision in joined],
        [entry.before for entry, _, _ in joined],
        at,
    )
    left = [(step.entry.build, contact.contact_id) for step in steps for contact in step.left]
    if left:
        await tx.execute(LEAVE, tx.account, [build for build, _ in left], [contact for _, contact in left])
    return revisions


# A contact's public id, and when it stepped.
Told: TypeAlias = tuple[str, Timestamp]


@dataclass(frozen=True, slots=True)
class Telling:
    """Steps made at one revision of a segment."""

    segment: str
    revision: int
    joined: Sequence[Told]
    left: Sequence[Told]


def tell(tx: WriteTx, tellings: Iterable[Telling], *, bulk: bool) -> None:
    """Add the events: one for each 500 steps, whatever the segments, for a message costs more than what is in it."""
    event, room = events_pb2.SegmentMembersChanged(), MAX_OBJECTS
    for telling in tellings:
        joined, left = list(telling.joined), list(telling.left)
        while joined or left:
            if not room:
                tx.add_event(MEMBERS_CHANGED, event, bulk=bulk)
                event, room = events_pb2.SegmentMembersChanged(), MAX_OBJECTS
            revision = telling.revision
            steps = event.segments.add(segment_id=telling.segment, revision=revision)
            for told, here in ((steps.joined, joined), (steps.left, left)):
                fit, here[:] = here[:room], here[room:]
                for contact, at in fit:
                    told.add(contact_id=contact, membership_revision=revision, at=at)
                room -= len(fit)
    if event.segments:
        tx.add_event(MEMBERS_CHANGED, event, bulk=bulk)


def timestamp(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made
