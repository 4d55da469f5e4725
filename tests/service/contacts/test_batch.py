"""Many upserts at once: an outcome for each row, and the same as one after the other."""

import asyncio
import random
from typing import Any

import pytest

from carillon.contacts.v1 import bulk_pb2 as pb
from carillon.contacts.v1 import contacts_pb2
from chassis.errors import AlreadyExists, CarillonError, InvalidArgument
from services.contacts.imports import staging
from tests.service.contacts.address_book import patch
from tests.service.contacts.events import outbox

CREATED, UPDATED, UNCHANGED, FAILED = "created", "updated", "unchanged", "failed"


async def test_each_row_has_its_outcome_and_a_bad_one_costs_nobody_anything(book, bulk, admin):
    ann = (await book.create(phone="+14155550001", first_name="Ann", tags=["old"])).contact
    bob = (await book.create(external_id="bob", stage="lead")).contact
    rows = await bulk.batch(
        patch(phone="(415) 555-0001", tags=["new"]),
        patch(phone="+14155550002", name="Eve Doe", email="eve@example.com", is_bot_active=False),
        patch(phone="call me", email="not one"),
        patch(external_id="bob", stage="lead"),
        patch(phone="+14155550001", external_id="bob"),
        patch(first_name="Nobody"),
        patch(phone="+14155550002", stage="customer"),
        region="US",
    )
    assert [row.outcome for row in rows] == [UPDATED, CREATED, FAILED, UNCHANGED, FAILED, FAILED, UPDATED]
    assert (rows[0].id, rows[0].version, rows[3].id, rows[3].version) == (ann.id, 2, bob.id, 1)
    assert [row.error.code for row in rows if row.outcome == FAILED] == [
        "validation_failed", "identity_conflict", "identity_required"
    ]  # fmt: skip
    assert [(one.pointer, one.code) for one in rows[2].error.errors] == [
        ("/contacts/2/phone", "invalid_phone"), ("/contacts/2/email", "invalid_email")
    ]  # fmt: skip
    assert set(rows[4].error.existing_ids) == {ann.id, bob.id}
    eve = await book.get(rows[1].id)
    assert (eve.name, eve.stage, eve.is_bot_active, eve.version) == ("Eve Doe", "customer", False, 1)
    assert rows[6].id == eve.id
    after = await book.get(ann.id)
    assert (after.first_name, list(after.tags)) == ("Ann", ["new"])
    told = [(kind, in_bulk, message.changes) for kind, in_bulk, message in (await outbox(admin, book.account))[2:]]
    assert sorted((kind, in_bulk, len(changes)) for kind, in_bulk, changes in told) == [
        ("contact.created", True, 1), ("contact.updated", True, 1)
    ]  # fmt: skip
    assert {change.contact.id: change.contact for _, _, changes in told for change in changes} == {
        ann.id: after, eve.id: eve
    }  # fmt: skip
    assert [contact.id for contact in (await book.page(tag="new")).contacts] == [ann.id]
    assert not (await book.page(tag="old")).contacts


async def test_a_single_row_travels_in_the_live_lane(book, bulk, admin):
    await bulk.batch(patch(phone="+14155550001"), patch(phone="x"))
    assert [(kind, in_bulk) for kind, in_bulk, _ in await outbox(admin, book.account)] == [("contact.created", False)]


async def test_what_is_refused_as_a_whole(bulk):
    with pytest.raises(InvalidArgument):
        await bulk.batch(*[patch(external_id=str(at)) for at in range(1001)])
    with pytest.raises(InvalidArgument):
        await bulk.batch(patch(external_id="x"), region="XX")
    with pytest.raises(InvalidArgument):
        await bulk.batch()


async def test_results_stand_in_the_order_of_the_rows(book, bulk):
    refused, made = await bulk.batch(patch(phone="x"), patch(phone="+14155550001"))
    assert (refused.index, refused.error.errors[0].pointer) == (0, "/contacts/0/phone")
    assert (made.index, made.outcome) == (1, CREATED)


@pytest.mark.parametrize(
    "row",
    [
        "null", "[]", '"nonsense"', '{"phone": 5}', '{"phne": "+14155550001"}', '{"tags": "a"}', '{"tags": [5]}',
        '{"metadata": "a"}', '{"is_bot_active": 1}', '{"phone": "+14155550002%s"}' % (" " * 200),
    ],
)  # fmt: skip
async def test_a_row_that_is_none_is_refused_by_itself(book, bulk, row):
    body = b'{"contacts": [%s, {"phone": "+14155550001"}]}' % row.encode()
    answer = await bulk.call("UpsertBatch", pb.UpsertBatchRequest(body_json=body))
    assert (answer.failed, answer.created) == (1, 1)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[{}]", b'{"contacts": {}}', b'{"contacts": []}', b'{"contacts": [{}], "more": 1}', b"[{}"]
)
async def test_what_is_no_batch(bulk, body):
    with pytest.raises(InvalidArgument):
        await bulk.call("UpsertBatch", pb.UpsertBatchRequest(body_json=body))


async def test_a_thousand_rows_and_the_same_again(book, bulk):
    many = [patch(phone=f"+1415555{at:04}", tags=["t"], metadata_json='{"n": 1}') for at in range(1000)]
    assert {row.outcome for row in await bulk.batch(*many)} == {CREATED}
    again = await bulk.batch(*many)
    assert {(row.outcome, row.version) for row in again} == {(UNCHANGED, 1)}
    assert len(await book.all()) == 1000


async def test_a_repeated_key_answers_as_before(book, bulk):
    first = await bulk.batch(patch(phone="+14155550001"), idempotency=("k", b"1"))
    await book.delete(first[0].id)
    assert await bulk.batch(patch(phone="+14155550001"), idempotency=("k", b"1")) == first
    assert not await book.all()


async def test_two_batches_of_the_same_people_at_once(book, bulk):
    """In opposite orders, so that they wait for one another."""
    rows = [patch(phone=f"+1415555{at:04}", stage="a") for at in range(60)]
    answers = await asyncio.gather(*(bulk.batch(*(rows if at % 2 else rows[::-1])) for at in range(4)))
    assert sum(row.outcome == CREATED for answer in answers for row in answer) == 60
    assert {row.outcome for answer in answers for row in answer} == {CREATED, UNCHANGED}
    assert len(await book.all()) == 60


async def test_a_row_that_makes_an_email_a_key_meets_who_has_it(book, bulk):
    await book.create(external_id="a", phone="+14155550001", email="shared@example.com")
    bob = (await book.create(email="shared@example.com")).contact.id
    leave = patch(external_id="a")
    leave.clear.append("phone")
    failed, fine = await bulk.batch(leave, patch(phone="+14155550003"))
    assert (failed.error.code, list(failed.error.existing_ids), fine.outcome) == ("contact_exists", [bob], CREATED)


async def test_keys_change_hands_within_a_batch(book, bulk):
    """In a ring, which no order of single writes and no one statement could get done: row after row it can."""
    ann = (await book.create(external_id="a", phone="+14155550001")).contact.id
    bob = (await book.create(external_id="b", phone="+14155550002")).contact.id
    leave = patch(external_id="a")
    leave.clear.append("phone")
    step = patch(external_id="b")
    step.clear.append("phone")
    rows = await bulk.batch(
        leave, step, patch(external_id="b", phone="+14155550001"), patch(external_id="a", phone="+14155550002")
    )
    assert [row.outcome for row in rows] == [UPDATED] * 4
    assert [(await book.get(one)).phone for one in (ann, bob)] == ["+14155550002", "+14155550001"]


async def test_keys_change_hands_behind_a_refused_row_on_a_new_connection(book, bulk, serve_db):
    """Row after row, of which the first stages nothing."""
    await book.create(external_id="a", phone="+14155550001")
    await book.create(external_id="b", phone="+14155550002")
    await serve_db._pool.expire_connections()
    rows = await bulk.batch(
        patch(phone="call me"),
        patch(external_id="a", phone="+14155550003"),
        patch(external_id="b", phone="+14155550001"),
        patch(external_id="a", phone="+14155550002"),
    )
    assert [row.outcome for row in rows] == [FAILED, UPDATED, UPDATED, UPDATED]
    assert [(await book.get(row.id)).phone for row in rows[2:]] == ["+14155550001", "+14155550002"]


async def test_keys_that_others_take_meanwhile_are_looked_at_anew(book, bulk, monkeypatch):
    asked = staging.holders
    interrupted: list[str] = []

    async def slow(*args: Any) -> Any:
        found = await asked(*args)
        if not interrupted:
            interrupted.append((await book.create(phone="+14155550001")).contact.id)
        return found

    monkeypatch.setattr(staging, "holders", slow)
    (row,) = await bulk.batch(patch(phone="+14155550001", stage="x"))
    assert (row.outcome, [row.id]) == (UPDATED, interrupted)


# --- the same as one after the other

PHONES = [f"+1415555000{at}" for at in range(3)]
EMAILS = ["a@example.com", "b@example.com"]
IDS = ["x", "y"]


def some_row(dice: random.Random) -> contacts_pb2.ContactPatch:
    fields: dict[str, Any] = {}
    for name, pool in (("phone", PHONES), ("email", EMAILS), ("external_id", IDS)):
        if dice.random() < 0.5:
            fields[name] = dice.choice(pool)
    if dice.random() < 0.5:
        fields["stage"] = dice.choice(["lead", "customer"])
    if dice.random() < 0.3:
        fields["country"] = dice.choice(["US", "FR"])
    if dice.random() < 0.4:
        fields["tags"] = dice.sample(["s", "t", "u"], dice.randint(0, 2))
    if dice.random() < 0.1:
        fields["phone"] = "bad"
    made = patch(**fields)
    cleared = [name for name in ("phone", "email", "external_id", "stage") if dice.random() < 0.15]
    made.clear.extend(name for name in cleared if name not in fields)
    return made


async def one_by_one(book, rows) -> list[tuple[str, str]]:
    outcomes: list[tuple[str, str]] = []
    for row in rows:
        before = {contact.id: contact.version for contact in await book.all()}
        request = contacts_pb2.CreateContactRequest(contact=row, on_conflict=contacts_pb2.ON_CONFLICT_UPDATE)
        try:
            answer = await book.call("CreateContact", request)
        except CarillonError as error:
            outcomes.append((FAILED, str(error.reason)))
            continue
        version = before.get(answer.contact.id)
        outcomes.append(
            (CREATED if answer.created else UNCHANGED if version == answer.contact.version else UPDATED, "")
        )
    return outcomes


def content(contact: contacts_pb2.Contact) -> str:
    """What the contact says, whoever it is."""
    copy = contacts_pb2.Contact()
    copy.CopyFrom(contact)
    for name in ("id", "version", "created_at", "updated_at"):
        copy.ClearField(name)
    return str(copy)


@pytest.mark.parametrize("seed", range(25))
async def test_a_batch_does_what_its_rows_do_one_after_the_other(book, other_book, bulk, seed):
    dice = random.Random(seed)
    before, rows = ([some_row(dice) for _ in range(number)] for number in (4, 8))
    await one_by_one(book, before)
    await one_by_one(other_book, before)
    expected = await one_by_one(other_book, rows)
    got = [(row.outcome, row.error.code if row.error else "") for row in await bulk.batch(*rows)]
    assert got == expected
    mine, theirs = await book.all(), await other_book.all()
    assert sorted(map(content, mine)) == sorted(map(content, theirs))


async def test_the_sequence_above_meets_clashes(book):
    """The rows of the differential test are worth something only if some of them clash."""
    await book.create(phone=PHONES[0], external_id="x")
    await book.create(email=EMAILS[0])
    with pytest.raises(AlreadyExists):
        await book.create(upsert=True, external_id="x", email=EMAILS[0])
