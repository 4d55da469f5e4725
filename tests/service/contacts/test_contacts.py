"""Create, read, update, delete: what is stored, answered and told."""

import asyncio
import json

import asyncpg
import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.errors import AlreadyExists, CarillonError, FailedPrecondition, InvalidArgument, NotFound, Reason
from services.contacts import repository
from tests.service.contacts.address_book import patch
from tests.service.contacts.events import outbox
from tests.service.stack import eventually

UNKNOWN = ids.encode("cnt", ids.new())


async def refused(call) -> CarillonError:
    with pytest.raises(CarillonError) as caught:
        await call
    return caught.value


async def test_create_answers_what_get_reads(book):
    made = (await book.create(phone="+1234567890", name="John Doe", email="john@example.org", tags=["premium"])).contact
    assert made == await book.get(made.id)
    assert (made.phone, made.name, made.first_name, made.last_name) == ("+1234567890", "John Doe", "John", "Doe")
    assert (made.email, list(made.tags), made.version) == ("john@example.org", ["premium"], 1)
    assert made.phone_validity == pb.VALIDITY_INVALID
    assert (made.is_bot_active, made.do_not_disturb, made.metadata_json) == (True, False, "{}")
    assert set(made.channels) == {"sms", "whatsapp", "rcs", "viber", "voice", "email"}


async def test_create_tells_the_full_contact(book, admin, account):
    made = (await book.create(phone="+14155552671", metadata_json='{"plan": "gold"}')).contact
    ((kind, bulk, message),) = await outbox(admin, account)
    assert (kind, bulk, len(message.changes)) == ("contact.created", False, 1)
    told = message.changes[0].contact
    assert json.loads(told.metadata_json) == json.loads(made.metadata_json)
    told.metadata_json = made.metadata_json
    assert told == made


@pytest.mark.parametrize(
    ("fields", "reason", "pointer"),
    [
        ({"name": "nobody"}, Reason.IDENTITY_REQUIRED, ""),
        ({"phone": "12ab"}, Reason.INVALID_PHONE, "/phone"),
        ({"email": "not an email"}, Reason.INVALID_EMAIL, "/email"),
        ({"phone": "+14155552671", "name": "x" * 201}, Reason.VALIDATION_FAILED, "/name"),
        ({"phone": "+14155552671", "stage": "a\0b"}, Reason.VALIDATION_FAILED, "/stage"),
        ({"phone": "+14155552671", "metadata_json": '{"a": "\\u0000"}'}, Reason.VALIDATION_FAILED, "/metadata"),
        ({"phone": "+14155552671", "metadata_json": '{"a": "\\ud800"}'}, Reason.VALIDATION_FAILED, "/metadata"),
        ({"phone": "+14155552671", "metadata_json": "[1]"}, Reason.VALIDATION_FAILED, "/metadata"),
        ({"phone": "+14155552671", "tags": ["x" * 65]}, Reason.VALIDATION_FAILED, "/tags/0"),
        ({"phone": "+14155552671", "country": "ZZ"}, Reason.VALIDATION_FAILED, "/country"),
    ],
)
async def test_create_names_the_field_at_fault(book, fields, reason, pointer):
    error = await refused(book.create(**fields))
    assert isinstance(error, InvalidArgument)
    assert error.reason == reason
    assert [violation.pointer for violation in error.violations] == [pointer]


async def test_every_fault_is_named_at_once(book):
    error = await refused(book.create(phone="1", email="x", country="ZZ"))
    assert {violation.code for violation in error.violations} == {"invalid_phone", "invalid_email", "validation_failed"}


async def test_identity_is_phone_first(book):
    first = (await book.create(phone="+14155552671", email="shared@example.org")).contact
    # Addresses are shared: an email is no key where there is a phone.
    await book.create(phone="+14155552672", email="SHARED@example.org")
    alone = (await book.create(email="Shared@Example.org")).contact
    error = await refused(book.create(email="shared@example.org"))
    assert (error.reason, error.metadata) == (Reason.CONTACT_EXISTS, {"existing_id": alone.id})
    error = await refused(book.create(phone="+1 415 555 2671"))
    assert isinstance(error, AlreadyExists)
    assert error.metadata == {"existing_id": first.id}


async def test_keys_of_two_contacts_are_a_conflict(book):
    one = (await book.create(phone="+14155552671")).contact
    two = (await book.create(external_id="crm-7")).contact
    for upsert in (False, True):
        error = await refused(book.create(phone="+14155552671", external_id="crm-7", upsert=upsert))
        assert (error.reason, error.metadata) == (Reason.IDENTITY_CONFLICT, {"existing_ids": f"{one.id},{two.id}"})
    assert await book.get(one.id) == one


async def test_upsert_changes_the_fields_given(book):
    made = (await book.create(phone="+14155552671", name="Ada Lovelace", tags=["a"])).contact
    answer = await book.create(phone="+14155552671", stage="customer", upsert=True)
    assert (answer.created, answer.contact.id, answer.contact.version) == (False, made.id, 2)
    assert (answer.contact.name, answer.contact.stage, list(answer.contact.tags)) == ("Ada Lovelace", "customer", ["a"])


async def test_of_creates_at_once_one_wins(book):
    answers = await asyncio.gather(
        *(book.create(phone="+14155552671", stage=str(n)) for n in range(8)), return_exceptions=True
    )
    made = [answer for answer in answers if isinstance(answer, pb.CreateContactResponse)]
    lost = [answer for answer in answers if isinstance(answer, AlreadyExists)]
    assert (len(made), len(lost)) == (1, 7)
    assert {error.metadata["existing_id"] for error in lost} == {made[0].contact.id}


async def test_upserts_at_once_all_arrive(book):
    await asyncio.gather(
        *(book.create(phone="+14155552671", metadata_json=json.dumps({f"k{n}": n}), upsert=True) for n in range(8))
    )
    (only,) = await book.all()
    assert json.loads(only.metadata_json) == {f"k{n}": n for n in range(8)}
    assert only.version == 8


async def test_update_changes_only_what_is_sent(book, admin, account):
    made = (await book.create(phone="+14155552671", name="Ada Lovelace", stage="lead", tags=["a", "b"])).contact
    after = await book.update(made.id, tags=["b", "c"])
    assert (after.name, after.stage, list(after.tags), after.version) == ("Ada Lovelace", "lead", ["b", "c"], 2)
    assert after == await book.get(made.id)
    kind, bulk, message = (await outbox(admin, account))[-1]
    assert (kind, bulk) == ("contact.updated", False)
    assert list(message.changes[0].changed_fields) == ["tags", "updated_at"]
    assert message.changes[0].contact == after


async def test_update_that_changes_nothing_tells_nothing(book, admin, account):
    made = (
        await book.create(phone="+14155552671", name="Ada Lovelace", tags=["a"], metadata_json='{"n": 1.5, "m": [1]}')
    ).contact
    again = await book.update(
        made.id, phone="+1 (415) 555-2671", name="Ada Lovelace", tags=["a"], metadata_json='{"m": [1]}', country="us"
    )
    assert again.version == 1
    assert again.updated_at == made.updated_at
    assert len(await outbox(admin, account)) == 1


async def test_metadata_merges_by_key_and_null_drops(book):
    made = (await book.create(phone="+14155552671", metadata_json='{"a": 1, "b": {"c": 2}}')).contact
    after = await book.update(made.id, metadata_json='{"a": null, "b": {"d": 3}, "e": 12345678901234567890}')
    assert json.loads(after.metadata_json) == {"b": {"d": 3}, "e": 12345678901234567890}


async def test_clear_nulls(book):
    made = (
        await book.create(
            phone="+14155552671", email="a@example.org", name="A B", stage="x", tags=["t"], metadata_json='{"a": 1}'
        )
    ).contact
    after = await book.update(made.id, clear=["phone", "name", "stage", "tags", "metadata_json"])
    assert not any(after.HasField(name) for name in ("phone", "name", "first_name", "last_name", "stage", "country"))
    assert (list(after.tags), after.metadata_json, after.email) == ([], "{}", "a@example.org")
    error = await refused(book.update(made.id, clear=["email"]))
    assert error.reason == Reason.IDENTITY_REQUIRED
    error = await refused(book.update(made.id, clear=["version"]))
    assert error.reason == Reason.VALIDATION_FAILED


async def test_a_given_country_outlives_the_phone(book):
    made = (await book.create(phone="+14155552671")).contact
    assert made.country == "US"
    assert (await book.update(made.id, phone="+4930901820")).country == "DE"
    assert (await book.update(made.id, country="fr")).country == "FR"
    assert (await book.update(made.id, phone="+14155552671")).country == "FR"
    assert (await book.update(made.id, clear=["country"])).country == "US"


async def test_update_to_a_taken_key_names_its_holder(book):
    one = (await book.create(phone="+14155552671")).contact
    two = (await book.create(phone="+14155552672", external_id="x")).contact
    error = await refused(book.update(two.id, phone="+14155552671"))
    assert (error.reason, error.metadata) == (Reason.CONTACT_EXISTS, {"existing_id": one.id})
    three = (await book.create(phone="+14155552673")).contact
    error = await refused(book.update(three.id, phone="+14155552671", external_id="x"))
    assert error.metadata == {"existing_ids": f"{one.id},{two.id}"}


async def test_losing_the_phone_makes_the_email_a_key(book):
    alone = (await book.create(email="a@example.org")).contact
    made = (await book.create(phone="+14155552671", email="a@example.org")).contact
    error = await refused(book.update(made.id, clear=["phone"]))
    assert (error.reason, error.metadata) == (Reason.CONTACT_EXISTS, {"existing_id": alone.id})


async def test_version_guards_update_and_delete(book):
    made = (await book.create(phone="+14155552671")).contact
    await book.update(made.id, stage="x", if_version=1)
    for call in (book.update(made.id, stage="y", if_version=1), book.delete(made.id, if_version=1)):
        error = await refused(call)
        assert (error.reason, error.metadata) == (Reason.VERSION_MISMATCH, {"version": "2"})
    await book.delete(made.id, if_version=2)


async def test_delete_leaves_a_tombstone_above_every_version(book, admin, account):
    made = (await book.create(phone="+14155552671", tags=["a", "b"])).contact
    await book.update(made.id, stage="x")
    await book.delete(made.id)
    for call in (book.get(made.id), book.delete(made.id), book.update(made.id, stage="y")):
        assert isinstance(await refused(call), NotFound)
    kind, _, message = (await outbox(admin, account))[-1]
    assert (kind, message.deletions[0].id, message.deletions[0].version) == ("contact.deleted", made.id, 3)
    assert await admin.fetchval("SELECT version FROM tombstones WHERE account_id = $1", account) == 3
    assert await admin.fetchval("SELECT count(*) FROM contact_tags WHERE account_id = $1", account) == 0


async def test_bulk_delete_reports_what_it_did_not_find(book, admin, account):
    made = [(await book.create(phone=f"+1415555{n}")).contact.id for n in range(2000, 2003)]
    request = pb.BulkDeleteContactsRequest(ids=[*made, UNKNOWN, "cnt_abc123", made[0]])
    answer = await book.call("BulkDeleteContacts", request)
    assert (answer.deleted, list(answer.not_found)) == (3, [UNKNOWN, "cnt_abc123"])
    kind, bulk, message = (await outbox(admin, account))[-1]
    assert (kind, bulk, len(message.deletions)) == ("contact.deleted", True, 3)
    error = await refused(book.call("BulkDeleteContacts", pb.BulkDeleteContactsRequest(ids=["cnt_x"] * 1001)))
    assert error.reason == Reason.VALIDATION_FAILED


async def test_tags_are_added_once_and_removed(book, admin, account):
    made = (await book.create(phone="+14155552671", tags=["a"])).contact
    answer = await book.call("AddTags", pb.AddTagsRequest(id=made.id, tags=["b", "a", " b "]))
    assert (list(answer.contact.tags), answer.contact.version) == (["a", "b"], 2)
    again = await book.call("AddTags", pb.AddTagsRequest(id=made.id, tags=["b"]))
    assert again.contact.version == 2
    answer = await book.call("RemoveTag", pb.RemoveTagRequest(id=made.id, tag="a"))
    assert list(answer.contact.tags) == ["b"]
    assert isinstance(await refused(book.call("RemoveTag", pb.RemoveTagRequest(id=made.id, tag="a"))), NotFound)
    too_many = pb.AddTagsRequest(id=made.id, tags=[f"t{n}" for n in range(100)])
    assert (await refused(book.call("AddTags", too_many))).reason == Reason.VALIDATION_FAILED
    rows = await admin.fetch("SELECT tag FROM contact_tags WHERE account_id = $1", account)
    assert [row["tag"] for row in rows] == ["b"]


async def test_pages_cover_everything_once_newest_first(book):
    made = [
        (await book.create(phone=f"+1415555{n}", tags=["t"] if n % 2 else [])).contact.id for n in range(2000, 2007)
    ]
    seen, cursor = [], ""
    while True:
        answer = await book.page(page_size=3, cursor=cursor)
        seen += [contact.id for contact in answer.contacts]
        cursor = answer.next_cursor
        if not cursor:
            break
    assert seen == made[::-1]
    tagged = await book.page(tag="t", page_size=2)
    rest = await book.page(tag="t", page_size=2, cursor=tagged.next_cursor)
    assert [contact.id for contact in [*tagged.contacts, *rest.contacts]] == made[1::2][::-1]
    for foreign in (pb.ListContactsRequest(cursor=tagged.next_cursor), pb.ListContactsRequest(cursor="forged")):
        assert (await refused(book.call("ListContacts", foreign))).reason == Reason.INVALID_CURSOR


async def test_filters_narrow(book):
    made = (
        await book.create(phone="+14155552671", email="A@Example.org", stage="lead", external_id="e1", tags=["t"])
    ).contact
    await book.create(phone="+4930901820", stage="customer")
    for wanted in (
        {"stage": "lead"},
        {"country": "us"},
        {"tag": "t"},
        {"phone": "+1 415 555 2671"},
        {"email": "a@example.ORG"},
        {"external_id": "e1"},
        {"stage": "lead", "country": "US", "tag": "t"},
    ):
        assert [contact.id for contact in (await book.page(**wanted)).contacts] == [made.id], wanted
    assert not (await book.page(stage="lead", country="DE")).contacts


async def test_lookup_takes_the_one_updated_last(book):
    first = (await book.create(phone="+14155552671", email="s@example.org", external_id="e")).contact
    second = (await book.create(phone="+14155552672", email="s@example.org")).contact
    answer = await book.call("LookupContact", pb.LookupContactRequest(email="S@example.org"))
    assert (answer.contact.id, answer.matches) == (second.id, 2)
    await book.update(first.id, stage="x")
    answer = await book.call("LookupContact", pb.LookupContactRequest(email="S@example.org"))
    assert (answer.contact.id, answer.matches) == (first.id, 2)
    for key in ({"phone": "001 415 555 2671"}, {"external_id": "e"}):
        answer = await book.call("LookupContact", pb.LookupContactRequest(**key))
        assert (answer.contact.id, answer.matches) == (first.id, 1)
    for key in ({"phone": "+14155550000"}, {"phone": "junk"}, {"email": "x@example.org"}, {"external_id": "\0"}):
        assert isinstance(await refused(book.call("LookupContact", pb.LookupContactRequest(**key))), NotFound)


async def test_an_idempotency_key_replays(book, admin, account):
    request = pb.CreateContactRequest(contact=patch(phone="+14155552671"))
    first = await book.call("CreateContact", request, idempotency=("k1", b"f1"))
    again = await book.call("CreateContact", request, idempotency=("k1", b"f1"))
    assert first == again
    assert len(await outbox(admin, account)) == 1
    other = pb.CreateContactRequest(contact=patch(phone="+14155552672"))
    error = await refused(book.call("CreateContact", other, idempotency=("k1", b"f2")))
    assert isinstance(error, FailedPrecondition)
    assert error.reason == Reason.IDEMPOTENCY_KEY_REUSED
    assert len(await book.all()) == 1


async def test_default_region_reads_national_phones(book):
    assert (await book.create(phone="020 7946 0958", region="gb")).contact.phone == "+442079460958"
    assert (await refused(book.create(phone="020 7946 0959"))).reason == Reason.INVALID_PHONE
    assert (await refused(book.create(phone="020 7946 0959", region="XX"))).reason == Reason.VALIDATION_FAILED


async def test_a_tag_that_comes_while_its_contact_is_deleted_goes_too(book, admin, urls, account):
    made = (await book.create(phone="+14155552671", tags=["a"])).contact
    contact_id = ids.decode("cnt", made.id)
    other = await asyncpg.connect(urls.admin)
    try:
        async with other.transaction():
            await other.execute("UPDATE contacts SET tags = '{a,b}' WHERE id = $1", contact_id)
            deleting = asyncio.create_task(book.delete(made.id))
            await eventually(lambda: admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            await other.execute("INSERT INTO contact_tags VALUES ($1, 'b', $2)", account, contact_id)
    finally:
        await other.close()
    await deleting
    assert await admin.fetchval("SELECT count(*) FROM contact_tags WHERE account_id = $1", account) == 0


async def test_an_upsert_writes_no_contact_that_lost_the_key_meanwhile(book, admin, monkeypatch):
    made = (await book.create(phone="+14155552671", name="Ada")).contact
    lock = repository.lock

    async def overtaken(*args):
        monkeypatch.setattr(repository, "lock", lock)
        await admin.execute("UPDATE contacts SET phone = '+14155552672' WHERE id = $1", ids.decode("cnt", made.id))
        return await lock(*args)

    monkeypatch.setattr(repository, "lock", overtaken)
    answer = await book.create(upsert=True, phone="+14155552671", name="Bob")
    assert answer.created
    assert (await book.get(made.id)).name == "Ada"


async def test_an_upsert_that_would_take_another_contacts_key_names_its_holder(book):
    await book.create(phone="+14155552671", email="a@example.org", external_id="x")
    alone = (await book.create(email="a@example.org")).contact
    error = await refused(book.create(upsert=True, external_id="x", phone=""))
    assert (error.reason, error.metadata) == (Reason.CONTACT_EXISTS, {"existing_id": alone.id})
