"""Segments as the API reads and writes them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.segments.builds import State
from services.segments.domain.rules import Condition
from services.segments.rulebooks import read_conditions, write_conditions

# The conditions are those of the newest rule; the members are those served.
READ = """
SELECT s.id, s.name, s.version, s.served_build, s.next_build, s.created_at, s.updated_at, n.state AS next_state,
    coalesce(n.conditions, b.conditions) AS conditions, coalesce(b.members, 0) AS members,
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
INSERT INTO builds (account_id, id, segment_id, conditions, state, created_at)
VALUES ($1, $2, $3, $4, 'building', now())
"""
UPDATE = """
UPDATE segments SET name = $3, next_build = $4, version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = $2
"""
RETIRE_NEXT = """
UPDATE builds SET state = 'retired', lease_until = NULL
WHERE account_id = $1 AND id = $2 AND state IN ('building', 'failed')
"""
DELETE = "DELETE FROM segments WHERE account_id = $1 AND id = $2"
RETIRE_ALL = "UPDATE builds SET state = 'retired', lease_until = NULL WHERE account_id = $1 AND segment_id = $2"


@dataclass(frozen=True, slots=True)
class Segment:
    id: UUID
    name: str
    conditions: list[Condition]
    version: int
    # None until the first build is whole.
    served_build: UUID | None
    # The build of the newest rule, while it is not served.
    next_build: UUID | None
    next_state: State | None
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
            conditions=read_conditions(row["conditions"]),
            version=row["version"],
            served_build=row["served_build"],
            next_build=row["next_build"],
            next_state=None if row["next_state"] is None else State(row["next_state"]),
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


async def insert_build(tx: WriteTx, build: UUID, *, segment: UUID, conditions: list[Condition]) -> None:
    await tx.execute(INSERT_BUILD, tx.account, build, segment, write_conditions(conditions))


async def update(tx: WriteTx, segment: UUID, *, name: str, next_build: UUID | None) -> None:
    await tx.execute(UPDATE, tx.account, segment, name, next_build)


async def retire_next(tx: WriteTx, build: UUID) -> None:
    """Give up a build that is not served yet."""
    await tx.execute(RETIRE_NEXT, tx.account, build)


async def delete(tx: WriteTx, segment: UUID) -> None:
    """Its builds are swept away in the background."""
    await tx.execute(RETIRE_ALL, tx.account, segment)
    await tx.execute(DELETE, tx.account, segment)
