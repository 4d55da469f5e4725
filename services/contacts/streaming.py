"""Contacts as services read them that keep a copy: in order of id, a message at a time."""

from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import UUID

import asyncpg

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database
from chassis.outbox import MAX_OBJECTS
from services.contacts import convert, errors, events, repository, snapshot
from services.contacts.domain.contact import Contact
from services.contacts.domain.problems import Problem, invalid

EVERYBODY = 2**63
CONTACTS = f"""
SELECT {repository.SELECTED} FROM contacts AS c WHERE c.account_id = $1 AND c.id > $2 ORDER BY c.id LIMIT $3
"""
VERSIONS = "SELECT id, version, updated_at FROM contacts WHERE account_id = $1 AND id > $2 ORDER BY id LIMIT $3"
CONTACTS_BY_ID = f"""
SELECT {repository.SELECTED} FROM contacts AS c WHERE c.account_id = $1 AND c.id = ANY ($2::uuid[]) ORDER BY c.id
"""
VERSIONS_BY_ID = """
SELECT id, version, updated_at FROM contacts WHERE account_id = $1 AND id = ANY ($2::uuid[]) ORDER BY id
"""
TOMBSTONES = """
SELECT contact_id, version, deleted_at FROM tombstones
WHERE account_id = $1 AND contact_id = ANY ($2::uuid[]) ORDER BY contact_id
"""
FIELD = snapshot.varint(pb.StreamContactsResponse.DESCRIPTOR.fields_by_name["contacts"].number << 3 | 2)


class StreamService:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def stream(self, call: Call, request: pb.StreamContactsRequest) -> AsyncIterator[pb.StreamContactsResponse]:
        """Raises InvalidArgument."""
        after, wanted = checked(request)
        if wanted:
            async for response in self._named(call, wanted, versions_only=request.versions_only):
                yield response
            return
        sql = VERSIONS if request.versions_only else CONTACTS
        left = request.limit or EVERYBODY
        while left:
            size = min(MAX_OBJECTS, left)
            async with self._db.read(call.account) as tx:
                rows = await tx.fetch(sql, call.account, after, size)
            for response in pages(rows, versions_only=request.versions_only):
                yield response
            if len(rows) < size:
                return
            left -= size
            after = rows[-1]["id"]

    async def _named(
        self, call: Call, wanted: Sequence[UUID], *, versions_only: bool
    ) -> AsyncIterator[pb.StreamContactsResponse]:
        async with self._db.read(call.account, snapshot=True) as tx:
            rows = await tx.fetch(VERSIONS_BY_ID if versions_only else CONTACTS_BY_ID, call.account, wanted)
            gone = await tx.fetch(TOMBSTONES, call.account, wanted)
        for response in pages(rows, versions_only=versions_only):
            yield response
        if gone:
            yield pb.StreamContactsResponse(tombstones=map(tombstone, gone))


def pages(rows: Sequence[asyncpg.Record], *, versions_only: bool) -> Iterator[pb.StreamContactsResponse]:
    if versions_only:
        if rows:
            yield pb.StreamContactsResponse(contacts=map(version, rows))
        return
    for data in events.batches(entries([repository.contact(row) for row in rows])):
        yield pb.StreamContactsResponse.FromString(data)


def entries(contacts: Sequence[Contact]) -> Iterator[bytes]:
    """A serialised StreamContactsResponse of each: joined, they are one of all."""
    for data in snapshot.contacts(contacts):
        yield b"".join((FIELD, snapshot.length_of(data), data))


def version(row: asyncpg.Record) -> pb.Contact:
    return pb.Contact(
        id=ids.encode("cnt", row["id"]), version=row["version"], updated_at=convert.timestamp(row["updated_at"])
    )


def tombstone(row: asyncpg.Record) -> pb.Tombstone:
    return pb.Tombstone(
        id=ids.encode("cnt", row["contact_id"]),
        version=row["version"],
        deleted_at=convert.timestamp(row["deleted_at"]),
    )


def checked(request: pb.StreamContactsRequest) -> tuple[UUID, Sequence[UUID]]:
    """Behind which contact, and which ones, where they are named. Raises InvalidArgument."""
    problems: list[Problem] = []
    after = ids.decode("cnt", request.after_id) if request.after_id else ids.LOWEST
    if after is None:
        problems.append(invalid("after_id", "No contact's id."))
    if request.limit < 0:
        problems.append(invalid("limit", "Not below 0."))
    wanted = [ids.decode("cnt", public_id) for public_id in request.ids[:MAX_OBJECTS]]
    known = [contact_id for contact_id in wanted if contact_id is not None]
    if len(request.ids) > MAX_OBJECTS:
        problems.append(invalid("ids", f"At most {MAX_OBJECTS} at once."))
    elif len(known) < len(wanted):
        problems.append(invalid("ids", "A text among them is no contact's id."))
    elif wanted and (request.after_id or request.limit):
        problems.append(invalid("ids", "Neither after_id nor limit goes with them."))
    if problems or after is None:
        raise errors.invalid(problems)
    return after, known
