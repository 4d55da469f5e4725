"""What can be done with segments. Each change of rules is one transaction under the account's exclusive lock."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from carillon.events.v1 import events_pb2
from carillon.segments.v1 import segments_pb2 as pb
from chassis import ids, paging
from chassis.call import Call
from chassis.db import Database, WriteTx
from chassis.ids import AccountId
from services.segments import (
    contact_facts,
    convert,
    engagement,
    errors,
    locks,
    preview,
    references,
    repository,
    rulebooks,
)
from services.segments.builds import State
from services.segments.domain.definitions import Definition, compile_with, conditions_of, read
from services.segments.domain.faults import InvalidRule, fault_of_name
from services.segments.explanations import Explanation, explain
from services.segments.preview import Preview
from services.segments.repository import Segment

AUDIENCE_BATCH = 500
# How long an audience waits for a first build, unless the caller gives up before.
AUDIENCE_WAIT_SECONDS = 20.0
AUDIENCE_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change of a segment; None leaves it."""

    name: str | None
    # JSON; see domain/definitions.py.
    rule: str | None
    if_version: int | None


@dataclass(frozen=True, slots=True)
class Member:
    contact: UUID
    # A serialised Contact.
    snapshot: bytes
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    segments: list[Segment]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class MemberPage:
    members: list[Member]
    next_cursor: str
    revision: int


@dataclass(frozen=True, slots=True)
class Told:
    """Why a contact is in a segment or is not."""

    explanation: Explanation
    # None where it is no member.
    joined_at: datetime | None
    as_of: datetime


class Segments:
    def __init__(self, db: Database, *, wake_builder: Callable[[], None] = lambda: None) -> None:
        """wake_builder: called after a commit that leaves work for the builder."""
        self._db = db
        self._wake_builder = wake_builder

    async def create(self, call: Call, *, name: str, rule: str) -> pb.CreateSegmentResponse:
        """rule: JSON; see domain/definitions.py."""
        check_name(name)
        definition = read_rule(rule)
        async with self._db.write(call) as tx:
            await locks.exclude(tx, call.account)
            carried = await references.inlined(tx, call.account, definition, of=None)
            segment, build = ids.new(), ids.new()
            await repository.insert(tx, segment, name=name, build=build)
            await repository.insert_build(tx, build, segment=segment, definition=definition.text, inlined=carried)
            await repository.set_references(tx, segment, references.named_ids(definition))
            await rulebooks.advance(tx)
            created = await announce(tx, segment, "segment.created")
            response = await tx.reply(pb.CreateSegmentResponse(segment=convert.segment(created)))
        self._wake_builder()
        return response

    async def get(self, account: AccountId, public_id: str) -> Segment:
        async with self._db.read(account) as tx:
            found = await repository.get(tx, account, segment_uuid(public_id))
        if found is None:
            raise errors.segment_not_found(public_id)
        return found

    async def update(self, call: Call, public_id: str, edit: Edit) -> pb.UpdateSegmentResponse:
        segment = segment_uuid(public_id)
        if edit.name is not None:
            check_name(edit.name)
        definition = None if edit.rule is None else read_rule(edit.rule)
        async with self._db.write(call) as tx:
            await locks.exclude(tx, call.account)
            found = await at_version(tx, public_id, if_version=edit.if_version)
            await self._rebuild(tx, found, definition)
            await repository.update(tx, segment, name=found.name if edit.name is None else edit.name)
            updated = await announce(tx, segment, "segment.updated")
            response = await tx.reply(pb.UpdateSegmentResponse(segment=convert.segment(updated)))
        self._wake_builder()
        return response

    async def _rebuild(self, tx: WriteTx, segment: Segment, edited: Definition | None) -> None:
        """New builds, of the segment and of all that name it, where the rule is another one, or could not be built."""
        same = edited is None or edited.text == segment.definition
        if same and segment.next_state is not State.FAILED:
            return
        definition = read_rule(segment.definition) if edited is None else edited
        carried = await references.inlined(tx, tx.account, definition, of=segment.id)
        await references.build_anew(tx, segment, definition, carried)
        if not same:
            await repository.set_references(tx, segment.id, references.named_ids(definition))
            await references.rebuild_dependents(tx, segment.id)
        await rulebooks.advance(tx)

    async def delete(self, call: Call, public_id: str, *, if_version: int | None) -> pb.DeleteSegmentResponse:
        async with self._db.write(call) as tx:
            await locks.exclude(tx, call.account)
            found = await at_version(tx, public_id, if_version=if_version)
            if users := await repository.dependents(tx, call.account, [found.id]):
                raise errors.segment_in_use([ids.encode("seg", user) for user, _ in users])
            await repository.delete(tx, found.id)
            await rulebooks.advance(tx)
            tx.add_event("segment.deleted", events_pb2.SegmentChanged(segment=convert.segment(found)))
            response = await tx.reply(pb.DeleteSegmentResponse())
        self._wake_builder()
        return response

    async def preview(self, account: AccountId, rule: str) -> Preview:
        """rule: as in create. Raises InvalidArgument(INVALID_RULE)."""
        definition = read_rule(rule)
        async with self._db.read(account) as tx:
            carried = await references.inlined(tx, account, definition, of=None)
            conditions = sum(conditions_of(one) for one in (definition, *map(read, carried.values())))
            return await preview.of(tx, account, compile_with(definition.text, carried), conditions=conditions)

    async def explain(self, account: AccountId, public_id: str, contact_id: str) -> Told:
        """Raises NotFound for the segment as for the contact."""
        segment, contact = segment_uuid(public_id), ids.decode("cnt", contact_id)
        async with self._db.read(account, snapshot=True) as tx:
            found = await repository.get(tx, account, segment)
            if found is None:
                raise errors.segment_not_found(public_id)
            snapshot = None if contact is None else await repository.snapshot(tx, account, contact)
            if contact is None or snapshot is None:
                raise errors.contact_not_found(contact_id)
            definition = read_rule(found.definition)
            carried = await references.inlined(tx, account, definition, of=None)
            engaged = (await engagement.of(tx, account, [contact])).get(contact)
            joined_at = await repository.joined_at(tx, account, segment, contact)
        now = contact_facts.now_micros()
        explanation = explain(definition, carried, convert.contact(snapshot), engaged, now=now)
        return Told(explanation, joined_at, contact_facts.time_of(now))

    async def page(self, account: AccountId, *, size: int, cursor: str) -> Page:
        limit, scope = paging.page_size(size), f"segments:{account}"
        async with self._db.read(account) as tx:
            found = await repository.page(tx, account, after=after(cursor, scope), limit=limit + 1)
        return segment_page(found, limit, scope=scope)

    async def page_of_contact(self, account: AccountId, contact_id: str, *, size: int, cursor: str) -> Page:
        limit, scope = paging.page_size(size), f"contact-segments:{account}:{contact_id}"
        position, contact = after(cursor, scope), ids.decode("cnt", contact_id)
        if contact is None:
            return Page([], "")
        async with self._db.read(account) as tx:
            found = await repository.page_of_contact(tx, account, contact, after=position, limit=limit + 1)
        return segment_page(found, limit, scope=scope)

    async def members(self, account: AccountId, public_id: str, *, size: int, cursor: str) -> MemberPage:
        """A page and the membership's revision, both from one snapshot."""
        limit, scope = paging.page_size(size), f"members:{account}:{public_id}"
        position, segment = after(cursor, scope), segment_uuid(public_id)
        async with self._db.read(account, snapshot=True) as tx:
            found = await repository.get(tx, account, segment)
            if found is None:
                raise errors.segment_not_found(public_id)
            if found.served_build is None:
                return MemberPage([], "", 0)
            rows = await repository.members(
                tx, account, found.served_build, after=position or ids.LOWEST, limit=limit + 1
            )
        page = [Member(row["contact_id"], row["snapshot"], row["joined_at"]) for row in rows[:limit]]
        more = paging.encode_cursor(scope, str(page[-1].contact)) if len(rows) > limit else ""
        return MemberPage(page, more, found.revision)

    async def audience(self, account: AccountId, public_id: str) -> AsyncGenerator[list[bytes], None]:
        """All members as serialised contacts, AUDIENCE_BATCH at a time, from one snapshot.

        Waits for a running build, the first or one after an edit.
        Raises NotFound, Unavailable (the build takes too long), FailedPrecondition.
        """
        await self._wait_until_served(account, public_id)
        async with self._db.read(account, snapshot=True) as tx:
            found = await repository.get(tx, account, segment_uuid(public_id))
            if found is None:
                raise errors.segment_not_found(public_id)
            if found.served_build is None or found.next_state is not None:
                # Edited since; the caller comes again.
                raise errors.still_building(public_id)
            cursor = await tx.connection.cursor(repository.AUDIENCE, account, found.served_build)
            while rows := await cursor.fetch(AUDIENCE_BATCH):
                yield [row["snapshot"] for row in rows]

    async def _wait_until_served(self, account: AccountId, public_id: str) -> None:
        ends = asyncio.get_running_loop().time() + AUDIENCE_WAIT_SECONDS
        while True:
            found = await self.get(account, public_id)
            if found.next_state is State.FAILED:
                raise errors.build_failed(public_id)
            # While another rule is being built, the members served are still those of the rule before.
            if found.served_build is not None and found.next_state is None:
                return
            if asyncio.get_running_loop().time() > ends:
                raise errors.still_building(public_id)
            await asyncio.sleep(AUDIENCE_POLL_SECONDS)


async def at_version(tx: WriteTx, public_id: str, *, if_version: int | None) -> Segment:
    """The segment, which nobody else changes while the lock is held. Raises NotFound, Aborted(VERSION_MISMATCH)."""
    found = await repository.get(tx, tx.account, segment_uuid(public_id))
    if found is None:
        raise errors.segment_not_found(public_id)
    if if_version is not None and if_version != found.version:
        raise errors.version_mismatch(found.version)
    return found


async def announce(tx: WriteTx, segment: UUID, event: str) -> Segment:
    """The segment as it stands now, also in an event."""
    found = await repository.get(tx, tx.account, segment)
    assert found is not None
    tx.add_event(event, events_pb2.SegmentChanged(segment=convert.segment(found)))
    return found


def segment_uuid(public_id: str) -> UUID:
    segment = ids.decode("seg", public_id)
    if segment is None:
        raise errors.segment_not_found(public_id)
    return segment


def check_name(name: str) -> None:
    fault = fault_of_name(name)
    if fault:
        raise errors.invalid_name(fault)


def read_rule(rule: str) -> Definition:
    try:
        return read(rule)
    except InvalidRule as error:
        raise errors.invalid_rule(error.faults) from error


def after(cursor: str, scope: str) -> UUID | None:
    """Where the page before ended. Raises InvalidArgument(INVALID_CURSOR)."""
    if not cursor:
        return None
    part = paging.decode_cursor(cursor, scope, parts=1)[0]
    try:
        return UUID(part)
    except ValueError as error:
        raise errors.invalid_cursor() from error


def segment_page(found: list[Segment], limit: int, *, scope: str) -> Page:
    page = found[:limit]
    return Page(page, paging.encode_cursor(scope, str(page[-1].id)) if len(found) > limit else "")
