"""What can be done with contacts. Every write is one transaction with its event and its Idempotency-Key."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database, WriteTx
from chassis.errors import CarillonError
from chassis.insertions import Insertions
from services.contacts import convert, errors, events, repository, snapshot
from services.contacts.contention import ATTEMPTS, contended, retried
from services.contacts.domain import identity, limits, tags
from services.contacts.domain.contact import Contact, Patch, apply, changed_fields, fill
from services.contacts.domain.problems import invalid
from services.contacts.erasure.hashing import AddressHash
from services.contacts.erasure.repository import erase
from services.contacts.metrics import CREATIONS


class LostRace(Exception):
    """What was just seen is gone again; look anew."""


class ContactService:
    def __init__(self, db: Database, hashes: AddressHash) -> None:
        self._db = db
        self._hashes = hashes
        self._insertions = Insertions(db, repository.INSERT, CREATIONS)

    async def create(self, call: Call, patch: Patch, *, upsert: bool) -> pb.CreateContactResponse:
        """Raises InvalidArgument, AlreadyExists(CONTACT_EXISTS or IDENTITY_CONFLICT), ResourceExhausted(OVERLOADED)."""
        now = datetime.now(UTC)
        new = Contact(id=ids.new(), created_at=now, updated_at=now)
        with errors.refusing():
            fill(new, patch.sets)
        created = pb.CreateContactResponse(contact=convert.contact(new), created=True)
        (event,) = events.contacts_changed("contact.created", call.account, [snapshot.change(new)], bulk=False)
        body = repository.body(new)
        for _ in range(ATTEMPTS):
            try:
                if await self._insertions.insert(call, new.id, body, event=event, response=created):
                    return created
                async with self._db.write(call) as tx:
                    return await tx.reply(await self._meet(tx, new, patch=patch, upsert=upsert))
            except (LostRace, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                continue
        raise contended()

    async def _meet(self, tx: WriteTx, new: Contact, *, patch: Patch, upsert: bool) -> pb.CreateContactResponse:
        """Where others have keys of the new contact."""
        holders = identity.others(await repository.holders(tx, tx.account, identity.keys(new)))
        if not holders:
            raise LostRace
        if len(holders) > 1 or not upsert:
            raise errors.taken(holders)
        before = await repository.lock(tx, tx.account, holders[0].id)
        if before is None or not {*identity.pairs(before)} & {*identity.pairs(new)}:
            raise LostRace
        with errors.refusing():
            keys = identity.keys(apply(before, patch))
        if clashing := identity.others(await repository.holders(tx, tx.account, keys), than=before.id):
            raise errors.taken(clashing)
        return pb.CreateContactResponse(contact=convert.contact(await write(tx, before, patch)), created=False)

    async def get(self, call: Call, public_id: str) -> Contact:
        """Raises NotFound."""
        contact_id = errors.parse_id("cnt", public_id, kind="contact")
        found = await repository.find(self._db, call.account, contact_id)
        if found is None:
            raise errors.not_found("contact", public_id)
        return found

    async def update(
        self, call: Call, public_id: str, *, patch: Patch, if_version: int | None
    ) -> pb.UpdateContactResponse:
        """Raises NotFound, Aborted(VERSION_MISMATCH) and what `create` raises."""
        contact_id = errors.parse_id("cnt", public_id, kind="contact")
        for _ in range(ATTEMPTS):
            try:
                async with self._db.write(call) as tx:
                    before = await lock(tx, public_id)
                    if if_version is not None and before.version != if_version:
                        raise errors.version_mismatch(before.version)
                    after = await write(tx, before, patch)
                    return await tx.reply(pb.UpdateContactResponse(contact=convert.contact(after)))
            except asyncpg.DeadlockDetectedError:
                # An import holds the key and waits for the contact.
                continue
            except asyncpg.UniqueViolationError:
                clash = await self._clash(call, contact_id, patch=patch)
                if clash is not None:
                    raise clash from None
        raise contended()

    async def _clash(self, call: Call, contact_id: UUID, *, patch: Patch) -> CarillonError | None:
        """Which other contacts have the keys that the patch would give; None when they are free by now."""
        async with self._db.read(call.account) as tx:
            before = await repository.get(tx, call.account, contact_id)
            if before is None:
                return None
            keys = identity.keys(apply(before, patch))
            holders = identity.others(await repository.holders(tx, call.account, keys), than=contact_id)
        return errors.taken(holders) if holders else None

    @retried
    async def delete(self, call: Call, public_id: str, *, if_version: int | None) -> pb.DeleteContactResponse:
        """Raises NotFound, Aborted(VERSION_MISMATCH)."""
        contact_id = errors.parse_id("cnt", public_id, kind="contact")
        now = datetime.now(UTC)
        async with self._db.write(call) as tx:
            gone = await erase(tx, tx.account, [contact_id], hashes=self._hashes, if_version=if_version, at=now)
            if not gone:
                present = await repository.get(tx, tx.account, contact_id)
                if present is None:
                    raise errors.not_found("contact", public_id)
                raise errors.version_mismatch(present.version)
            tx.add_events(events.contacts_deleted(tx.account, gone, at=now, bulk=False))
            return await tx.reply(pb.DeleteContactResponse())

    @retried
    async def delete_many(self, call: Call, public_ids: Sequence[str]) -> pb.BulkDeleteContactsResponse:
        """Raises InvalidArgument above 1,000 ids."""
        if len(public_ids) > limits.BULK_DELETE_IDS:
            raise errors.invalid([invalid("contact_ids", f"At most {limits.BULK_DELETE_IDS} ids at once.")])
        asked = {public_id: ids.decode("cnt", public_id) for public_id in public_ids}
        known = {contact_id for contact_id in asked.values() if contact_id is not None}
        now = datetime.now(UTC)
        async with self._db.write(call) as tx:
            gone = await erase(tx, tx.account, known, hashes=self._hashes, if_version=None, at=now)
            tx.add_events(events.contacts_deleted(tx.account, gone, at=now, bulk=len(gone) > 1))
            deleted = {one.doomed.id for one in gone}
            missing = [public_id for public_id, contact_id in asked.items() if contact_id not in deleted]
            return await tx.reply(pb.BulkDeleteContactsResponse(deleted=len(gone), not_found=missing))

    async def look_up(self, call: Call, key: str, value: str | None) -> tuple[Contact, int]:
        """key: phone, email or external_id; value: normalised, None where it cannot be one. Raises NotFound."""
        found = None
        if value is not None:
            found = await repository.look_up(self._db, call.account, key, value)
        if found is None:
            raise errors.no_such_key(key)
        return found

    async def add_tags(self, call: Call, public_id: str, *, more: Sequence[str]) -> pb.AddTagsResponse:
        """Raises NotFound, InvalidArgument."""
        with errors.refusing():
            wanted = tags.clean(more)
        async with self._db.write(call) as tx:
            before = await lock(tx, public_id)
            with errors.refusing():
                together = tags.add(before.tags, wanted)
            after = await write(tx, before, Patch({"tags": together}))
            return await tx.reply(pb.AddTagsResponse(contact=convert.contact(after)))

    async def remove_tag(self, call: Call, public_id: str, *, tag: str) -> pb.RemoveTagResponse:
        """Raises NotFound for the contact and for the tag."""
        async with self._db.write(call) as tx:
            before = await lock(tx, public_id)
            if tag not in before.tags:
                raise errors.no_such_tag(tag)
            left = [present for present in before.tags if present != tag]
            after = await write(tx, before, Patch({"tags": left}))
            return await tx.reply(pb.RemoveTagResponse(contact=convert.contact(after)))


async def lock(tx: WriteTx, public_id: str) -> Contact:
    """Raises NotFound."""
    contact_id = errors.parse_id("cnt", public_id, kind="contact")
    found = await repository.lock(tx, tx.account, contact_id)
    if found is None:
        raise errors.not_found("contact", public_id)
    return found


async def write(tx: WriteTx, before: Contact, patch: Patch) -> Contact:
    """Write a patch onto a locked contact and tell of it. What shows no change bumps no version and tells nothing."""
    with errors.refusing():
        after = apply(before, patch)
    if after == before:
        return before
    changed = changed_fields(before, after)
    if changed:
        after.version = before.version + 1
        after.updated_at = max(datetime.now(UTC), before.updated_at)
        change = snapshot.change(after, [*changed, "updated_at"])
        tx.add_events(events.contacts_changed("contact.updated", tx.account, [change], bulk=False))
    await repository.update(tx, tx.account, before=before, after=after)
    return after
