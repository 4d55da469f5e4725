"""The hand-written encoding of a contact against protobuf's."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.events.v1 import events_pb2
from services.contacts import convert, snapshot
from services.contacts.domain.contact import TEXTS, Contact
from services.contacts.domain.metadata import dump

TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
VALIDITY = st.sampled_from(["valid", "invalid", "unknown"])
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
OBJECTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=3000), max_size=3).map(dump)

CONTACTS = st.builds(
    Contact,
    id=st.uuids(),
    created_at=TIMES,
    updated_at=TIMES,
    version=st.integers(1, 2**62),
    phone=TEXT,
    phone_validity=VALIDITY,
    email=TEXT,
    email_normal=st.none(),
    email_validity=VALIDITY,
    **dict.fromkeys([*TEXTS, "given_country", "phone_country"], TEXT),
    tags=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64), max_size=5),
    metadata=OBJECTS,
    current_campaign_data=st.none() | OBJECTS,
    is_chat_window_open=st.booleans(),
    is_bot_active=st.booleans(),
    do_not_disturb=st.booleans(),
    preferences=st.dictionaries(
        st.sampled_from(["sms", "email"]), st.sampled_from(["opted_in", "opted_out"])
    ).map(lambda said: json.dumps(said) if said else "{}"),
    list_ids=st.lists(st.uuids(), max_size=3),
)  # fmt: skip


@given(CONTACTS, st.lists(st.sampled_from(["phone", "tags", "updated_at"]), max_size=3))
def test_it_reads_as_what_protobuf_would_have_written(contact, changed):
    read = events_pb2.ContactsChanged.FromString(snapshot.change(contact, changed))
    expected = events_pb2.ContactChange(contact=convert.contact(contact), changed_fields=changed)
    assert list(read.changes) == [expected]


@given(st.lists(CONTACTS, max_size=6), st.integers(1, 4))
def test_many_at_once_are_one_message_when_joined(contacts, times):
    # Repeated, so that values meet.
    contacts *= times
    read = events_pb2.ContactsChanged.FromString(b"".join(snapshot.changes(contacts)))
    expected = [convert.contact(contact) for contact in contacts]
    assert [change.contact for change in read.changes] == expected
    assert list(pb.ListContactsResponse.FromString(snapshot.page(contacts)).contacts) == expected


@given(st.integers(0, 2**63 - 1))
def test_numbers_are_written_as_protobuf_writes_them(number):
    expected = events_pb2.SegmentSteps(revision=number).SerializeToString()
    assert expected[1:] == (snapshot.varint(number) if number else b"")
