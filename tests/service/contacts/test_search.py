"""Searching contacts: the index follows the events, and what is found is what a naive look at every contact finds."""

import asyncio
import dataclasses
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.errors import CarillonError
from chassis.ids import decode
from chassis.relay import Relay
from services.contacts.domain import search as domain
from services.contacts.listing import pages
from services.contacts.search import consumers
from services.contacts.search.rebuild import rebuild
from tests.service.contacts.address_book import AddressBook
from tests.service.contacts.search_index import events, index, kept_words
from tests.service.stack import eventually, new_account


@pytest.fixture(params=["heads", "postings", "texts", "closer", "walk", "names", "sift", "sift_scarce"])
def plan_kind(request, monkeypatch):
    """Small accounts take every way that large ones do."""
    settings: dict[str, dict[str, object]] = {
        "heads": {},
        "postings": {"HEADS": 0},
        # What occurs once is rare; the texts have the other words.
        "texts": {"HEADS": 0, "RARE": 1},
        "closer": {"HEADS": 0, "RARE": 1, "FEW": 0, "SCARCE": 2},
        "walk": {"HEADS": 0, "RARE": 0},
        # Names that begin with the word, and a few others; or no others are few enough.
        "names": {"HEADS": 0, "RARE": 0, "WALK": dict.fromkeys(pages.WALK, 1), "FEW": 2},
        "sift": {"HEADS": 0, "RARE": 0, "WALK": dict.fromkeys(pages.WALK, 1), "FEW": -1, "SCARCE": 0},
        "sift_scarce": {"HEADS": 0, "RARE": 0, "WALK": dict.fromkeys(pages.WALK, 1), "FEW": -1, "SCARCE": 1},
    }
    for name, value in settings[request.param].items():
        monkeypatch.setattr(pages, name, value)


async def found(book: AddressBook, typed: str, **wanted) -> set[str]:
    return {contact.id for contact in (await book.page(search=typed, page_size=100, **wanted)).contacts}


@pytest.mark.usefixtures("plan_kind")
async def test_words_of_name_and_email_and_either_end_of_the_phone(book, work_db):
    kate = (await book.create(name="Käthe O'Brien", email="kate@mail.example.org", phone="+12015550123")).contact.id
    john = (await book.create(name="John Katz", email="j@example.org", phone="+442015550124")).contact.id
    await index(work_db, book.account)
    expected = {
        "kat": {kate, john}, "KÄTHE": {kate}, "brien": {kate}, "exam": {kate, john}, "mail.ex": {kate},
        "1201": {kate}, "+1 201 555": {kate}, "44": {john}, "0123": {kate}, "555-0124": {john},
        "kat exam": {kate, john}, "kat joh": {john}, "joh 0124": {john}, "joh 0123": set(), "ath": set(), "2015": set(),
        "": {kate, john},
    }  # fmt: skip
    for typed, who in expected.items():
        assert await found(book, typed) == who, typed


@pytest.mark.usefixtures("plan_kind")
async def test_a_search_narrows_with_the_filters(book, work_db):
    lead = (await book.create(name="Ann Lee", phone="+12015550123", stage="lead", tags=["vip"])).contact.id
    await book.create(name="Ann Ray", phone="+12015550124", stage="customer")
    await index(work_db, book.account)
    assert await found(book, "ann", stage="lead") == {lead}
    assert await found(book, "ann", tag="vip") == {lead}
    assert await found(book, "ray", stage="lead") == set()
    assert await found(book, "ann l", channel=pb.CHANNEL_SMS) == {lead}
    assert await found(book, "ann", channel=pb.CHANNEL_EMAIL) == set()


async def test_a_walk_that_saw_all_that_a_filter_leaves_is_the_end(book, work_db, monkeypatch):
    """The postings of common words may be those of nearly everybody."""
    monkeypatch.setattr(pages, "RARE", 0)
    monkeypatch.setattr(pages, "sift", None)
    vip = (await book.create(name="Ann Lee", phone="+12015550123", tags=["vip"])).contact.id
    await book.create(name="Ann Ray", phone="+12015550124")
    await index(work_db, book.account)
    assert await found(book, "ann", tag="vip") == {vip}


@pytest.mark.usefixtures("plan_kind")
@pytest.mark.parametrize("order", [pb.CONTACT_ORDER_UNSPECIFIED, pb.CONTACT_ORDER_NAME, pb.CONTACT_ORDER_UPDATED_AT])
async def test_pages_of_a_search_have_each_contact_once(book, work_db, order):
    made = {(await book.create(name=f"Ann {n % 3}", phone=f"+1201555{n:04}")).contact.id for n in range(12)}
    await index(work_db, book.account)
    walked, cursor = [], ""
    while True:
        answer = await book.page(search="ann 1201555", page_size=5, cursor=cursor, order=order)
        walked += [contact.id for contact in answer.contacts]
        cursor = answer.next_cursor
        if not cursor:
            break
    assert len(walked) == len(made)
    assert set(walked) == made


@pytest.mark.usefixtures("plan_kind")
@pytest.mark.parametrize("order", [pb.CONTACT_ORDER_UNSPECIFIED, pb.CONTACT_ORDER_CREATED_AT, pb.CONTACT_ORDER_NAME])
async def test_pages_of_one_word_are_in_order(book, work_db, order):
    """Which is the name's beginning, or not, or the email's."""
    people = ["Ann Lee", "Ánn Ray", "Bob Ann", "Anna Ash", "Annika Bo", "Zoe Lee"]
    for n, name in enumerate(people * 2):
        email = {"email": f"ann{n}@example.org"} if name == "Zoe Lee" else {}
        await book.create(name=name, phone=f"+1201555{n:04}", **email)
    await index(work_db, book.account)
    everybody = [contact.id for contact in (await book.page(page_size=100, order=order)).contacts]
    walked, cursor = [], ""
    while True:
        answer = await book.page(search="ann", page_size=5, cursor=cursor, order=order)
        walked += [contact.id for contact in answer.contacts]
        cursor = answer.next_cursor
        if not cursor:
            break
    assert walked == everybody


@pytest.mark.usefixtures("plan_kind")
async def test_words_that_are_out_of_date_never_yield_a_wrong_match(book, work_db):
    kept = (await book.create(name="Ann Lee", phone="+12015550123")).contact.id
    for n in range(5):
        renamed = (await book.create(name="Ann Lee", phone=f"+120155501{n:02}")).contact.id
    await index(work_db, book.account)
    async with work_db.write(book.account) as tx:
        await tx.execute(
            "UPDATE contacts SET first_name = 'Bob' WHERE account_id = $1 AND phone <> '+12015550123'", book.account
        )
    assert await found(book, "ann") == {kept}
    assert (await book.page(search="ann", page_size=2)).next_cursor == ""
    assert renamed not in await found(book, "ann lee")


async def test_an_update_changes_the_words_and_nothing_else(book, work_db, admin):
    made = (await book.create(name="Ann Lee", email="ann@example.org", phone="+12015550123")).contact
    await book.update(made.id, name="Ann Ray", clear=["email"])
    await book.update(made.id, stage="lead")
    await index(work_db, book.account)
    words = {word for word, _ in await kept_words(admin, book.account)}
    assert words == {"ann", "ray", "12015550123", "<32105551021"}
    assert await found(book, "lee") == set()
    assert await found(book, "ray") == {made.id}


async def test_deleting_takes_the_words_at_once_and_late_events_bring_none_back(book, work_db, admin):
    gone = (await book.create(name="Ann Lee", phone="+12015550123")).contact
    await index(work_db, book.account)
    await book.delete(gone.id)
    assert await kept_words(admin, book.account) == set()
    await index(work_db, book.account, shuffled=random.Random(1))
    assert await kept_words(admin, book.account) == set()
    never_indexed = (await book.create(name="Bob", phone="+12015550124")).contact
    await book.delete(never_indexed.id)
    await index(work_db, book.account, shuffled=random.Random(2))
    assert await kept_words(admin, book.account) == set()
    leftovers = await admin.fetch("SELECT text FROM search_entries WHERE account_id = $1", book.account)
    assert {row["text"] for row in leftovers} == {""}


async def test_the_index_can_be_made_anew(book, work_db, admin):
    made = (await book.create(name="Ann Lee", phone="+12015550123")).contact
    await index(work_db, book.account)
    words = await kept_words(admin, book.account)
    await admin.execute("UPDATE search_entries SET text = ' lost' WHERE account_id = $1", book.account)
    await admin.execute("DELETE FROM search_words WHERE account_id = $1", book.account)
    async for _ in rebuild(work_db):
        pass
    assert await kept_words(admin, book.account) == words
    await admin.execute("DELETE FROM search_entries WHERE account_id = $1", book.account)
    await admin.execute("DELETE FROM search_words WHERE account_id = $1", book.account)
    async for _ in rebuild(work_db):
        pass
    assert await kept_words(admin, book.account) == words
    assert await found(book, "ann") == {made.id}


@pytest.mark.parametrize(
    ("age", "ended", "indexed"),
    [
        (0.0, False, False),
        (0.0, True, False),
        (consumers.PATIENCE_SECONDS, False, False),
        (consumers.PATIENCE_SECONDS, True, True),
        (consumers.LONG_PATIENCE_SECONDS, False, True),
    ],
)
async def test_bulk_events_give_way_to_an_import_for_a_while(book, work_db, admin, age, ended, indexed):
    """ended: another import has, since the event was made, and its words wait behind it."""
    # Other tests leave theirs behind.
    await admin.execute(
        "UPDATE imports SET status = 'completed', finished_at = now() - interval '1 hour' "
        "WHERE status = 'running' OR finished_at IS NOT NULL"
    )
    await book.upload(b"phone,name\n+12015550123,Ann\n")
    await admin.execute(
        "UPDATE imports SET status = 'running', lease_until = now() + interval '1 hour' WHERE account_id = $1",
        book.account,
    )
    made = (await book.create(name="Ann", phone="+12015550123")).contact
    (event,) = [event for event in await events(work_db, book.account) if event.type == "contact.created"]
    time = datetime.now(UTC) - timedelta(seconds=age)
    told = dataclasses.replace(event, bulk=True, time=time)
    if ended:
        other = await book.upload(b"phone,name\n+12015550124,Bob\n")
        await admin.execute(
            "UPDATE imports SET status = 'completed', finished_at = $2 WHERE id = $1",
            decode("imp", other.id),
            time + timedelta(seconds=1),
        )
    task = asyncio.create_task(consumers.SearchIndexer(work_db).handle(book.account, [told]))
    if not indexed:
        assert not (await asyncio.wait([task], timeout=3 * consumers.POLL_SECONDS))[0]
        await admin.execute("UPDATE imports SET status = 'completed' WHERE account_id = $1", book.account)
    await task
    assert await found(book, "ann") == {made.id}


async def test_the_index_follows_the_events(book, nats, serve_db, work_db, admin):
    made = (await book.create(name="Ann Lee", phone="+12015550123")).contact
    running = [
        Relay(work_db, nats, service="contacts").run(),
        *(one.run() for one in consumers.consumers(nats, work_db)),
    ]
    tasks = [asyncio.create_task(one) for one in running]
    try:
        assert await eventually(lambda: found(book, "lee")) == {made.id}
        await book.update(made.id, name="Ann Ray")
        assert await eventually(lambda: found(book, "ray")) == {made.id}
        assert await found(book, "lee") == set()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# Few letters, so that words meet; those that fold to several characters among them.
LETTERS = "aäAbßİ١ -'."
NAMES = st.text(alphabet=LETTERS, max_size=8)
PHONES = st.sampled_from([f"+120155501{n:02}" for n in range(12)])
EMAILS = st.one_of(st.none(), st.builds("{}@{}.org".format, st.sampled_from(["a", "ab", "b.a"]), st.sampled_from("ab")))
TYPED = st.one_of(
    st.text(alphabet=LETTERS + "120@+5", max_size=8),
    st.sampled_from(["1201", "+1 201", "0110", "a 0", "b.a@", "org", "a org", "12 1", "5501"]),
).filter(lambda typed: not typed or domain.parse(typed) is not None)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["create", "update", "delete"]), st.integers(0, 11), NAMES, PHONES, EMAILS), max_size=14
)


async def change(book: AddressBook, people: dict[str, pb.Contact], step) -> None:
    kind, which, name, phone, email = step
    ids = sorted(people)
    # Two of them may want one phone; the loser keeps what it had.
    with suppress(CarillonError):
        if kind == "create" or not ids:
            made = (await book.create(name=name, phone=phone, **({"email": email} if email else {}))).contact
            people[made.id] = made
        elif kind == "update":
            chosen = ids[which % len(ids)]
            people[chosen] = await book.update(chosen, name=name, **({"email": email} if email else {}))
        else:
            await book.delete(ids[which % len(ids)])
            del people[ids[which % len(ids)]]


def naive(people: dict[str, pb.Contact], typed: str) -> set[str]:
    wanted = domain.parse(typed)
    return {
        one.id
        for one in people.values()
        if wanted is None or wanted.finds(name=one.name or None, email=one.email or None, phone=one.phone or None)
    }


async def agree(client, work_db, *, changes, typed, seed):
    book = AddressBook(client, new_account())
    people: dict[str, pb.Contact] = {}
    for step in changes:
        await change(book, people, step)
    await index(work_db, book.account, shuffled=random.Random(seed))
    for text in typed:
        expected = naive(people, text)
        assert await found(book, text) == expected, text
        assert await found(book, text, order=pb.CONTACT_ORDER_NAME) == expected, text


CASES = given(changes=CHANGES, typed=st.lists(TYPED, min_size=1, max_size=6), seed=st.integers(0, 2**16))


@pytest.mark.usefixtures("plan_kind")
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@CASES
async def test_the_service_finds_what_a_naive_search_finds(client, work_db, changes, typed, seed):
    await agree(client, work_db, changes=changes, typed=typed, seed=seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("plan_kind")
@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
@CASES
async def test_the_service_finds_what_a_naive_search_finds_for_long(client, work_db, changes, typed, seed):
    await agree(client, work_db, changes=changes, typed=typed, seed=seed)
