"""Segments as the API reads and writes them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

import asyncpg
import orjson

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.segments.builds import State

# The definition is that of the newest rule; the members are those served.
READ = """
SELECT s.id, s.name, s.version, s.served_build, s.next_build, s.created_at, s.updated_at, n.state AS next_state,
    coalesce(n.definition, b.definition) AS definition, n.looked_at, n.to_look_at, coalesce(b.members, 0) AS members,
    coalesce(b.revision, 0) AS revision, now() AS as_of
FROM segments s
LEFT JOIN builds b ON b.account_id = s.account_id AND b.id = s.served_build
LEFT JOIN builds n ON n.account_id = s.account_id AND n.id = s.next_build
"""
GET = f"{READ} WHERE s.account_id = $1 AND s.id = $2"
LIST = f"{READ} WHERE s.account_id = $1 AND ($2::uuid IS NULL OR s.id < $2) ORDER BY s.id DESC LIMIT $3"
OF_CONTACT = f"""
{READ}
WHERE s.account_id = $1 AND ($3::uuid IS NULL OR s.id < $3) AND s.served_build IN (
    SELECT m.build_id FROM members m WHERE m.account_id = $1 AND m.contact_id = $2)
ORDER BY s.id DESC LIMIT $4
"""
MEMBERS = """
SELECT m.contact_id, m.joined_at, p.snapshot
FROM members m JOIN contacts_projection p ON p.account_id = m.account_id AND p.contact_id = m.contact_id
WHERE m.account_id = $1 AND m.build_id = $2 AND m.contact_id > $3
ORDER BY m.contact_id LIMIT $4
"""
AUDIENCE = """
SELECT p.snapshot
FROM members m JOIN contacts_projection p ON p.account_id = m.account_id AND p.contact_id = m.contact_id
WHERE m.account_id = $1 AND m.build_id = $2
ORDER BY m.contact_id
"""
INSERT = """
INSERT INTO segments (account_id, id, name, version, next_build, created_at, updated_at)
VALUES ($1, $2, $3, 1, $4, now(), now())
"""
INSERT_BUILD = """
INSERT INTO builds (account_id, id, segment_id, definition, inlined, state, created_at)
VALUES ($1, $2, $3, $4, $5, 'building', now())
"""
UPDATE = """
UPDATE segments SET name = $3, version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = $2
"""
RETIRE_NEXT = """
UPDATE builds SET state = 'retired', lease_until = NULL
WHERE account_id = $1 AND id = $2 AND state IN ('building', 'failed')
"""
SET_NEXT = "UPDATE segments SET next_build = $3 WHERE account_id = $1 AND id = $2"
DEFINITIONS = f"{READ} WHERE s.account_id = $1 AND s.id = ANY ($2::uuid[])"
DEPENDENTS = "SELECT segment_id, names FROM segment_references WHERE account_id = $1 AND names = ANY ($2::uuid[])"
SET_REFERENCES = """
WITH before AS (DELETE FROM segment_references WHERE account_id = $1 AND segment_id = $2 AND names <> ALL ($3::uuid[]))
INSERT INTO segment_references (account_id, segment_id, names)
SELECT $1, $2, n FROM unnest($3::uuid[]) AS n ON CONFLICT DO NOTHING
"""
MEMBERSHIP = """
SELECT m.joined_at FROM members m JOIN segments s ON s.account_id = m.account_id AND s.served_build = m.build_id
WHERE s.account_id = $1 AND s.id = $2 AND m.contact_id = $3
"""
SNAPSHOT = "SELECT snapshot FROM contacts_projection WHERE account_id = $1 AND contact_id = $2"
DELETE = "DELETE FROM segments WHERE account_id = $1 AND id = $2"
FORGET_REFERENCES = "DELETE FROM segment_references WHERE account_id = $1 AND segment_id = $2"
RETIRE_ALL = "UPDATE builds SET state = 'retired', lease_until = NULL WHERE account_id = $1 AND segment_id = $2"


@dataclass(frozen=True, slots=True)
class Segment:
    id: UUID
    name: str
    # JSON, as written.
    definition: str
    version: int
    # None until the first build is whole.
    served_build: UUID | None
    # The build of the newest rule, while it is not served.
    next_build: UUID | None
    next_state: State | None
    # Of next_build: contacts looked at, of about how many.
    looked_at: int
    to_look_at: int
    members: int
    # Of the membership.
    revision: int
    as_of: datetime
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        return cls(
            id=row["id"],
            name=row["name"],
            definition=row["definition"],
            version=row["version"],
            served_build=row["served_build"],
            next_build=row["next_build"],
            next_state=None if row["next_state"] is None else State(row["next_state"]),
            looked_at=row["looked_at"] or 0,
            to_look_at=row["to_look_at"] or 0,
            members=row["members"],
            revision=row["revision"],
            as_of=row["as_of"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )


async def get(tx: ReadTx, account: AccountId, segment: UUID) -> Segment | None:
    row = await tx.fetchrow(GET, account, segment)
    return None if row is None else Segment.of(row)


async def page(tx: ReadTx, account: AccountId, *, after: UUID | None, limit: int) -> list[Segment]:
    """Newest first."""
    return [Segment.of(row) for row in await tx.fetch(LIST, account, after, limit)]


async def page_of_contact(
    tx: ReadTx, account: AccountId, contact: UUID, *, after: UUID | None, limit: int
) -> list[Segment]:
    """The segments that the contact is in, newest first."""
    return [Segment.of(row) for row in await tx.fetch(OF_CONTACT, account, contact, after, limit)]


async def members(tx: ReadTx, account: AccountId, build: UUID, *, after: UUID, limit: int) -> list[asyncpg.Record]:
    """(contact_id, joined_at, snapshot) in order of contact id."""
    return await tx.fetch(MEMBERS, account, build, after, limit)


async def insert(tx: WriteTx, segment: UUID, *, name: str, build: UUID) -> None:
    await tx.execute(INSERT, tx.account, segment, name, build)


async def insert_build(tx: WriteTx, build: UUID, *, segment: UUID, definition: str, inlined: Mapping[str, str]) -> None:
    await tx.execute(INSERT_BUILD, tx.account, build, segment, definition, orjson.dumps(inlined).decode())


async def update(tx: WriteTx, segment: UUID, *, name: str) -> None:
    await tx.execute(UPDATE, tx.account, segment, name)


async def set_next(tx: WriteTx, segment: UUID, build: UUID) -> None:
    await tx.execute(SET_NEXT, tx.account, segment, build)


async def several(tx: ReadTx, account: AccountId, segments: Collection[UUID]) -> list[Segment]:
    """Those that there are, in no order."""
    return [Segment.of(row) for row in await tx.fetch(DEFINITIONS, account, segments)]


async def dependents(tx: ReadTx, account: AccountId, segments: Collection[UUID]) -> list[tuple[UUID, UUID]]:
    """(segment, the one that it names) of all that name any of the segments."""
    return [(row["segment_id"], row["names"]) for row in await tx.fetch(DEPENDENTS, account, segments)]


async def set_references(tx: WriteTx, segment: UUID, named: Collection[UUID]) -> None:
    await tx.execute(SET_REFERENCES, tx.account, segment, named)


async def joined_at(tx: ReadTx, account: AccountId, segment: UUID, contact: UUID) -> datetime | None:
    """Since when the contact is a member of what is served; None where it is none."""
    found: datetime | None = await tx.fetchval(MEMBERSHIP, account, segment, contact)
    return found


async def snapshot(tx: ReadTx, account: AccountId, contact: UUID) -> bytes | None:
    """The serialised Contact; None where there is none, or none any more."""
    found: bytes | None = await tx.fetchval(SNAPSHOT, account, contact)
    return found


async def retire_next(tx: WriteTx, build: UUID) -> None:
    """Give up a build that is not served yet."""
    await tx.execute(RETIRE_NEXT, tx.account, build)


async def delete(tx: WriteTx, segment: UUID) -> None:
    """Its builds are swept away in the background."""
    await tx.execute(RETIRE_ALL, tx.account, segment)
    await tx.execute(FORGET_REFERENCES, tx.account, segment)
    await tx.execute(DELETE, tx.account, segment)
