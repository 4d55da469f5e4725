"""An undone import: what it made and nobody touched is gone, the rest stays and is listed."""

import asyncio

import pytest

from carillon.contacts.v1 import activity_pb2, imports_pb2
from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.errors import FailedPrecondition, InvalidArgument
from formats.records import FAILED_ON_OUR_SIDE
from services.contacts.imports import undo
from services.contacts.imports.job import ImportWorker
from tests.service.contacts.address_book import AddressBook
from tests.service.contacts.events import outbox
from tests.service.contacts.test_two_step import counts, drain

MANY = "phone,tags\n" + "".join(f"+1415555{n:04},t\n" for n in range(1_200))


async def imported(book, worker, data: str, **options) -> pb.Import:
    job = await book.upload(data.encode(), **options)
    await drain(worker)
    return await book.progress(job.id)


async def test_what_it_made_is_deleted_and_told(book, desk, lists, worker, undoer, admin, account):
    wanted = await lists.create("Spring")
    mine = (await book.create(phone="+14155559999")).contact
    done = await imported(book, worker, MANY, list_ids=[wanted.id])
    begun = await desk.undo(done.id)
    assert (begun.status, counts(begun)) == (pb.IMPORT_STATUS_UNDOING, counts(done))
    await drain(undoer)
    undone = await book.progress(done.id)
    assert (undone.status, undone.undo_deleted, undone.undo_kept) == (pb.IMPORT_STATUS_UNDONE, 1_200, 0)
    assert counts(undone) == counts(done)
    assert [contact.id for contact in await book.all()] == [mine.id]
    assert (await lists.get(wanted.id)).member_count == 0
    assert await admin.fetchval("SELECT count(*) FROM contact_tags WHERE account_id = $1", account) == 0
    told = [(bulk, len(message.deletions)) for kind, bulk, message in await outbox(admin, account)
            if kind == "contact.deleted"]  # fmt: skip
    assert sum(deleted for _, deleted in told) == 1_200
    assert all(bulk and deleted <= 500 for bulk, deleted in told)
    assert not (await desk.leftovers(done.id)).leftovers
    # Again: nothing happens, and the file counts as new.
    assert await desk.undo(done.id) == undone
    assert not await undoer.run_once()
    assert (await imported(book, worker, MANY)).imported == 1_200


async def test_what_was_touched_since_or_was_there_before_stays_and_is_listed(book, desk, worker, undoer):
    there = (await book.create(phone="+14155550000", stage="lead")).contact
    rows = "phone,stage\n" + "".join(f"+1415555{n:04},customer\n" for n in range(5))
    done = await imported(book, worker, rows, on_duplicate=pb.ON_DUPLICATE_UPDATE)
    assert counts(done) == (5, 4, 1, 0, 0)
    touched = (await book.page(phone="+14155550001")).contacts[0]
    await book.update(touched.id, gender="f")
    await desk.undo(done.id)
    await drain(undoer)
    undone = await book.progress(done.id)
    assert (undone.undo_deleted, undone.undo_kept) == (3, 2)
    assert {contact.id for contact in await book.all()} == {there.id, touched.id}
    left = (await desk.leftovers(done.id)).leftovers
    assert {(one.contact_id, one.reason) for one in left} == {
        (there.id, imports_pb2.LEFTOVER_REASON_UPDATED),
        (touched.id, imports_pb2.LEFTOVER_REASON_CHANGED_SINCE),
    }
    first = await desk.leftovers(done.id, page_size=1)
    rest = await desk.leftovers(done.id, page_size=1, cursor=first.next_cursor)
    assert [*first.leftovers, *rest.leftovers] == list(left)
    assert not rest.next_cursor


async def test_a_contact_with_an_agents_note_stays(book, desk, worker, undoer, activity_client, account):
    done = await imported(book, worker, "phone\n+14155550000\n+14155550001\n")
    noted = (await book.page(phone="+14155550001")).contacts[0]
    note = activity_pb2.AddActivityRequest(contact_id=noted.id, type="agent.note", text="Calls back on Monday")
    await AddressBook(activity_client, account).call("AddActivity", note)
    await desk.undo(done.id)
    await drain(undoer)
    assert [one.id for one in await book.all()] == [noted.id]
    (left,) = (await desk.leftovers(done.id)).leftovers
    assert (left.contact_id, left.reason) == (noted.id, imports_pb2.LEFTOVER_REASON_CHANGED_SINCE)


async def test_what_the_import_itself_changed_again_counts_as_untouched(book, desk, work_db, undoer):
    """Its rows for one contact are in two chunks."""
    filler = "".join(f"+1415556{n:04},x\n" for n in range(300))
    worker = ImportWorker(work_db, asyncio.Event(), chunk_records=100)
    done = await imported(
        book, worker, f"phone,stage\n+14155550001,a\n{filler}+14155550001,b\n", on_duplicate=pb.ON_DUPLICATE_UPDATE
    )
    assert counts(done) == (302, 301, 1, 0, 0)
    await desk.undo(done.id)
    await drain(undoer)
    undone = await book.progress(done.id)
    assert (undone.undo_deleted, undone.undo_kept) == (301, 0)
    assert await book.all() == []


async def test_a_killed_undo_goes_on_where_it_was(book, desk, worker, undoer, monkeypatch):
    done = await imported(book, worker, MANY)
    await desk.undo(done.id)
    assert await undoer.run_once()
    assert (await book.progress(done.id)).undo_deleted == 500
    step = undo.step

    async def killed(tx, held, **options):
        await step(tx, held, **options)
        raise asyncio.CancelledError

    monkeypatch.setattr(undo, "step", killed)
    with pytest.raises(asyncio.CancelledError):
        await undoer.run_once()
    monkeypatch.setattr(undo, "step", step)
    assert (await book.progress(done.id)).undo_deleted == 500
    assert len(await book.all()) == 700
    await drain(undoer)
    assert (await book.progress(done.id)).undo_deleted == 1_200


async def test_one_that_fails_again_and_again_is_given_up_and_can_be_taken_up(
    book, desk, worker, undoer, admin, account, monkeypatch
):
    done = await imported(book, worker, MANY)
    await desk.undo(done.id)

    async def broken(tx, held, **options):
        raise ValueError

    with monkeypatch.context() as patched:
        patched.setattr(undo, "step", broken)
        for _ in range(undo.ATTEMPTS + 1):
            assert await undoer.run_once()
            await admin.execute("UPDATE imports SET lease_until = NULL WHERE account_id = $1", account)
    given_up = await book.progress(done.id)
    assert (given_up.status, given_up.error) == (pb.IMPORT_STATUS_FAILED, FAILED_ON_OUR_SIDE)
    await desk.undo(done.id)
    await drain(undoer)
    assert (await book.progress(done.id)).undo_deleted == 1_200


async def test_another_import_of_the_same_time_is_left_alone(book, desk, worker, undoer):
    done = await imported(book, worker, "phone\n+14155550001\n")
    other = await imported(book, worker, "phone\n+14155550002\n")
    await desk.undo(done.id)
    await drain(undoer)
    assert [contact.phone for contact in await book.all()] == ["+14155550002"]
    assert (await book.progress(other.id)).status == pb.IMPORT_STATUS_COMPLETED


async def test_one_that_was_cancelled_is_undone_too(book, desk, worker, undoer):
    held = getattr(await book.hold(MANY), "import")
    await desk.cancel(held.id)
    await desk.undo(held.id)
    await drain(undoer)
    assert (await book.progress(held.id)).status == pb.IMPORT_STATUS_UNDONE


async def test_only_an_import_that_ended_can_be_undone(book, desk, worker, undoer):
    queued = await book.upload(MANY.encode())
    with pytest.raises(FailedPrecondition) as caught:
        await desk.undo(queued.id)
    assert caught.value.metadata == {"status": "queued"}
    with pytest.raises(FailedPrecondition):
        await desk.leftovers(queued.id)
    await drain(undoer)
    dry = getattr(await book.hold(MANY), "import")
    await desk.commit(dry.id, dry_run=True)
    await drain(worker)
    with pytest.raises(FailedPrecondition):
        await desk.undo(dry.id)
    await desk.undo(queued.id)
    with pytest.raises(FailedPrecondition):
        await desk.cancel(queued.id)
    await drain(undoer)
    with pytest.raises(InvalidArgument):
        await desk.leftovers(queued.id, cursor="x")
