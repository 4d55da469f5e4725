"""What the consumer makes of events, before any database."""

import asyncio
from datetime import UTC, datetime

import pytest

from carillon.contacts.v1 import contacts_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.consumer import Invalid, Received
from chassis.errors import Reason, Unavailable
from chassis.ids import AccountId
from services.segments import lanes
from services.segments.consumers import ContactEvents, decode
from services.segments.contact_facts import NOBODY
from services.segments.evaluation import highest_versions
from services.segments.lanes import Lanes


def received(event_type: str, data: bytes) -> Received:
    return Received("1", event_type, AccountId(ids.new()), datetime.now(UTC), data, False, None)  # type: ignore[arg-type]


def changed(event_type="contact.updated", *, version=2, fields=("tags",), **values):
    contact = contacts_pb2.Contact(id=ids.encode("cnt", ids.new()), version=version, **values)
    change = events_pb2.ContactChange(contact=contact, changed_fields=fields)
    return decode(received(event_type, events_pb2.ContactsChanged(changes=[change]).SerializeToString()))


def test_text_is_folded_and_what_is_absent_is_left_out():
    [contact] = changed(name="Ana LÓPEZ", tags=["VIP"], is_bot_active=True)

    assert contact.facts == {
        "t:id": (contact.public_id,),
        "n:version": (2.0,),
        "t:name": ("ana lópez",),
        "e:tags": ("vip",),
    }
    assert contact.changed == {"tags"}


class Away:
    """An evaluator whose database cannot be reached."""

    async def apply(self, account, contacts, *, bulk):
        raise Unavailable(Reason.UNAVAILABLE, "away")


@pytest.mark.parametrize(("data", "told"), [(b"\xff", Invalid), (b"", Unavailable)])
async def test_the_consumer_is_told_what_went_wrong_by_its_kind(data, told):
    """It buries the one, and waits for the end of the other."""
    good = contacts_pb2.Contact(id=ids.encode("cnt", ids.new()), version=1)
    changes = events_pb2.ContactsChanged(changes=[events_pb2.ContactChange(contact=good)])
    events = [received("contact.created", one) for one in (changes.SerializeToString(), data)]

    with pytest.raises(told):
        await ContactEvents(Away(), Lanes()).handle(events[0].account, events)  # type: ignore[arg-type]


def test_a_created_contact_does_not_say_what_changed():
    [contact] = changed("contact.created", fields=())

    assert contact.changed is None


def test_an_update_that_names_no_field_is_taken_to_change_everything():
    [contact] = changed(fields=())

    assert contact.changed is None


def test_a_deletion_leaves_nothing_of_the_contact():
    deletion = events_pb2.ContactDeletion(id=ids.encode("cnt", ids.new()), version=3)
    event = events_pb2.ContactsDeleted(deletions=[deletion])

    [contact] = decode(received("contact.deleted", event.SerializeToString()))

    assert contact.deleted
    assert (contact.version, contact.facts) == (3, NOBODY)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff not protobuf",
        events_pb2.ContactsChanged(
            changes=[events_pb2.ContactChange(contact=contacts_pb2.Contact(id="cnt_short"))]
        ).SerializeToString(),
    ],
)
def test_events_that_can_never_be_handled(data):
    with pytest.raises(Invalid):
        decode(received("contact.updated", data))


@pytest.mark.parametrize("metadata", ["{", "[1]", '{"n": }'])
def test_custom_data_that_is_no_json_object_can_never_be_handled(metadata):
    with pytest.raises(Invalid):
        changed(metadata_json=metadata)


def test_of_several_versions_the_highest_counts_and_what_changed_is_unknown():
    [old] = changed(version=2)
    newer = type(old)(old.contact_id, old.public_id, 3, old.facts, old.snapshot, frozenset({"stage"}))

    assert highest_versions([newer, old]) == highest_versions([old, newer])
    [kept] = highest_versions([old, newer])
    assert (kept.version, kept.changed) == (3, None)


def test_the_same_version_twice_is_one():
    [one] = changed(version=2)

    assert highest_versions([one, one]) == [one]


class SlowEvaluator:
    """Records who is at work; a live batch ends when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.live_began = asyncio.Event()
        self.live_may_end = asyncio.Event()

    async def apply(self, account, contacts, *, bulk):
        self.begun.append("bulk" if bulk else "live")
        if not bulk:
            self.live_began.set()
            await self.live_may_end.wait()


def event(*, bulk):
    contact = contacts_pb2.Contact(id=ids.encode("cnt", ids.new()), version=1)
    data = events_pb2.ContactsChanged(changes=[events_pb2.ContactChange(contact=contact)]).SerializeToString()
    return Received("1", "contact.created", AccountId(ids.new()), datetime.now(UTC), data, bulk, None)  # type: ignore[arg-type]


async def handle_beside_a_live_batch():
    """The order in which a live and a bulk batch begin, and the bulk one's task, with the live one at work."""
    evaluator = SlowEvaluator()
    handler = ContactEvents(evaluator, Lanes())  # type: ignore[arg-type]
    live = asyncio.create_task(handler.handle(AccountId(ids.new()), [event(bulk=False)]))
    await evaluator.live_began.wait()
    bulk = asyncio.create_task(handler.handle(AccountId(ids.new()), [event(bulk=True)]))
    return evaluator, live, bulk


async def test_the_bulk_lane_begins_nothing_beside_a_live_batch(monkeypatch):
    monkeypatch.setattr(lanes, "BULK_PATIENCE_SECONDS", 60)
    evaluator, live, bulk = await handle_beside_a_live_batch()
    for _ in range(20):
        await asyncio.sleep(0)
    assert evaluator.begun == ["live"]

    evaluator.live_may_end.set()
    await asyncio.gather(live, bulk)

    assert evaluator.begun == ["live", "bulk"]


async def test_the_bulk_lane_is_not_starved(monkeypatch):
    monkeypatch.setattr(lanes, "BULK_PATIENCE_SECONDS", 0.001)
    evaluator, live, bulk = await handle_beside_a_live_batch()

    await bulk

    assert evaluator.begun == ["live", "bulk"]
    evaluator.live_may_end.set()
    await live
