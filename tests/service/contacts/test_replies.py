"""What people send: on the timeline of whoever has the address, and followed by consent."""

from datetime import UTC, datetime
from typing import Any

import pytest

from carillon.contacts.v1 import activity_pb2, consent_pb2, replies_pb2
from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.errors import InvalidArgument
from tests.service.contacts.address_book import AddressBook

PHONE, EMAIL = "+14155552671", "ann@example.org"
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
OUT, IN = pb.PREFERENCE_OPTED_OUT, pb.PREFERENCE_OPTED_IN
CAMPAIGN, LINE = ids.encode("cmp", ids.new()), ids.encode("rcp", ids.new())


@pytest.fixture
def replies(replies_client, account) -> AddressBook:
    return AddressBook(replies_client, account)


@pytest.fixture
def activity(activity_client, account) -> AddressBook:
    return AddressBook(activity_client, account)


@pytest.fixture
def consent(consent_client, account) -> AddressBook:
    return AddressBook(consent_client, account)


def reply(text: str = "hello", says: Any = 0, *, address: str = PHONE, **fields: Any) -> replies_pb2.Reply:
    given: dict[str, Any] = {
        "id": ids.encode("msg", ids.new()),
        "channel": pb.CHANNEL_SMS,
        "source": "reply",
        "is_message": True,
        "to": "+15550100",
    }
    made = replies_pb2.Reply(address=address, text=text, says=says, **(given | fields))
    made.at.FromDatetime(START)
    return made


async def take(replies: AddressBook, *told: replies_pb2.Reply) -> list[str]:
    answer = await replies.call("TakeReplies", replies_pb2.TakeRepliesRequest(replies=told))
    return list(answer.contact_ids)


async def messageable(book: AddressBook, address: str, channel: Any = pb.CHANNEL_SMS, contact: str = "") -> int:
    request = pb.CheckMessageableRequest(channel=channel, targets=[pb.Target(contact_id=contact, address=address)])
    (refusal,) = (await book.call("CheckMessageable", request)).refusals
    return int(refusal)


async def suppressions(book: AddressBook) -> list[pb.Suppression]:
    return list((await book.call("ListSuppressions", pb.ListSuppressionsRequest())).suppressions)


async def test_a_reply_is_on_the_timeline_and_among_the_messages(replies, activity, book) -> None:
    contact = (await book.create(phone=PHONE)).contact
    told = reply("Is it on?", campaign_id=CAMPAIGN, recipient_id=LINE)
    assert await take(replies, told, reply(address="+14155550000")) == [contact.id, ""]
    # Once more: nothing more.
    assert await take(replies, told) == [contact.id]
    request = activity_pb2.ListActivityRequest(contact_id=contact.id)
    (entry,) = (await activity.call("ListActivity", request)).activity
    assert (entry.type, entry.text, entry.message_id) == ("message.received", "Is it on?", told.id)
    assert (entry.campaign_id, entry.at.ToDatetime(UTC)) == (CAMPAIGN, START)
    asked = activity_pb2.ListMessagesRequest(contact_id=contact.id)
    (message,) = (await activity.call("ListMessages", asked)).messages
    assert (message.id, message.status, message.text, message.address) == (told.id, "received", "Is it on?", PHONE)
    assert (message.to, message.received_at.ToDatetime(UTC)) == ("+15550100", START)


async def test_messages_both_ways_are_paged_by_when_they_were_made(replies, activity, book) -> None:
    contact = (await book.create(phone=PHONE)).contact
    told = [reply(str(number)) for number in range(5)]
    await take(replies, *told)
    found, cursor = [], ""
    while True:
        request = activity_pb2.ListMessagesRequest(contact_id=contact.id, page_size=2, cursor=cursor)
        page = await activity.call("ListMessages", request)
        found += [one.text for one in page.messages]
        cursor = page.next_cursor
        if not cursor:
            break
    assert found == ["4", "3", "2", "1", "0"]


async def test_a_stop_opts_out_with_evidence(replies, consent, activity, book) -> None:
    contact = (await book.create(phone=PHONE)).contact
    assert await take(replies, reply("Stop!", OUT)) == [contact.id]
    assert await messageable(book, PHONE) == pb.REFUSAL_OPTED_OUT
    assert await messageable(book, PHONE, contact=contact.id) == pb.REFUSAL_OPTED_OUT
    # Of this channel alone.
    assert await messageable(book, PHONE, pb.CHANNEL_WHATSAPP) == 0
    (evidence,) = (await consent.call("ListConsents", consent_pb2.ListConsentsRequest(contact_id=contact.id))).consents
    assert (evidence.source, evidence.text, evidence.actor, evidence.after) == ("reply", "Stop!", "campaigns", OUT)
    request = activity_pb2.ListActivityRequest(contact_id=contact.id)
    types = [one.type for one in (await activity.call("ListActivity", request)).activity]
    assert sorted(types) == ["contact.opted_out", "message.received"]
    assert not await suppressions(book)
    await take(replies, reply("Start", IN))
    assert await messageable(book, PHONE) == 0


async def test_a_stop_that_is_told_again_after_an_opt_in_changes_nothing(replies, book) -> None:
    await book.create(phone=PHONE)
    stop = reply("STOP", OUT)
    await take(replies, stop)
    await take(replies, reply("START", IN))
    await take(replies, stop)
    assert await messageable(book, PHONE) == 0


async def test_a_stop_of_a_stranger_puts_the_number_on_the_list(replies, book) -> None:
    assert await take(replies, reply("STOP", OUT)) == [""]
    (entry,) = await suppressions(book)
    assert (entry.phone, list(entry.channels), entry.reason) == (PHONE, [pb.CHANNEL_SMS], "The address opted out.")
    assert await messageable(book, PHONE) == pb.REFUSAL_SUPPRESSED
    # Whoever is made a contact later is held by it still, and lets go by itself.
    contact = (await book.create(phone=PHONE)).contact
    assert await messageable(book, PHONE, contact=contact.id) == pb.REFUSAL_SUPPRESSED
    await take(replies, reply("START", IN))
    assert await messageable(book, PHONE, contact=contact.id) == 0
    assert not await suppressions(book)


async def test_each_channel_by_itself(replies, book) -> None:
    for channel in (pb.CHANNEL_SMS, pb.CHANNEL_WHATSAPP):
        await take(replies, reply("STOP", OUT, channel=channel))
    (entry,) = await suppressions(book)
    assert sorted(entry.channels) == [pb.CHANNEL_SMS, pb.CHANNEL_WHATSAPP]
    await take(replies, reply("START", IN))
    (entry,) = await suppressions(book)
    assert list(entry.channels) == [pb.CHANNEL_WHATSAPP]
    assert await messageable(book, PHONE) == 0
    assert await messageable(book, PHONE, pb.CHANNEL_WHATSAPP) == pb.REFUSAL_SUPPRESSED


async def test_an_entry_of_the_accounts_own_stays(replies, book) -> None:
    request = pb.CreateSuppressionRequest(phone=PHONE, channels=[pb.CHANNEL_WHATSAPP], reason="a complaint")
    await book.call("CreateSuppression", request)
    await take(replies, reply("STOP", OUT))
    assert await messageable(book, PHONE) == pb.REFUSAL_SUPPRESSED
    await take(replies, reply("START", IN), reply("START", IN, channel=pb.CHANNEL_WHATSAPP))
    (entry,) = await suppressions(book)
    assert entry.reason == "a complaint"
    assert await messageable(book, PHONE, pb.CHANNEL_WHATSAPP) == pb.REFUSAL_SUPPRESSED


async def test_an_email_opts_out_everybody_who_shares_it(replies, book) -> None:
    contacts = [(await book.create(email=EMAIL.upper(), external_id=f"x{n}", phone=f"+1415555267{n}")).contact
                for n in range(2)]  # fmt: skip
    told = reply("", OUT, address="Ann@Example.org", channel=pb.CHANNEL_EMAIL, source="unsubscribe_link",
                 is_message=False)  # fmt: skip
    (owner,) = await take(replies, told)
    assert owner in {contact.id for contact in contacts}
    for contact in contacts:
        assert await messageable(book, EMAIL, pb.CHANNEL_EMAIL, contact.id) == pb.REFUSAL_OPTED_OUT


@pytest.mark.parametrize("address", ["TELECOM", "12345", "", "a\0b", "not an address @"])
async def test_what_is_no_address_is_nobodys(replies, book, address: str) -> None:
    assert await take(replies, reply("STOP", OUT, address=address), reply("hello", address=address)) == ["", ""]
    assert not await suppressions(book)


async def test_what_breaks_the_contract_is_refused(replies) -> None:
    for wrong in (reply(id="msg_x"), reply(channel=99)):
        with pytest.raises(InvalidArgument):
            await take(replies, wrong)
    with pytest.raises(InvalidArgument):
        await take(replies, *[reply()] * 101)


async def test_replies_go_with_the_contact(replies, book, admin, account) -> None:
    contact = (await book.create(phone=PHONE)).contact
    await take(replies, reply("my secret"))
    await book.delete(contact.id)
    assert not await admin.fetch("SELECT FROM replies WHERE account_id = $1", account)


async def test_another_accounts_number_is_nobody_here(replies, other_book, book) -> None:
    theirs = (await other_book.create(phone=PHONE)).contact
    assert await take(replies, reply("STOP", OUT), reply("hello")) == ["", ""]
    assert await messageable(other_book, PHONE, contact=theirs.id) == 0
    assert await messageable(book, PHONE) == pb.REFUSAL_SUPPRESSED
