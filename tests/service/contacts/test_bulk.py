"""One change to many contacts: by their ids, by a filter at once, and by a filter in the background."""

from datetime import timedelta

import pytest

from carillon.contacts.v1 import bulk_pb2 as pb
from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from chassis.errors import InvalidArgument, NotFound
from services.contacts.bulk import repository as jobs
from services.contacts.bulk import writing
from tests.service.contacts.address_book import patch
from tests.service.contacts.conftest import AT_ONCE
from tests.service.contacts.events import outbox
from tests.service.contacts.test_lists import DISAGREEMENTS, NOBODY, NOWHERE, people, run_dry

TAG_ROWS = "SELECT contact_id, array_agg(tag ORDER BY tag) FROM contact_tags WHERE account_id = $1 GROUP BY 1"
TAGS = """
SELECT id, ARRAY(SELECT tag FROM unnest(tags) AS tag ORDER BY tag) FROM contacts
WHERE account_id = $1 AND tags <> '{}'
"""


async def tags_agree(admin, account) -> bool:
    return dict(await admin.fetch(TAG_ROWS, account)) == dict(await admin.fetch(TAGS, account))


async def test_tags_and_lists_come_and_go_at_once(book, lists, bulk, admin):
    ann, bob = await people(book, 2)
    await book.update(ann, tags=["old", "kept", "new"])
    made = (await lists.create()).id
    outcome = await bulk.named(
        [ann, bob, NOBODY, "x"], add_tags=["new", " newer "], remove_tags=["old"], add_lists=[made]
    )
    assert (outcome.changed, outcome.unchanged, list(outcome.not_found)) == (2, 0, [NOBODY, "x"])
    assert list((await book.get(ann)).tags) == ["kept", "new", "newer"]
    assert list((await book.get(bob)).tags) == ["new", "newer"]
    assert [contact.id for contact in await lists.members(made)] == [bob, ann]
    kind, in_bulk, told = (await outbox(admin, book.account))[-1]
    assert (kind, in_bulk) == ("contact.updated", True)
    assert [change.contact for change in told.changes] == [await book.get(ann), await book.get(bob)]
    assert list(told.changes[0].changed_fields) == ["tags", "lists", "updated_at"]
    again = await bulk.named([ann, bob], add_tags=["new"])
    assert (again.changed, again.unchanged) == (0, 2)
    assert len((await bulk.named([ann], remove_lists=[made], remove_tags=["new"])).not_found) == 0
    assert await tags_agree(admin, book.account)
    assert await admin.fetch(DISAGREEMENTS, book.account) == []


async def test_who_would_have_too_many_tags_is_left_alone(book, bulk):
    ann, bob = await people(book, 2)
    await book.update(ann, tags=[str(at) for at in range(100)])
    outcome = await bulk.named([ann, bob], add_tags=["more"])
    assert (outcome.changed, outcome.unchanged) == (1, 0)
    assert [(one.contact_id, one.code) for one in outcome.failed] == [(ann, "validation_failed")]
    assert (await book.get(ann)).version == 2


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"add_tags": [""]},
        {"add_tags": ["a"], "remove_tags": ["a"]},
        {"add_lists": [NOWHERE]},
        {"remove_lists": [NOWHERE]},
        {"add_lists": ["x"]},
    ],
    ids=["nothing", "an empty tag", "a tag both ways", "a list that is not there", "the same taken off", "no id"],
)
async def test_what_cannot_be_asked_for(book, bulk, change):
    (ann,) = await people(book, 1)
    with pytest.raises(InvalidArgument):
        await bulk.named([ann], **change)
    with pytest.raises(InvalidArgument):
        await bulk.found(change)
    assert (await book.get(ann)).version == 1


async def test_no_target_is_not_everybody(book, bulk):
    with pytest.raises(InvalidArgument):
        await bulk.call("BulkChangeContacts", pb.BulkChangeContactsRequest(add_tags=["a"]))
    with pytest.raises(InvalidArgument):
        await bulk.named([NOBODY] + [str(at) for at in range(1000)], add_tags=["a"])


async def test_a_filter_that_finds_few_is_answered_at_once(book, bulk):
    crowd = await people(book, AT_ONCE)
    await book.create(external_id="other", stage="lead")
    for one in crowd:
        await book.update(one, stage="customer")
    answer = await bulk.found({"add_tags": ["c"]}, stage="customer")
    assert (answer.WhichOneof("answer"), answer.outcome.changed) == ("outcome", AT_ONCE)
    assert {contact.id for contact in (await book.page(tag="c", page_size=100)).contacts} == set(crowd)


async def test_a_filter_that_finds_many_is_worked_on_in_chunks(book, bulk, admin, bulk_worker):
    """The change takes the contacts out of the filter, and none is passed over for it."""
    number = 3 * AT_ONCE + 2
    crowd = [(await book.create(external_id=f"m{at}", tags=["from"])).contact.id for at in range(number)]
    await book.update(crowd[0], tags=["from", *(str(at) for at in range(99))])
    answer = await bulk.found({"add_tags": ["to", "too"], "remove_tags": ["from"]}, tag="from")
    assert (answer.WhichOneof("answer"), answer.job.status) == ("job", pb.BULK_STATUS_QUEUED)
    assert await bulk_worker.run_once()
    job = await bulk.job(answer.job.id)
    assert (job.status, job.changed) == (pb.BULK_STATUS_RUNNING, AT_ONCE)
    await run_dry(bulk_worker)
    job = await bulk.job(answer.job.id)
    assert (job.status, job.changed, job.unchanged, job.failed) == (pb.BULK_STATUS_COMPLETED, number - 1, 0, 1)
    assert job.HasField("finished_at")
    assert [list((await book.get(one)).tags) for one in crowd[1:3]] == [["to", "too"]] * 2
    assert await tags_agree(admin, book.account)
    told = [bulk_ for kind, bulk_, _ in await outbox(admin, book.account) if kind == "contact.updated"]
    assert told[1:] == [True] * 4


async def test_a_chunk_that_is_killed_leaves_nothing_and_is_done_again(book, bulk, bulk_worker, monkeypatch):
    crowd = [(await book.create(external_id=f"k{at}", tags=["t"])).contact.id for at in range(2 * AT_ONCE)]
    job_id = (await bulk.found({"add_tags": ["u"]}, tag="t")).job.id
    assert await bulk_worker.run_once()

    class Killed(BaseException):
        pass

    async def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("services.contacts.bulk.repository.add_progress", die)
        with pytest.raises(Killed):
            await bulk_worker.run_once()
    assert (await bulk.job(job_id)).changed == AT_ONCE
    assert [list((await book.get(one)).tags) for one in crowd[:AT_ONCE]] == [["t"]] * AT_ONCE
    await run_dry(bulk_worker)
    job = await bulk.job(job_id)
    assert (job.status, job.changed, job.unchanged) == (pb.BULK_STATUS_COMPLETED, 2 * AT_ONCE, 0)
    assert [(await book.get(one)).version for one in crowd] == [2] * len(crowd)


async def test_a_job_whose_list_goes_ends_and_says_so(book, lists, bulk, admin, bulk_worker):
    for at in range(AT_ONCE + 1):
        await book.create(external_id=f"g{at}", tags=["t"])
    made = (await lists.create()).id
    job_id = (await bulk.found({"add_lists": [made]}, tag="t")).job.id
    assert await bulk_worker.run_once()
    await lists.delete(made)
    await run_dry(bulk_worker)
    job = await bulk.job(job_id)
    assert (job.status, job.changed) == (pb.BULK_STATUS_FAILED, AT_ONCE)
    assert "deleted" in job.error
    assert await admin.fetch(DISAGREEMENTS, book.account) == []


async def test_a_job_that_fails_on_our_side_is_tried_again_and_given_up(book, bulk, admin, bulk_worker, monkeypatch):
    for at in range(AT_ONCE + 1):
        await book.create(external_id=f"f{at}", tags=["t"])
    job_id = (await bulk.found({"add_tags": ["u"]}, tag="t")).job.id

    async def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(writing, "write", fail)
    for _ in range(5):
        assert (await bulk.job(job_id)).status == pb.BULK_STATUS_QUEUED
        assert await bulk_worker.run_once()
        await admin.execute("UPDATE bulk_jobs SET due_at = now() WHERE account_id = $1", book.account)
    assert (await bulk.job(job_id)).status == pb.BULK_STATUS_FAILED
    assert not await bulk_worker.run_once()


async def test_the_end_of_a_list_is_never_given_up(book, lists, bulk, admin, bulk_worker, monkeypatch):
    crowd = await people(book, AT_ONCE + 1)
    made = (await lists.create()).id
    await lists.add([made], crowd)
    await lists.delete(made)

    async def fail(*_, **__):
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(writing, "write_locked", fail)
        for _ in range(jobs.ATTEMPTS + 1):
            assert await bulk_worker.run_once()
            await admin.execute("UPDATE bulk_jobs SET due_at = now() WHERE account_id = $1", book.account)
    await run_dry(bulk_worker)
    assert {tuple((await book.get(one)).lists) for one in crowd} == {()}


async def test_what_ended_long_ago_is_forgotten(book, bulk, admin, work_db):
    """Its filter may name a person."""
    for at in range(AT_ONCE + 1):
        await book.create(external_id=f"o{at}", tags=["t"])
    running, ended, lately = [(await bulk.found({"add_tags": ["u"]}, tag="t")).job.id for _ in range(3)]
    finish = "UPDATE bulk_jobs SET finished_at = now() - $2::interval WHERE id = $1"
    await admin.execute(finish, ids.decode("job", ended), timedelta(hours=73))
    await admin.execute(finish, ids.decode("job", lately), timedelta(hours=71))
    async with work_db.across() as tx:
        await jobs.forget(tx, timedelta(hours=72))
    with pytest.raises(NotFound):
        await bulk.job(ended)
    assert [(await bulk.job(one)).id for one in (running, lately)] == [running, lately]


async def test_a_repeated_key_starts_one_job(book, bulk, admin):
    for at in range(AT_ONCE + 1):
        await book.create(external_id=f"i{at}", tags=["t"])
    request = pb.BulkChangeContactsRequest(filter=contacts_pb2.ListContactsRequest(tag="t"), add_tags=["u"])
    first = await bulk.call("BulkChangeContacts", request, idempotency=("k", b"1"))
    assert await bulk.call("BulkChangeContacts", request, idempotency=("k", b"1")) == first
    assert await admin.fetchval("SELECT count(*) FROM bulk_jobs WHERE account_id = $1", book.account) == 1


async def test_two_accounts_never_meet(book, other_book, lists, other_lists, bulk, other_bulk, bulk_worker):
    crowd = [(await book.create(external_id=f"a{at}", tags=["t"])).contact.id for at in range(AT_ONCE + 1)]
    made = (await lists.create()).id
    assert (await other_bulk.found({"add_tags": ["u"]}, tag="t")).outcome.changed == 0
    assert list((await other_bulk.named(crowd[:1], add_tags=["u"])).not_found) == crowd[:1]
    with pytest.raises(InvalidArgument):
        await other_bulk.named(crowd[:1], add_lists=[made])
    (eve,) = await people(other_book, 1)
    await other_book.update(eve, tags=["t"])
    (row,) = await other_bulk.batch(patch(external_id="a0", stage="x"))
    assert (row.outcome, row.id == crowd[0]) == ("created", False)
    job_id = (await bulk.found({"add_tags": ["u"]}, tag="t")).job.id
    with pytest.raises(NotFound):
        await other_bulk.job(job_id)
    await run_dry(bulk_worker)
    assert list((await other_book.get(eve)).tags) == ["t"]
    covered = {"BulkChangeContacts", "GetBulkJob", "UpsertBatch"}
    assert covered == {method.name for method in pb.DESCRIPTOR.services_by_name["BulkService"].methods}
    with pytest.raises(NotFound):
        await bulk.job(ids.encode("job", ids.new()))
