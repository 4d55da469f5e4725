"""Filters, sorts, cursors and totals of the list of contacts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.errors import InvalidArgument, Reason
from services.contacts.listing import totals
from services.contacts.listing.filters import Filter
from tests.service.contacts.address_book import AddressBook
from tests.service.contacts.search_index import index

EVERY_ORDER = [
    pb.CONTACT_ORDER_UNSPECIFIED,
    pb.CONTACT_ORDER_CREATED_AT,
    pb.CONTACT_ORDER_UPDATED_AT,
    pb.CONTACT_ORDER_UPDATED_AT_DESC,
    pb.CONTACT_ORDER_NAME,
    pb.CONTACT_ORDER_NAME_DESC,
]


async def listed(book: AddressBook, **wanted: Any) -> list[str]:
    """All pages, of two contacts each."""
    found: list[str] = []
    cursor = ""
    while True:
        answer = await book.page(page_size=2, cursor=cursor, **wanted)
        found += [contact.id for contact in answer.contacts]
        cursor = answer.next_cursor
        if not cursor:
            return found


def at(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


@pytest.mark.parametrize(
    "wanted",
    [
        {"stage": "lead"},
        {"country": "us"},
        {"gender": "f"},
        {"tag": "vip"},
        {"phone": "+1 201 555 0123"},
        {"email": "ANN@example.org"},
        {"external_id": "x"},
        {"phone_validity": pb.VALIDITY_VALID},
        {"email_validity": pb.VALIDITY_VALID},
        {"channel": pb.CHANNEL_VIBER, "stage": "lead"},
        {"stage": "lead", "tag": "vip", "gender": "f"},
    ],
    ids=str,
)
async def test_a_filter_narrows(book, wanted):
    ann = await book.create(
        phone="+12015550123", email="ann@example.org", external_id="x", stage="lead", gender="f", tags=["vip"]
    )
    await book.create(phone="+999123456", email="bob@example.test", stage="customer", gender="m", tags=["new"])
    assert await listed(book, **wanted) == [ann.contact.id]


async def test_validity_and_channel(book):
    phone = (await book.create(phone="+12015550123")).contact.id
    unreal = (await book.create(phone="+999123456")).contact.id
    email = (await book.create(email="ann@example.org")).contact.id
    nobody = (await book.create(external_id="x")).contact.id
    assert set(await listed(book, phone_validity=pb.VALIDITY_INVALID)) == {unreal}
    assert set(await listed(book, phone_validity=pb.VALIDITY_UNSPECIFIED)) == {email, nobody}
    assert set(await listed(book, email_validity=pb.VALIDITY_UNSPECIFIED)) == {phone, unreal, nobody}
    assert set(await listed(book, channel=pb.CHANNEL_SMS)) == {phone, unreal}
    assert set(await listed(book, channel=pb.CHANNEL_EMAIL)) == {email}


async def test_members_of_a_list(book, lists):
    member = (await book.create(phone="+12015550123")).contact.id
    await book.create(phone="+12015550124")
    made = (await lists.create()).id
    await lists.add([made], [member])
    assert await listed(book, list_id=made) == [member]
    for unknown in (ids.encode("lst", ids.new()), "nonsense"):
        assert await listed(book, list_id=unknown) == []


async def test_times_are_exclusive_and_to_the_microsecond(book):
    made = [(await book.create(phone=f"+1201555012{n}")).contact for n in range(3)]
    middle = made[1].created_at.ToDatetime(tzinfo=UTC)
    early, late = made[0].id, made[2].id
    assert await listed(book, created_before=at(middle)) == [early]
    assert await listed(book, created_after=at(middle)) == [late]
    just_after = at(middle + timedelta(microseconds=1))
    assert await listed(book, created_before=just_after) == [made[1].id, early]
    changed = await book.update(early, stage="x")
    assert await listed(book, updated_after=at(middle)) == [late, early]
    assert await listed(book, updated_after=changed.updated_at) == []
    for far in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)):
        assert len(await listed(book, created_after=at(far))) in (0, 3)
        assert len(await listed(book, created_before=at(far))) in (0, 3)


async def many(book: AddressBook) -> list[pb.Contact]:
    names = ["Ann", "bob", "Ärmel", "Zoe", "Ann", "", "x" * 150, "李", "ann lee"]
    made = [(await book.create(phone=f"+1201555{n:04}", name=name)).contact for n, name in enumerate(names)]
    for one in (made[3], made[0]):
        await book.update(one.id, stage="lead")
    return [await book.get(one.id) for one in made]


@pytest.mark.parametrize("order", EVERY_ORDER)
@pytest.mark.parametrize("wanted", [{}, {"country": "US"}, {"search": "1201555"}], ids=str)
async def test_a_walk_has_each_contact_once_in_order(book, work_db, order, wanted):
    made = await many(book)
    await index(work_db, book.account)
    walked = await listed(book, order=order, **wanted)
    keys = {
        pb.CONTACT_ORDER_UNSPECIFIED: lambda one: one.id,
        pb.CONTACT_ORDER_CREATED_AT: lambda one: one.id,
        pb.CONTACT_ORDER_UPDATED_AT: lambda one: (one.updated_at.ToNanoseconds(), one.id),
        pb.CONTACT_ORDER_UPDATED_AT_DESC: lambda one: (one.updated_at.ToNanoseconds(), one.id),
    }
    downwards = order in (
        pb.CONTACT_ORDER_UNSPECIFIED,
        pb.CONTACT_ORDER_UPDATED_AT_DESC,
        pb.CONTACT_ORDER_NAME_DESC,
    )
    if order in keys:
        assert walked == [one.id for one in sorted(made, key=keys[order], reverse=downwards)]
        return
    names = {one.id: one.name for one in made}
    in_order = ["", "Ann", "Ann", "ann lee", "Ärmel", "bob", "x" * 150, "Zoe", "李"]
    assert sorted(walked) == sorted(names)
    shown = [names[one] for one in walked]
    assert (shown[::-1] if downwards else shown) == in_order


@pytest.mark.parametrize("order", EVERY_ORDER)
@pytest.mark.parametrize("wanted", [{}, {"country": "US"}, {"search": "1201555"}], ids=str)
async def test_a_page_begins_behind_those_passed_over(book, work_db, order, wanted):
    await many(book)
    await index(work_db, book.account)
    everybody = await listed(book, order=order, **wanted)
    first = await book.page(page_size=2, order=order, **wanted)
    for skip in (0, 1, 2, 4, 6, 7, 50):
        page = await book.page(page_size=2, skip=skip, order=order, **wanted)
        assert [one.id for one in page.contacts] == everybody[skip : skip + 2]
        assert bool(page.next_cursor) == (skip + 2 < len(everybody))
        behind = await book.page(page_size=2, skip=skip, cursor=first.next_cursor, order=order, **wanted)
        assert [one.id for one in behind.contacts] == everybody[skip + 2 : skip + 4]


async def test_a_cursor_belongs_to_its_filter_and_its_order(book, other_book):
    await many(book)
    await many(other_book)
    cursor = (await book.page(page_size=2, order=pb.CONTACT_ORDER_NAME, country="US")).next_cursor
    for foreign in (
        {"order": pb.CONTACT_ORDER_NAME},
        {"order": pb.CONTACT_ORDER_NAME_DESC, "country": "US"},
        {"country": "US"},
        {"order": pb.CONTACT_ORDER_NAME, "country": "US", "search": "ann"},
    ):
        with pytest.raises(InvalidArgument) as refused:
            await book.page(cursor=cursor, **foreign)
        assert refused.value.reason == Reason.INVALID_CURSOR
    with pytest.raises(InvalidArgument):
        await other_book.page(cursor=cursor, order=pb.CONTACT_ORDER_NAME, country="US")
    for order in EVERY_ORDER:
        for forged in ("x", "AAAA", cursor[:-3], "é"):
            with pytest.raises(InvalidArgument):
                await book.page(cursor=forged, order=order)


async def test_a_total_is_said_where_it_is_asked_for(book, work_db):
    made = await many(book)
    await index(work_db, book.account)
    assert not (await book.page()).HasField("total")
    for wanted, total in (({}, len(made)), ({"search": "ann"}, 3), ({"search": "qq"}, 0), ({"stage": "lead"}, 2)):
        answer = await book.page(page_size=1, include_total=True, **wanted)
        assert (answer.total, answer.total_is_estimate) == (total, False), wanted


@pytest.mark.parametrize("wanted", [Filter(), Filter(search="ann"), Filter(search="ann", country="US")], ids=str)
async def test_a_total_that_would_take_long_is_an_estimate(book, serve_db, work_db, admin, wanted):
    await many(book)
    await index(work_db, book.account)
    await admin.execute("ANALYZE contacts, search_words")
    over = await totals.total(serve_db, book.account, wanted, counted=1)
    assert over.is_estimate
    assert over.value >= 2


async def test_counting_ends_when_its_time_is_up(book, serve_db, monkeypatch):
    await many(book)

    async def slow(tx, account, wanted, *, limit):
        return "SELECT count(pg_sleep(30))", ()

    monkeypatch.setattr(totals, "count_query", slow)
    total = await totals.total(serve_db, book.account, Filter(), milliseconds=20)
    assert total.is_estimate
    assert total.value >= 0


@pytest.mark.parametrize(
    "wanted",
    [{"search": "x" * 201}, {"order": 99}, {"channel": 99}, {"stage": "a\0b"}, {"skip": -1}, {"skip": 10_001}],
    ids=["search", "order", "channel", "NUL", "skip", "far"],
)
async def test_what_cannot_be_asked_is_refused(book, wanted):
    with pytest.raises(InvalidArgument):
        await book.page(**wanted)


@pytest.mark.parametrize("nothing", [" ", "...", "🙂", "+-()"])
async def test_a_search_for_nothing_is_refused_and_does_not_find_everybody(book, nothing):
    await book.create(phone="+14155552671")
    with pytest.raises(InvalidArgument) as refused:
        await book.page(search=nothing)
    assert [violation.pointer for violation in refused.value.violations] == ["/search"]
