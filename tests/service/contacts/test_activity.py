"""The timeline and the messages of a contact: from events in any order, from preferences, and from integrators."""

import asyncio
import itertools
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from carillon.campaigns.v1 import campaigns_pb2
from carillon.contacts.v1 import activity_pb2, consent_pb2
from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.consumer import Invalid, Received
from chassis.errors import CarillonError, NotFound, Reason
from chassis.ids import encode_account
from services.contacts.activity.consumers import BULK, LIVE, MAX_BATCH, MessageEvents, consumers
from tests.service.contacts.address_book import AddressBook
from tests.service.stack import eventually

PHONE = "+14155552671"
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
CAMPAIGN = ids.encode("cmp", ids.new())


@pytest.fixture
def activity(activity_client, account) -> AddressBook:
    return AddressBook(activity_client, account)


def recipient(contact: str = "", *, id: str = "", address: str = PHONE, **times: datetime) -> campaigns_pb2.Recipient:
    """times: sent_at, delivered_at."""
    made = campaigns_pb2.Recipient(id=id or ids.encode("rcp", ids.new()), contact_id=contact, address=address)
    for name, at in times.items():
        getattr(made, name).FromDatetime(at)
    return made


def event(
    account: Any,
    kind: str,
    *recipients: campaigns_pb2.Recipient,
    revision: int = 1,
    at: datetime = START,
    channel: pb.Channel.ValueType = pb.CHANNEL_SMS,
    reason: str = "",
) -> Received:
    told = events_pb2.MessagesChanged(campaign_id=CAMPAIGN, channel=channel)
    for one in recipients:
        copy = told.recipients.add()
        copy.CopyFrom(one)
        copy.state_revision, copy.reason = revision, reason
    data = told.SerializeToString()
    return Received(str(uuid4()), f"message.{kind}", account, at, data, True, None)  # type: ignore[arg-type]


async def timeline(activity, contact_id: str, **page: Any) -> activity_pb2.ListActivityResponse:
    return await activity.call("ListActivity", activity_pb2.ListActivityRequest(contact_id=contact_id, **page))


async def messages(activity, contact_id: str, **page: Any) -> activity_pb2.ListMessagesResponse:
    return await activity.call("ListMessages", activity_pb2.ListMessagesRequest(contact_id=contact_id, **page))


async def note(activity, contact_id: str, *, type: str = "agent.note", **fields: Any) -> activity_pb2.Activity:
    request = activity_pb2.AddActivityRequest(contact_id=contact_id, type=type, **fields)
    return (await activity.call("AddActivity", request)).activity


def way(account: Any, contact_id: str) -> tuple[str, list[Received]]:
    """A message's whole way, refused for a moment on it; and the recipient's id."""
    sent, delivered = START, START + timedelta(seconds=2)
    first = recipient(contact_id, sent_at=sent)
    later = recipient(contact_id, id=first.id, sent_at=sent, delivered_at=delivered)
    return first.id, [
        event(account, "sent", first, revision=3, at=sent + timedelta(milliseconds=40)),
        event(account, "failed", first, revision=4, at=START + timedelta(seconds=1), reason="undelivered"),
        event(account, "delivered", later, revision=5, at=delivered + timedelta(milliseconds=40)),
        event(account, "opened", later, revision=6, at=START + timedelta(seconds=3)),
        event(account, "clicked", later, revision=7, at=START + timedelta(seconds=4)),
    ]


async def test_a_message_s_way_is_told_newest_first(book, activity, work_db, account):
    made = (await book.create(phone=PHONE)).contact.id
    recipient_id, events = way(account, made)
    for one in events:
        await MessageEvents(work_db).handle(account, [one])
    found = (await timeline(activity, made)).activity
    assert [(one.type, one.at.ToDatetime(UTC)) for one in found] == [
        ("message.clicked", START + timedelta(seconds=4)),
        ("message.opened", START + timedelta(seconds=3)),
        ("message.delivered", START + timedelta(seconds=2)),
        ("message.failed", START + timedelta(seconds=1)),
        ("message.sent", START),
    ]
    assert {(one.channel, one.message_id, one.campaign_id) for one in found} == {
        (pb.CHANNEL_SMS, recipient_id, CAMPAIGN)
    }
    assert len({one.id for one in found}) == 5
    assert all(one.id.startswith("act_") for one in found)
    (message,) = (await messages(activity, made)).messages
    assert (message.id, message.status, message.reason, message.address) == (recipient_id, "clicked", "", PHONE)
    assert message.delivered_at.ToDatetime(UTC) == START + timedelta(seconds=2)


async def test_any_order_and_any_repeats_lead_to_the_same(book, activity, work_db, account):
    """Every order of the first three events; then shuffles of all with repeats, one by one and in batches."""
    made = (await book.create(phone=PHONE)).contact.id
    expected: list[tuple[str, datetime]] | None = None
    dice = random.Random(7)
    orders = [list(order) for order in itertools.permutations(range(3))]
    orders += [dice.sample([*range(5), *range(5)], 10) for _ in range(12)]
    for at, order in enumerate(orders):
        recipient_id, events = way(account, made)
        batches = [[events[n] for n in order]] if at % 2 else [[events[n]] for n in order]
        for batch in batches:
            await MessageEvents(work_db).handle(account, batch)
        message = next(one for one in (await messages(activity, made)).messages if one.id == recipient_id)
        assert message.status == ("delivered" if at < 6 else "clicked")
        found = []
        cursor = ""
        while True:
            page = await timeline(activity, made, page_size=100, cursor=cursor)
            found += [(one.type, one.at.ToDatetime(UTC)) for one in page.activity if one.message_id == recipient_id]
            cursor = page.next_cursor
            if not cursor:
                break
        if at in (0, 6):
            expected = found
        assert found == expected


async def test_a_message_that_never_went_out_was_not_sent(book, activity, work_db, account):
    made = (await book.create(phone=PHONE)).contact.id
    refused = recipient(made, sent_at=START)
    await MessageEvents(work_db).handle(account, [event(account, "failed", refused, reason="provider_refused")])
    (only,) = (await timeline(activity, made)).activity
    assert (only.type, only.data_json) == ("message.failed", '{"reason":"provider_refused"}')
    (message,) = (await messages(activity, made)).messages
    assert (message.status, message.reason, message.HasField("sent_at")) == ("failed", "provider_refused", False)


async def test_uploaded_recipients_are_found_by_their_address(book, activity, work_db, account):
    """Emails of several contacts go to the one updated last; addresses of nobody leave nothing."""
    by_phone = (await book.create(phone=PHONE, email="ada@example.org")).contact.id
    by_email = (await book.create(phone="+14155552672", email="Ada@Example.org")).contact.id
    handler = MessageEvents(work_db)
    texts = [recipient(address=PHONE, sent_at=START), recipient(address="+14155552699", sent_at=START)]
    await handler.handle(account, [event(account, "sent", *texts)])
    mail = recipient(address="ADA@example.org", sent_at=START)
    await handler.handle(account, [event(account, "sent", mail, channel=pb.CHANNEL_EMAIL)])
    assert [one.id for one in (await messages(activity, by_phone)).messages] == [texts[0].id]
    assert [one.id for one in (await messages(activity, by_email)).messages] == [mail.id]


async def test_a_deleted_contact_gets_no_rows(book, work_db, account, admin):
    gone = (await book.create(phone=PHONE)).contact.id
    await book.delete(gone)
    kept = (await book.create(phone=PHONE)).contact.id
    await MessageEvents(work_db).handle(account, [event(account, "sent", recipient(gone), recipient(kept))])
    rows = await admin.fetch("SELECT contact_id FROM messages WHERE account_id = $1", account)
    assert [ids.encode("cnt", row[0]) for row in rows] == [kept]


async def test_a_message_waits_for_a_delete_under_way(book, work_db, account, admin):
    """And leaves nothing when it goes through: the row of the contact is what both hold."""
    made = (await book.create(phone=PHONE)).contact.id
    waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%told%')"
    async with work_db.write(account) as tx:
        await tx.execute("DELETE FROM contacts WHERE account_id = $1", account)
        recording = asyncio.create_task(
            MessageEvents(work_db).handle(account, [event(account, "sent", recipient(made))])
        )
        await eventually(lambda: admin.fetchval(waiting))
    await recording
    assert await admin.fetchval("SELECT count(*) FROM messages WHERE account_id = $1", account) == 0


async def test_more_recipients_than_one_statement_takes(book, work_db, account, admin):
    made = (await book.create(phone=PHONE)).contact.id
    many = [recipient(made, sent_at=START) for _ in range(MAX_BATCH + 7)]
    events = [event(account, "sent", *many[:300]), event(account, "sent", *many[300:])]
    await MessageEvents(work_db).handle(account, events)
    assert await admin.fetchval("SELECT count(*) FROM messages WHERE account_id = $1", account) == len(many)


async def test_events_that_break_the_contract_are_invalid_and_unknown_kinds_pass(work_db, account):
    handler = MessageEvents(work_db)
    good = event(account, "sent", recipient())
    nameless = event(account, "sent", campaigns_pb2.Recipient(id="rcp_1"))
    no_channel = event(account, "sent", channel=pb.CHANNEL_UNSPECIFIED)
    broken = Received(good.id, good.type, account, START, b"\xff", True, good.message)
    for one in (nameless, no_channel, broken):
        with pytest.raises(Invalid):
            await handler.handle(account, [one])
    await handler.handle(account, [Received(good.id, "message.forwarded", account, START, b"\xff", True, good.message)])


async def test_both_lanes_are_consumed(book, activity, work_db, account, nats):
    made = (await book.create(phone=PHONE)).contact.id
    loops = consumers(nats, work_db)
    tasks = [asyncio.create_task(one.run()) for one in loops]
    try:
        for lane, kind in (("", "sent"), (".bulk", "delivered")):
            one = event(account, kind, recipient(made, sent_at=START))
            headers = {"ce-id": one.id, "ce-type": one.type, "ce-time": START.isoformat()}
            subject = f"events.{one.type}.{encode_account(account)}{lane}"
            await nats.jetstream.publish(subject, one.data, headers=headers)

        async def both() -> bool:
            return {one.status for one in (await messages(activity, made)).messages} == {"sent", "delivered"}

        await eventually(both)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for durable in (LIVE, BULK):
            await nats.jetstream.delete_consumer("EVENTS", durable)


async def test_changes_of_consent_are_part_of_the_timeline(book, activity, consent_client, account):
    made = (await book.create(phone=PHONE)).contact.id
    consent = AddressBook(consent_client, account)
    for said in (pb.PREFERENCE_OPTED_OUT, pb.PREFERENCE_OPTED_IN, pb.PREFERENCE_UNSPECIFIED):
        request = consent_pb2.SetPreferencesRequest(id=made, preferences={"sms": said}, text="so", actor="key_1")
        await consent.call("SetPreferences", request)
    found = (await timeline(activity, made)).activity
    assert [one.type for one in found] == [
        "contact.preference_cleared", "contact.opted_in", "contact.opted_out",
    ]  # fmt: skip
    assert {(one.channel, one.text, one.actor, one.message_id) for one in found} == {
        (pb.CHANNEL_SMS, "so", "key_1", "")
    }


async def test_integrators_add_entries_now_and_in_the_past(book, activity):
    made = (await book.create(phone=PHONE)).contact.id
    now = await note(activity, made, text="Called back", data_json='{"call":{"minutes":3}}', actor="key_1")
    past = activity_pb2.AddActivityRequest(contact_id=made, type="crm.deal_won", channel=pb.CHANNEL_VOICE)
    past.at.FromDatetime(START)
    older = (await activity.call("AddActivity", past)).activity
    found = list((await timeline(activity, made)).activity)
    assert [one.id for one in found] == [now.id, older.id]
    assert json.loads(found[0].data_json) == {"call": {"minutes": 3}}
    assert (now.type, now.text, now.actor) == ("agent.note", "Called back", "key_1")
    assert found[1] == older
    assert (older.at.ToDatetime(UTC), older.actor, older.data_json) == (START, "gateway", "{}")


async def test_an_entry_under_an_idempotency_key_is_added_once(book, activity):
    made = (await book.create(phone=PHONE)).contact.id
    request = activity_pb2.AddActivityRequest(contact_id=made, type="agent.note", text="once")
    answers = [await activity.call("AddActivity", request, idempotency=("k", b"f")) for _ in range(2)]
    assert answers[0] == answers[1]
    assert list((await timeline(activity, made)).activity) == [answers[0].activity]


async def test_a_timeline_pages_through_everything_once(book, activity, work_db, account):
    """Entries of one moment, from all tables, over pages of three."""
    made = (await book.create(phone=PHONE)).contact.id
    for _ in range(4):
        request = activity_pb2.AddActivityRequest(contact_id=made, type="agent.note")
        request.at.FromDatetime(START)
        await activity.call("AddActivity", request)
    many = [recipient(made, sent_at=START, delivered_at=START) for _ in range(4)]
    await MessageEvents(work_db).handle(account, [event(account, "delivered", *many)])
    pages, cursor = [], ""
    while True:
        page = await timeline(activity, made, page_size=3, cursor=cursor)
        pages.append(list(page.activity))
        cursor = page.next_cursor
        if not cursor:
            break
    assert [len(page) for page in pages] == [3, 3, 3, 3]
    assert len({one.id for page in pages for one in page}) == 12
    assert [one for page in pages for one in page] == list((await timeline(activity, made)).activity)


async def test_messages_page_by_when_they_were_made(book, activity, work_db, account):
    made = (await book.create(phone=PHONE)).contact.id
    many = [recipient(made, sent_at=START) for _ in range(3)]
    await MessageEvents(work_db).handle(account, [event(account, "sent", *many)])
    first = await messages(activity, made, page_size=2)
    rest = await messages(activity, made, page_size=2, cursor=first.next_cursor)
    assert [one.id for one in [*first.messages, *rest.messages]] == [one.id for one in reversed(many)]
    assert rest.next_cursor == ""


async def test_entries_that_are_refused(book, activity):
    made = (await book.create(phone=PHONE)).contact.id
    later = activity_pb2.AddActivityRequest(contact_id=made, type="agent.note")
    later.at.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    bad: list[dict[str, Any]] = [
        {"type": "note"}, {"type": "message.sent"}, {"type": "contact.opted_in"}, {"type": "Agent.Note"},
        {"type": "a." + "b" * 63}, {"text": "x" * 10_001}, {"text": "\0"}, {"data_json": "[]"}, {"channel": 99},
        {"data_json": '{"a":{"b":{"c":{"d":{"e":{}}}}}}'},
    ]  # fmt: skip
    for fields in bad:
        with pytest.raises(CarillonError) as caught:
            await note(activity, made, **fields)
        assert caught.value.reason == Reason.VALIDATION_FAILED, fields
    with pytest.raises(CarillonError):
        await activity.call("AddActivity", later)
    assert not (await timeline(activity, made)).activity


async def test_two_accounts_never_meet(book, activity, activity_client, other, work_db, account):
    theirs = AddressBook(activity_client, other)
    made = (await book.create(phone=PHONE)).contact.id
    await note(activity, made)
    await MessageEvents(work_db).handle(account, [event(account, "sent", recipient(made))])
    for ask in (timeline, messages, note):
        with pytest.raises(NotFound):
            await ask(theirs, made)
        with pytest.raises(NotFound):
            await ask(activity, ids.encode("cnt", ids.new()))
    # An event of the other account that names this one's contact.
    await MessageEvents(work_db).handle(other, [event(other, "sent", recipient(made))])
    assert len((await messages(activity, made)).messages) == 1
    cursor = activity_pb2.ListActivityRequest(contact_id=made, cursor="x")
    with pytest.raises(CarillonError) as caught:
        await activity.call("ListActivity", cursor)
    assert caught.value.reason == Reason.INVALID_CURSOR
    methods = {method.name for method in activity_pb2.DESCRIPTOR.services_by_name["ActivityService"].methods}
    assert methods == {"ListActivity", "ListMessages", "AddActivity"}
