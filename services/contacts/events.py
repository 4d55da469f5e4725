"""The events of this service: full snapshots, up to 500 objects or 512 KiB each."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from carillon.events.v1 import events_pb2 as events
from chassis import ids
from chassis.ids import AccountId
from chassis.outbox import MAX_BYTES, MAX_OBJECTS, Event
from services.contacts import convert
from services.contacts.erasure.record import Erased


def contacts_changed(event_type: str, account: AccountId, changes: Iterable[bytes], *, bulk: bool) -> list[Event]:
    """changes: of `snapshot.change`."""
    return [Event(event_type, account, data, bulk=bulk) for data in batches(changes)]


def batches(changes: Iterable[bytes]) -> Iterator[bytes]:
    """As few as the limits of one event allow; a single change is never parted."""
    batch: list[bytes] = []
    room = MAX_BYTES
    for entry in changes:
        if batch and (len(batch) == MAX_OBJECTS or len(entry) > room):
            yield b"".join(batch)
            batch, room = [], MAX_BYTES
        batch.append(entry)
        room -= len(entry)
    if batch:
        yield b"".join(batch)


def contacts_deleted(account: AccountId, gone: Sequence[Erased], *, at: datetime, bulk: bool) -> list[Event]:
    deleted_at = convert.timestamp(at)
    deletions = [
        events.ContactDeletion(
            id=ids.encode("cnt", one.doomed.id),
            version=one.version,
            deleted_at=deleted_at,
            phone=one.doomed.phone,
            email=one.doomed.email,
            phone_hash=one.doomed.phone_hash,
            email_hash=one.doomed.email_hash,
        )
        for one in gone
    ]
    return [
        Event(
            "contact.deleted",
            account,
            events.ContactsDeleted(deletions=deletions[start : start + MAX_OBJECTS]).SerializeToString(),
            bulk=bulk,
        )
        for start in range(0, len(deletions), MAX_OBJECTS)
    ]
