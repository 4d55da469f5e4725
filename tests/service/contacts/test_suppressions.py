"""The do-not-contact list, and whom a message may go to."""

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.errors import CarillonError, Reason
from tests.service.contacts.events import outbox

PHONE = "+14155552671"
EMAIL = "Ada@Example.org"


async def suppress(book, **fields) -> pb.Suppression:
    return (await book.call("CreateSuppression", pb.CreateSuppressionRequest(**fields))).suppression


async def check(book, *targets: tuple[str, str], channel: pb.Channel.ValueType = pb.CHANNEL_SMS) -> list[str]:
    request = pb.CheckMessageableRequest(
        channel=channel, targets=[pb.Target(contact_id=contact, address=address) for contact, address in targets]
    )
    answer = await book.call("CheckMessageable", request)
    return [pb.Refusal.Name(refusal).removeprefix("REFUSAL_") for refusal in answer.refusals]


OK = "UNSPECIFIED"


async def test_an_entry_is_made_once_listed_and_removed(book, admin, account):
    made = await suppress(book, phone="+1 (415) 555-2671", reason="asked")
    assert (made.phone, made.reason, list(made.channels)) == (PHONE, "asked", [])
    with pytest.raises(CarillonError) as caught:
        await suppress(book, phone=PHONE)
    assert (caught.value.reason, caught.value.metadata) == (Reason.SUPPRESSION_EXISTS, {"existing_id": made.id})
    second = await suppress(book, email=EMAIL, channels=[pb.CHANNEL_EMAIL])
    first_page = await book.call("ListSuppressions", pb.ListSuppressionsRequest(page_size=1))
    rest = await book.call("ListSuppressions", pb.ListSuppressionsRequest(cursor=first_page.next_cursor))
    assert [entry.id for entry in [*first_page.suppressions, *rest.suppressions]] == [second.id, made.id]
    await book.call("DeleteSuppression", pb.DeleteSuppressionRequest(id=made.id))
    with pytest.raises(CarillonError) as caught:
        await book.call("DeleteSuppression", pb.DeleteSuppressionRequest(id=made.id))
    assert caught.value.reason == Reason.NOT_FOUND
    kinds = [kind for kind, _, _ in await outbox(admin, account)]
    assert kinds == ["suppression.created", "suppression.created", "suppression.deleted"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, Reason.VALIDATION_FAILED),
        ({"phone": PHONE, "email": EMAIL}, Reason.VALIDATION_FAILED),
        ({"phone": "junk"}, Reason.INVALID_PHONE),
        ({"email": "junk"}, Reason.INVALID_EMAIL),
        ({"phone": PHONE, "channels": [99]}, Reason.VALIDATION_FAILED),
    ],
)
async def test_entries_that_are_refused(book, fields, reason):
    with pytest.raises(CarillonError) as caught:
        await suppress(book, **fields)
    assert caught.value.reason == reason


async def test_answers_come_in_the_order_asked(book):
    fine = (await book.create(phone="+14155552672")).contact.id
    silent = (await book.create(phone="+14155552673", do_not_disturb=True)).contact.id
    await suppress(book, phone="+14155552674")
    assert await check(
        book,
        ("", "+14155552674"),
        (fine, "+14155552672"),
        (silent, "+14155552673"),
        ("", "+14155552673"),
        (fine, "+14155552699"),
        (ids.encode("cnt", ids.new()), "+14155552672"),
        ("cnt_abc123", "+14155552672"),
        ("", "+14155552675"),
        ("", "not a phone"),
    ) == [
        "SUPPRESSED",
        OK,
        "DO_NOT_DISTURB",
        "DO_NOT_DISTURB",
        "ADDRESS_GONE",
        "ADDRESS_GONE",
        "ADDRESS_GONE",
        OK,
        "INVALID_ADDRESS",
    ]


async def test_channels_are_kept_apart(book):
    await suppress(book, phone=PHONE, channels=[pb.CHANNEL_WHATSAPP])
    assert await check(book, ("", PHONE)) == [OK]
    assert await check(book, ("", PHONE), channel=pb.CHANNEL_WHATSAPP) == ["SUPPRESSED"]


async def test_opt_outs_hold_for_their_channel(book, admin, account):
    made = (await book.create(phone=PHONE, email=EMAIL)).contact
    await admin.execute('UPDATE contacts SET preferences = \'{"sms": "opted_out"}\' WHERE account_id = $1', account)
    assert await check(book, (made.id, PHONE), ("", PHONE)) == ["OPTED_OUT", "OPTED_OUT"]
    assert await check(book, (made.id, PHONE), channel=pb.CHANNEL_VOICE) == [OK]
    assert (await book.get(made.id)).preferences["sms"] == pb.PREFERENCE_OPTED_OUT


async def test_emails_are_compared_folded(book):
    made = (await book.create(phone=PHONE, email=EMAIL)).contact
    await suppress(book, email="bob@EXAMPLE.org")
    answers = await check(
        book,
        (made.id, "ada@example.org"),
        ("", "Bob@example.org"),
        ("", PHONE),
        channel=pb.CHANNEL_EMAIL,
    )
    assert answers == [OK, "SUPPRESSED", "INVALID_ADDRESS"]
    # An address that several share is not messaged when one of them asked for silence.
    await book.create(phone="+14155552672", email=EMAIL, do_not_disturb=True)
    assert await check(book, ("", "ada@example.org"), channel=pb.CHANNEL_EMAIL) == ["DO_NOT_DISTURB"]
    assert await check(book, (made.id, "ada@example.org"), channel=pb.CHANNEL_EMAIL) == [OK]


async def test_a_deleted_contact_and_a_changed_address_are_gone(book):
    made = (await book.create(phone=PHONE)).contact
    await book.update(made.id, phone="+14155552672")
    assert await check(book, (made.id, PHONE), (made.id, "+14155552672")) == ["ADDRESS_GONE", OK]
    await book.delete(made.id)
    assert await check(book, (made.id, "+14155552672")) == ["ADDRESS_GONE"]
    without_phone = (await book.create(email=EMAIL)).contact
    assert await check(book, (without_phone.id, PHONE)) == ["ADDRESS_GONE"]


async def test_limits(book):
    with pytest.raises(CarillonError) as caught:
        await check(book, *[("", PHONE)] * 501)
    assert caught.value.reason == Reason.VALIDATION_FAILED
    with pytest.raises(CarillonError) as caught:
        await check(book, ("", PHONE), channel=pb.CHANNEL_UNSPECIFIED)
    assert caught.value.reason == Reason.VALIDATION_FAILED
    assert await check(book) == []
    assert await check(book, *[("", PHONE)] * 500) == [OK] * 500
