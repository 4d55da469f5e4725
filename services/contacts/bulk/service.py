"""One change to many contacts: at once where they are up to 1,000, else by a job in the background."""

from collections.abc import Callable, Sequence
from uuid import UUID

from carillon.contacts.v1 import bulk_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database, WriteTx
from chassis.errors import CarillonError
from chassis.telemetry import current_traceparent
from services.contacts import errors
from services.contacts.bulk import repository, writing
from services.contacts.bulk.convert import job_message, outcome
from services.contacts.bulk.record import BulkJob
from services.contacts.contention import retried
from services.contacts.domain import limits
from services.contacts.domain.change import Change
from services.contacts.domain.problems import invalid
from services.contacts.listing import pages
from services.contacts.listing.filters import Filter
from services.contacts.lists import memberships

# The poke that wakes the workers of bulk jobs.
POKE = "contacts.bulk"


class BulkService:
    def __init__(
        self, db: Database, wake_workers: Callable[[], None], *, changed_at_once: int = limits.BULK_IDS
    ) -> None:
        """wake_workers: best effort, they poll besides. changed_at_once: contacts of a filter."""
        self._db = db
        self._wake_workers = wake_workers
        self._changed_at_once = changed_at_once

    @retried
    async def change_named(
        self, call: Call, asked: dict[str, UUID | None], *, change: Change
    ) -> pb.BulkChangeContactsResponse:
        """asked: public ids, None for what is no id. Raises InvalidArgument for an unknown list."""
        known = [one for one in asked.values() if one is not None]
        async with self._db.write(call) as tx:
            written = await write(tx, known, change=change)
            missing = [public_id for public_id, one in asked.items() if one not in written.found]
            answer = outcome(written, not_found=missing)
            return await tx.reply(pb.BulkChangeContactsResponse(outcome=answer))

    @retried
    async def change_found(
        self, call: Call, wanted: Filter, *, stored: bytes, change: Change
    ) -> pb.BulkChangeContactsResponse:
        """stored: the filter as a job keeps it. Raises InvalidArgument for an unknown list."""
        async with self._db.write(call) as tx:
            limit = self._changed_at_once + 1
            found = await pages.page(tx, tx.account, wanted, limit=limit)
            if len(found) < limit:
                written = await write(tx, [hit.contact.id for hit in found], change=change)
                return await tx.reply(pb.BulkChangeContactsResponse(outcome=outcome(written)))
            missing = change.lists - await memberships.lock(tx, tx.account, change.lists)
            if missing:
                raise unknown_lists(change, missing)
            job = await repository.create(
                tx, ids.new(), change=change, filter_=stored, traceparent=current_traceparent()
            )
            answer = await tx.reply(pb.BulkChangeContactsResponse(job=job_message(job)))
        self._wake_workers()
        return answer

    async def job(self, call: Call, public_id: str) -> BulkJob:
        """Raises NotFound."""
        job_id = errors.parse_id("job", public_id, kind="job")
        async with self._db.read(call.account) as tx:
            found = await repository.get(tx, call.account, job_id)
        if found is None:
            raise errors.not_found("job", public_id)
        return found


async def write(tx: WriteTx, contact_ids: Sequence[UUID], *, change: Change) -> writing.Written:
    """Raises InvalidArgument for an unknown list."""
    try:
        return await writing.write(tx, tx.account, contact_ids, change=change)
    except writing.ListsGone as gone:
        raise unknown_lists(change, gone.missing) from gone


def unknown_lists(change: Change, missing: set[UUID]) -> CarillonError:
    """By its place in the request."""
    return errors.invalid(
        [
            invalid(f"{name}/{at}", "There is no such list.")
            for name, listed in (("add", change.add_lists), ("remove", change.remove_lists))
            for at, list_id in enumerate(listed)
            if list_id in missing
        ]
    )
