"""What an import adds to every contact of its file: tags and lists."""

import asyncio

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.errors import NotFound
from services.contacts.imports.job import ImportWorker
from tests.service.contacts.events import outbox
from tests.service.contacts.test_two_step import counts, drain

FILE = b"phone,stage,tags\n+14155552671,lead,x\n+14155552672,lead,\n+14155552672,,y\n"


@pytest.mark.parametrize(
    ("on_duplicate", "stage", "tagged"),
    [
        (pb.ON_DUPLICATE_SKIP, "customer", ["own", "file"]),
        (pb.ON_DUPLICATE_UPDATE, "lead", ["x", "file"]),
        (pb.ON_DUPLICATE_MERGE, "customer", ["own", "x", "file"]),
    ],
)
async def test_everybody_of_the_file_gets_them(book, lists, worker, admin, account, on_duplicate, stage, tagged):
    there = (await book.create(phone="+14155552671", stage="customer", tags=["own"])).contact
    wanted = await lists.create("Spring")
    job = await book.upload(FILE, on_duplicate=on_duplicate, list_ids=[wanted.id], tags=["file"])
    await drain(worker)
    done = await book.progress(job.id)
    assert counts(done) == ((3, 1, 1, 1, 0) if on_duplicate == pb.ON_DUPLICATE_SKIP else (3, 1, 2, 0, 0))
    old = await book.get(there.id)
    assert (list(old.lists), list(old.tags), old.stage, old.version) == ([wanted.id], tagged, stage, 2)
    new = (await book.page(phone="+14155552672")).contacts[0]
    assert (list(new.lists), "file" in new.tags) == ([wanted.id], True)
    assert (await lists.get(wanted.id)).member_count == 2
    members = await admin.fetchval("SELECT count(*) FROM contact_lists WHERE account_id = $1", account)
    assert members == 2
    told = [change.contact for kind, _, message in await outbox(admin, account) if kind == "contact.created"
            for change in message.changes]  # fmt: skip
    assert new in told
    again = await book.upload(FILE, on_duplicate=pb.ON_DUPLICATE_SKIP, list_ids=[wanted.id], tags=["file"])
    await drain(worker)
    assert counts(await book.progress(again.id)) == (3, 0, 0, 3, 0)


async def test_an_unknown_list_is_refused_and_nothing_is_kept(book, desk, other_lists, admin, account):
    foreign = await other_lists.create("Theirs")
    for unknown in (foreign.id, ids.encode("lst", ids.new()), "x"):
        with pytest.raises(NotFound):
            await book.upload(FILE, list_ids=[unknown])
    assert await admin.fetchval("SELECT count(*) FROM files WHERE account_id = $1", account) == 0
    held = getattr(await book.hold(FILE), "import")
    with pytest.raises(NotFound):
        await desk.commit(held.id, list_ids=[foreign.id])


async def test_a_list_that_goes_meanwhile_is_left_out(book, lists, work_db, admin, account):
    gone, kept = await lists.create("Gone"), await lists.create("Kept")
    job = await book.upload(FILE, list_ids=[gone.id, kept.id])
    await lists.delete(gone.id)
    await drain(ImportWorker(work_db, asyncio.Event()))
    assert (await book.progress(job.id)).imported == 2
    assert {tuple(contact.lists) for contact in await book.all()} == {(kept.id,)}
    assert (await lists.get(kept.id)).member_count == 2
