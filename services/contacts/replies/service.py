"""What people say: kept on the timelines of the contacts that have the address, followed by consent."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.call import Call
from chassis.db import Database, WriteTx
from formats import phones
from services.contacts import convert
from services.contacts.activity.repository import bearers
from services.contacts.consent.service import ConsentService
from services.contacts.domain.consent import Evidence
from services.contacts.domain.contact import EMAIL_CHANNELS, PHONE_CHANNELS
from services.contacts.erasure import repository as erasure
from services.contacts.erasure.hashing import AddressHash
from services.contacts.replies import repository
from services.contacts.replies.record import Heard
from services.contacts.suppressions import repository as suppressions
from services.contacts.suppressions.record import Suppression

# Of entries of the do-not-contact list that opt-outs make: an opt-in takes them off again.
OPTED_OUT = "The address opted out."


class ReplyService:
    def __init__(self, db: Database, consent: ConsentService, hashes: AddressHash) -> None:
        self._db = db
        self._consent = consent
        self._hashes = hashes

    async def take(self, call: Call, told: Sequence[Heard]) -> list[str]:
        """The contact of each, in order; empty where nobody has the address. What was told before changes nothing."""
        contacts: dict[UUID, str] = {}
        plain = [heard for heard in told if heard.says is None]
        if plain:
            async with self._db.write(call.account) as tx:
                contacts |= await self._keep(tx, plain)
        for heard in told:
            if heard.says is not None:
                async with self._db.write(call.account) as tx:
                    contacts[heard.id] = await self._follow(tx, heard, actor=call.issuer)
        return [contacts.get(heard.id, "") for heard in told]

    async def _keep(self, tx: WriteTx, told: Sequence[Heard]) -> Mapping[UUID, str]:
        """Those who wrote and ask for nothing."""
        found: dict[tuple[str, str], UUID] = {}
        for by in ("phone", "email"):
            addresses = [heard.address for heard in told if heard.by == by and heard.address]
            if addresses:
                known = await bearers(tx, tx.account, addresses, by=by)
                found |= {(by, address): contact for address, contact in known.items()}
        mine = {heard.id: found[heard.by, heard.address] for heard in told if (heard.by, heard.address) in found}
        messages = [(mine[heard.id], heard) for heard in told if heard.id in mine and heard.is_message]
        if messages:
            await repository.keep(tx, tx.account, messages)
        return {one: ids.encode("cnt", contact) for one, contact in mine.items()}

    async def _follow(self, tx: WriteTx, heard: Heard, *, actor: str) -> str:
        """An opt-out or an opt-in; whose it is."""
        if not heard.address or heard.says is None:
            return ""
        locked = await repository.lock_bearers(tx, tx.account, heard.address, by=heard.by)
        owner = await bearers(tx, tx.account, [heard.address], by=heard.by) if locked else {}
        contact = owner.get(heard.address)
        if contact is not None and heard.is_message and not await repository.keep(tx, tx.account, [(contact, heard)]):
            # Taken before: what was said since then holds.
            return ids.encode("cnt", contact)
        evidence = Evidence(heard.source, heard.text, actor)
        for one in locked:
            await self._consent.say(tx, ids.encode("cnt", one), wanted={heard.channel: heard.says}, evidence=evidence)
        if heard.says == "opted_in":
            await self._lift(tx, heard)
        elif not locked:
            await self._suppress(tx, heard)
        return "" if contact is None else ids.encode("cnt", contact)

    async def _suppress(self, tx: WriteTx, heard: Heard) -> None:
        """No contact's address: on the do-not-contact list, for this channel."""
        if not fits(heard):
            return
        new = Suppression(
            id=ids.new(),
            phone=None if heard.by_email else heard.address,
            email=heard.address if heard.by_email else None,
            email_normal=heard.address if heard.by_email else None,
            channels=[heard.channel],
            reason=OPTED_OUT,
            created_at=datetime.now(UTC),
        )
        if await suppressions.insert(tx, tx.account, new):
            tell(tx, "suppression.created", new)
            return
        extended = await suppressions.extend(
            tx, tx.account, phone=new.phone, email_normal=new.email_normal, channel=heard.channel
        )
        if extended is not None:
            tell(tx, "suppression.updated", extended)

    async def _lift(self, tx: WriteTx, heard: Heard) -> None:
        """Entries that an opt-out made, of this address or of a deleted contact's, end for this channel."""
        found = await suppressions.lock_by_reason(
            tx,
            tx.account,
            phone=None if heard.by_email else heard.address,
            email_normal=heard.address if heard.by_email else None,
            channel=heard.channel,
            reason=OPTED_OUT,
        )
        if found is not None:
            left = [channel for channel in found.channels if channel != heard.channel]
            if left:
                tell(tx, "suppression.updated", await suppressions.set_channels(tx, tx.account, found.id, left))
            else:
                await suppressions.delete(tx, tx.account, found.id)
                tell(tx, "suppression.deleted", found)
        digest = self._hashes.of(tx.account, heard.address, by_email=heard.by_email)
        await erasure.lift(tx, tx.account, digest, [heard.channel])


def fits(heard: Heard) -> bool:
    """Whether the address is one of the channel."""
    if heard.by_email:
        return heard.channel in EMAIL_CHANNELS
    return heard.channel in PHONE_CHANNELS and phones.is_e164(heard.address)


def tell(tx: WriteTx, kind: str, suppression: Suppression) -> None:
    tx.add_event(kind, events_pb2.SuppressionsChanged(suppressions=[convert.suppression(suppression)]))
