"""Who is in which build, and the events that tell of each step."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.events.v1 import events_pb2
from chassis import copytext
from chassis.db import ReadTx, WriteTx
from chassis.outbox import MAX_OBJECTS
from services.segments.projection import ContactVersion
from services.segments.rulebooks import Entry

MEMBERS_CHANGED = "segment.members_changed"
# The build before where there was none.
NONE = UUID(int=0)

# Looked up contact by contact (OFFSET 0 keeps the planner from joining otherwise): on a table without statistics yet
# the account alone seems selective, and it would read all of the account's members.
STORED = """
SELECT m.build_id, c.contact_id FROM unnest($2::uuid[]) AS c (contact_id), LATERAL (
    SELECT build_id FROM members WHERE account_id = $1 AND contact_id = c.contact_id OFFSET 0) AS m
"""
# In order of id, as every writer does it, late in the transaction: the lock lasts until the commit.
LOCK_BUILDS = """
SELECT revision FROM builds WHERE account_id = $1 AND id = ANY ($2::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""
# Who joins names its build by its place, for each is there many times. Arrays that are read by place hold no nulls and
# come as they are: otherwise each reading would go through the whole array. $9: when.
WRITE = """
WITH counted AS (
    UPDATE builds SET members = builds.members + d.delta, revision = d.revision
    FROM unnest($2::uuid[], $3::text::bigint[], $4::text::bigint[]) AS d (build_id, delta, revision)
    WHERE builds.account_id = $1 AND builds.id = d.build_id
)
INSERT INTO members (account_id, build_id, contact_id, joined_at, revision)
SELECT $1, j.build_id, j.contact_id, coalesce((
    SELECT o.joined_at FROM members o
    WHERE o.account_id = $1 AND o.build_id = j.before AND o.contact_id = j.contact_id), $9), j.revision
FROM (
    SELECT ($2::uuid[])[build] AS build_id, ($5::bigint[])[build] AS revision, ($6::uuid[])[build] AS before,
        contact_id
    FROM unnest($7::text::int[], $8::uuid[]) AS place (build, contact_id)) AS j
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


async def write(tx: WriteTx, steps: Sequence[Steps], *, at: datetime) -> dict[UUID, int]:
    """Write the steps with the counts that go with them; each build's revision after it. Each build may occur once.

    The caller holds the rows of the contacts, so that nobody else moves them meanwhile.
    """
    ordered = sorted(steps, key=lambda step: step.entry.build)
    builds = [step.entry.build for step in ordered]
    # That of a build nobody sees yet is set by its cut.
    revisions = [row["revision"] + 1 for row in await tx.fetch(LOCK_BUILDS, tx.account, builds)]
    await tx.execute(
        WRITE,
        tx.account,
        builds,
        copytext.numbers([len(step.joined) - len(step.left) for step in ordered]),
        copytext.numbers(revisions),
        # Members of a build that is still being filled count as there from its beginning.
        [known if step.entry.visible else 0 for known, step in zip(revisions, ordered, strict=True)],
        [step.entry.before or NONE for step in ordered],
        copytext.numbers([place for place, step in enumerate(ordered, 1) for _ in step.joined]),
        [contact.contact_id for step in ordered for contact in step.joined],
        at,
    )
    left = [(step.entry.build, contact.contact_id) for step in steps for contact in step.left]
    if left:
        await tx.execute(LEAVE, tx.account, [build for build, _ in left], [contact for _, contact in left])
    return dict(zip(builds, revisions, strict=True))


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
    for segments in packed(tellings):
        # Made of dictionaries in one go, which takes little more than half the time of adding to it.
        event = events_pb2.SegmentMembersChanged(segments=segments)  # type: ignore[arg-type]  # they serve as messages
        tx.add_event(MEMBERS_CHANGED, event, bulk=bulk)


def packed(tellings: Iterable[Telling]) -> Iterator[list[dict[str, object]]]:
    segments: list[dict[str, object]] = []
    room = MAX_OBJECTS
    for telling in tellings:
        joined, left = telling.joined, telling.left
        while joined or left:
            if not room:
                yield segments
                segments, room = [], MAX_OBJECTS
            joined_here, joined = joined[:room], joined[room:]
            room -= len(joined_here)
            left_here, left = left[:room], left[room:]
            room -= len(left_here)
            segments.append(
                {
                    "segment_id": telling.segment,
                    "revision": telling.revision,
                    "joined": changes(joined_here, telling.revision),
                    "left": changes(left_here, telling.revision),
                }
            )
    if segments:
        yield segments


def changes(told: Sequence[Told], revision: int) -> list[dict[str, object]]:
    return [{"contact_id": contact, "membership_revision": revision, "at": at} for contact, at in told]


def timestamp(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made
