"""What can be done with static lists. Every write is one transaction with its events and its Idempotency-Key."""

import copy
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from carillon.contacts.v1 import lists_pb2 as pb
from carillon.events.v1 import events_pb2
from chassis import ids, paging
from chassis.call import Call
from chassis.db import Database, WriteTx
from chassis.errors import CarillonError
from chassis.telemetry import current_traceparent
from services.contacts import convert, errors
from services.contacts import repository as contacts
from services.contacts.bulk import repository as jobs
from services.contacts.bulk import writing
from services.contacts.contention import retried
from services.contacts.domain import change as changes
from services.contacts.domain import limits, lists
from services.contacts.domain.change import Change
from services.contacts.domain.contact import Contact
from services.contacts.domain.problems import invalid
from services.contacts.lists import repository
from services.contacts.lists.convert import failure, message
from services.contacts.lists.record import ContactList

# Members that a deletion takes off by itself; those of a larger list are taken off in the background.
REMOVED_AT_ONCE = 1_000


class ListService:
    def __init__(
        self, db: Database, wake_workers: Callable[[], None], *, removed_at_once: int = REMOVED_AT_ONCE
    ) -> None:
        """wake_workers: best effort, they poll besides."""
        self._db = db
        self._wake_workers = wake_workers
        self._removed_at_once = removed_at_once

    async def create(self, call: Call, *, name: str, description: str | None) -> pb.CreateListResponse:
        """Raises InvalidArgument."""
        now = datetime.now(UTC)
        with errors.refusing():
            named = lists.read_name(name)
            described = None if description is None else lists.read_description(description)
        new = ContactList(ids.new(), named, described, 0, 1, now, now)
        async with self._db.write(call) as tx:
            await repository.insert(tx, tx.account, new)
            tx.add_event("list.created", events_pb2.ListChanged(list=message(new)))
            return await tx.reply(pb.CreateListResponse(list=message(new)))

    async def get(self, call: Call, public_id: str) -> ContactList:
        """Raises NotFound."""
        list_id = parse(public_id)
        async with self._db.read(call.account) as tx:
            found = await repository.get(tx, call.account, list_id)
        if found is None:
            raise errors.not_found("list", public_id)
        return found

    async def page(self, call: Call, *, page_size: int, cursor: str, skip: int) -> tuple[list[ContactList], str]:
        """Newest first, and the cursor of the next page, empty on the last. skip: how many are passed over before."""
        limit, skip = paging.page_size(page_size), paging.skipped(skip)
        scope = f"lists {call.account}"
        before = after_cursor(cursor, scope, prefix="lst")
        async with self._db.read(call.account) as tx:
            found = await repository.page(tx, call.account, before=before, skip=skip, limit=limit + 1)
        if len(found) <= limit:
            return found, ""
        return found[:limit], paging.encode_cursor(scope, ids.encode("lst", found[limit - 1].id))

    async def count(self, call: Call) -> int:
        async with self._db.read(call.account) as tx:
            return await repository.count(tx, call.account)

    async def members(
        self, call: Call, public_id: str, *, page_size: int, cursor: str, skip: int
    ) -> tuple[list[Contact], str, int]:
        """In descending order of contact ids, the cursor of the next page, and how many there are in all.

        skip: how many are passed over before. Raises NotFound.
        """
        list_id = parse(public_id)
        limit, skip = paging.page_size(page_size), paging.skipped(skip)
        scope = f"list members {call.account} {list_id}"
        before = after_cursor(cursor, scope, prefix="cnt")
        async with self._db.read(call.account) as tx:
            listed = await repository.get(tx, call.account, list_id)
            if listed is None:
                raise errors.not_found("list", public_id)
            if skip:
                passed = await repository.member_ids(tx, call.account, list_id, before=before, limit=1, skip=skip - 1)
                if not passed:
                    return [], "", listed.member_count
                (before,) = passed
            found = await repository.members(tx, call.account, list_id, before=before, limit=limit + 1)
        if len(found) <= limit:
            return found, "", listed.member_count
        cursor = paging.encode_cursor(scope, ids.encode("cnt", found[limit - 1].id))
        return found[:limit], cursor, listed.member_count

    async def update(self, call: Call, request: pb.UpdateListRequest) -> pb.UpdateListResponse:
        """What shows no change bumps no version. Raises NotFound, Aborted(VERSION_MISMATCH), InvalidArgument."""
        async with self._db.write(call) as tx:
            before = await lock(tx, request.id, if_version=if_version(request))
            after = copy.copy(before)
            with errors.refusing():
                if request.HasField("name"):
                    after.name = lists.read_name(request.name)
                if request.clear_description:
                    after.description = None
                elif request.HasField("description"):
                    after.description = lists.read_description(request.description)
            if after != before:
                after.version, after.updated_at = before.version + 1, max(datetime.now(UTC), before.updated_at)
                await repository.update(tx, tx.account, after)
                tx.add_event("list.updated", events_pb2.ListChanged(list=message(after)))
            return await tx.reply(pb.UpdateListResponse(list=message(after)))

    @retried
    async def delete(self, call: Call, request: pb.DeleteListRequest) -> pb.DeleteListResponse:
        """Raises NotFound, Aborted(VERSION_MISMATCH)."""
        list_id = parse(request.id)
        change = Change(remove_lists=(list_id,))
        async with self._db.write(call) as tx:
            # Contacts are locked before lists, everywhere.
            few = await self._few_members(tx, list_id)
            gone = await lock(tx, request.id, if_version=if_version(request))
            # Whoever joined since then is left to the background.
            await writing.write_locked(tx, tx.account, few, change=change)
            left = await repository.member_ids(tx, tx.account, list_id, before=None, limit=1)
            await repository.delete(tx, tx.account, list_id)
            if left:
                await jobs.create(tx, ids.new(), change=change, of_list=list_id, traceparent=current_traceparent())
            told = events_pb2.ListDeleted(
                id=request.id, version=gone.version + 1, deleted_at=convert.timestamp(datetime.now(UTC))
            )
            tx.add_event("list.deleted", told)
            answer = await tx.reply(pb.DeleteListResponse())
        if left:
            self._wake_workers()
        return answer

    async def _few_members(self, tx: WriteTx, list_id: UUID) -> list[Contact]:
        """The list's members, locked; none where they are too many to be dealt with at once."""
        limit = self._removed_at_once
        found = await repository.member_ids(tx, tx.account, list_id, before=None, limit=limit + 1)
        return await contacts.lock_many(tx, tx.account, found) if found and len(found) <= limit else []

    @retried
    async def add(
        self, call: Call, *, list_ids: Sequence[str], contact_ids: Sequence[str]
    ) -> pb.AddListMembersResponse:
        """Raises NotFound for an unknown list, InvalidArgument."""
        asked = {one: parse(one) for one in list_ids}
        with errors.refusing():
            change = changes.read(add_lists=asked.values())
        async with self._db.write(call) as tx:
            written, missing = await self._write(tx, change, contact_ids)
            return await tx.reply(
                pb.AddListMembersResponse(
                    added=written.joined, not_found=missing, failed=[failure(*one) for one in written.failed]
                )
            )

    @retried
    async def remove(
        self, call: Call, *, list_ids: Sequence[str], contact_ids: Sequence[str]
    ) -> pb.RemoveListMembersResponse:
        """Raises NotFound for an unknown list, InvalidArgument."""
        asked = {one: parse(one) for one in list_ids}
        with errors.refusing():
            change = changes.read(remove_lists=asked.values())
        async with self._db.write(call) as tx:
            written, missing = await self._write(tx, change, contact_ids)
            return await tx.reply(pb.RemoveListMembersResponse(removed=written.left, not_found=missing))

    async def _write(
        self, tx: WriteTx, change: Change, contact_ids: Sequence[str]
    ) -> tuple[writing.Written, list[str]]:
        """And the contact ids that name nobody, as given."""
        asked = decode_contacts(contact_ids)
        known = {one for one in asked.values() if one is not None}
        try:
            written = await writing.write(tx, tx.account, known, change=change)
        except writing.ListsGone as gone:
            raise unknown_list(gone.missing) from gone
        return written, [public_id for public_id, one in asked.items() if one not in written.found]


def decode_contacts(contact_ids: Sequence[str]) -> dict[str, UUID | None]:
    """Public ids without repeats, None for what is no id. Raises InvalidArgument above 1,000."""
    if len(contact_ids) > limits.BULK_IDS:
        raise errors.invalid([invalid("contact_ids", f"At most {limits.BULK_IDS} ids at once.")])
    return {public_id: ids.decode("cnt", public_id) for public_id in contact_ids}


def parse(public_id: str) -> UUID:
    """Raises NotFound."""
    return errors.parse_id("lst", public_id, kind="list")


def unknown_list(missing: Collection[UUID]) -> CarillonError:
    return errors.not_found("list", ids.encode("lst", min(missing)))


async def lock(tx: WriteTx, public_id: str, *, if_version: int | None) -> ContactList:
    """Raises NotFound, Aborted(VERSION_MISMATCH)."""
    found = await repository.lock(tx, tx.account, parse(public_id))
    if found is None:
        raise errors.not_found("list", public_id)
    if if_version is not None and found.version != if_version:
        raise errors.version_mismatch(found.version, kind="list")
    return found


def if_version(request: pb.UpdateListRequest | pb.DeleteListRequest) -> int | None:
    return request.if_version if request.HasField("if_version") else None


def after_cursor(cursor: str, scope: str, *, prefix: str) -> UUID | None:
    """The id that the page before ended with. Raises InvalidArgument(INVALID_CURSOR)."""
    if not cursor:
        return None
    (last,) = paging.decode_cursor(cursor, scope, parts=1)
    return ids.decode(prefix, last)
