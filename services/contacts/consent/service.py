"""Preferences, the evidence of their changes, opt-outs, and what an account asks of consent."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from carillon.contacts.v1 import consent_pb2 as pb
from chassis import ids, paging
from chassis.call import Call
from chassis.db import Database, WriteTx
from services.contacts import convert as contact_convert
from services.contacts import errors
from services.contacts import repository as contacts
from services.contacts.consent import convert, repository
from services.contacts.consent.record import Consent, Optout
from services.contacts.domain import consent as rules
from services.contacts.domain.consent import Evidence, Preference
from services.contacts.domain.contact import Contact, Patch
from services.contacts.erasure import repository as erasure
from services.contacts.erasure.hashing import AddressHash
from services.contacts.listing import order as orders
from services.contacts.listing import pages
from services.contacts.listing.filters import ANY, Filter
from services.contacts.listing.order import NEWEST
from services.contacts.service import lock, write


class ConsentService:
    def __init__(self, db: Database, hashes: AddressHash) -> None:
        self._db = db
        self._hashes = hashes

    async def set_preferences(
        self,
        call: Call,
        public_id: str,
        *,
        wanted: Mapping[str, Preference],
        evidence: Evidence,
        if_version: int | None,
    ) -> pb.SetPreferencesResponse:
        """What is so already changes nothing and leaves no evidence.

        Raises NotFound, Aborted(VERSION_MISMATCH), InvalidArgument.
        """
        async with self._db.write(call) as tx:
            after = await self.say(tx, public_id, wanted=wanted, evidence=evidence, if_version=if_version)
            return await tx.reply(pb.SetPreferencesResponse(contact=contact_convert.contact(after)))

    async def say(
        self,
        tx: WriteTx,
        public_id: str,
        *,
        wanted: Mapping[str, Preference],
        evidence: Evidence,
        if_version: int | None = None,
    ) -> Contact:
        """As set_preferences, in a transaction of the caller's."""
        before = await lock(tx, public_id)
        if if_version is not None and before.version != if_version:
            raise errors.version_mismatch(before.version)
        with errors.refusing():
            changes = rules.changes(before.preferences, wanted)
        if not changes:
            return before
        after = await write(tx, before, Patch({"preferences": rules.after(before.preferences, changes)}))
        now = datetime.now(UTC)
        entries = [
            Consent(
                id=ids.new(),
                channel=change.channel,
                before=change.before,
                after=change.after,
                source=evidence.source,
                text=evidence.text,
                actor=evidence.actor,
                at=now,
            )
            for change in changes
        ]
        await repository.keep(tx, tx.account, before.id, entries)
        await self._lift(tx, after, [change.channel for change in changes if change.after == "opted_in"])
        return after

    async def _lift(self, tx: WriteTx, contact: Contact, channels: Sequence[str]) -> None:
        """What a deleted contact with the same address had refused."""
        for by_email, address in ((False, contact.phone), (True, contact.email_normal)):
            lifted = [channel for channel in channels if (channel == "email") == by_email]
            if lifted and address is not None:
                digest = self._hashes.of(tx.account, address, by_email=by_email)
                await erasure.lift(tx, tx.account, digest, lifted)

    async def consents(self, call: Call, public_id: str, *, page_size: int, cursor: str) -> tuple[list[Consent], str]:
        """Newest first, and the cursor of the next page, empty on the last. Raises NotFound."""
        contact_id = errors.parse_id("cnt", public_id, kind="contact")
        limit = paging.page_size(page_size)
        scope = f"consents {call.account} {contact_id}"
        before = None
        if cursor:
            (last,) = paging.decode_cursor(cursor, scope, parts=1)
            before = ids.decode(convert.CONSENT, last)
        async with self._db.read(call.account) as tx:
            if await contacts.get(tx, call.account, contact_id) is None:
                raise errors.not_found("contact", public_id)
            found = await repository.page(tx, call.account, contact_id, before=before, limit=limit + 1)
        if len(found) <= limit:
            return found, ""
        return found[:limit], paging.encode_cursor(scope, ids.encode(convert.CONSENT, found[limit - 1].id))

    async def optouts(
        self, call: Call, *, channel: str | None, search: str | None, page_size: int, cursor: str
    ) -> tuple[list[Optout], str]:
        """The newest contacts first, and the cursor of the next page, empty on the last. channel: None is any.

        What a search finds may lag a write by a second, as in the list of contacts.
        """
        limit = paging.page_size(page_size)
        wanted = Filter(opted_out=channel or ANY, search=search)
        scope = f"optouts {call.account} {wanted}"
        after = None
        if cursor:
            after = orders.from_parts(paging.decode_cursor(cursor, scope, parts=1), NEWEST)
        async with self._db.read(call.account) as tx:
            hits = await pages.page(tx, call.account, wanted, after=after, limit=limit + 1)
            found = await repository.optouts(tx, call.account, [hit.contact for hit in hits[:limit]])
        if len(hits) <= limit:
            return found, ""
        return found, paging.encode_cursor(scope, *orders.to_parts(hits[limit - 1].key))

    async def rules(self, call: Call) -> pb.ConsentRules:
        async with self._db.read(call.account) as tx:
            return pb.ConsentRules(require_opt_in=await repository.require_opt_in(tx, call.account))

    async def update_rules(self, call: Call, *, require_opt_in: bool | None) -> pb.UpdateConsentRulesResponse:
        """None leaves a rule as it is."""
        async with self._db.write(call) as tx:
            required = await repository.write_rules(tx, tx.account, require_opt_in=require_opt_in)
            return await tx.reply(pb.UpdateConsentRulesResponse(rules=pb.ConsentRules(require_opt_in=required)))
