"""Deletions of contacts, in two lanes: the ledger forgets who they were."""

from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError

from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.consumer import Consumer, Invalid, Received
from chassis.db import Database
from chassis.ids import AccountId
from chassis.nats import Nats
from services.campaigns import addresses, convert
from services.campaigns.domain.audience import Channel
from services.campaigns.repository import erasure

LIVE = "campaigns-deletions-live"
BULK = "campaigns-deletions-bulk"


def consumers(nats: Nats, db: Database) -> list[Consumer]:
    """The two consumers of `work`, to be run."""
    handler = Deletions(db)
    return [
        Consumer(nats, durable=LIVE, filters=["events.contact.deleted.*"], handler=handler.handle),
        # Each up to 500 contacts.
        Consumer(nats, durable=BULK, filters=["events.contact.deleted.*.bulk"], handler=handler.handle, batch=4),
    ]


class Deletions:
    """The handler of both lanes. An event that comes again finds nothing left to erase."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def handle(self, account: AccountId, events: Sequence[Received]) -> None:
        """Raises Invalid for an event that breaks the contract of carillon.events.v1."""
        for event in events:
            try:
                deletions = events_pb2.ContactsDeleted.FromString(event.data).deletions
            except DecodeError as error:
                raise Invalid("the data does not parse") from error
            contacts = [ids.decode(convert.CONTACT, deletion.id) for deletion in deletions]
            known = [contact for contact in contacts if contact is not None]
            if len(known) < len(contacts):
                raise Invalid("a deletion without a contact's id")
            hashes = {address: digest for deletion in deletions for address, digest in addressed(deletion)}
            async with self._db.write(account) as tx:
                await erasure.erase(tx, known, hashes)


def addressed(deletion: events_pb2.ContactDeletion) -> Iterator[tuple[str, bytes]]:
    """The addresses of the contact as the ledger spells them, with their hashes."""
    if deletion.phone:
        yield deletion.phone, deletion.phone_hash
    if deletion.email:
        yield addresses.normalise(deletion.email, Channel.EMAIL, region=None) or deletion.email, deletion.email_hash
        # As a segment's members have it.
        yield deletion.email.lower(), deletion.email_hash
