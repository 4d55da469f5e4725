"""A dry run says exactly what the import would do, writes nothing, and can be committed for real."""

import asyncio
import json
import random

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.errors import FailedPrecondition
from services.contacts.imports.job import ImportWorker
from services.contacts.imports.rehearsal import Rehearsal
from tests.service.contacts.events import outbox
from tests.service.contacts.test_two_step import counts, drain

ROWS = 600


def repetitive_file(seed: int) -> str:
    """Rows of few people, so that chunks meet contacts that earlier ones would have made and changed."""
    rng = random.Random(seed)
    lines = ["phone,external_id,email,stage,tags,City"]
    for _ in range(ROWS):
        phone = rng.choice(["", "junk", *(f"+1415555{n:04}" for n in range(60))])
        external = rng.choice(["", "", *(f"x{n}" for n in range(40))])
        email = rng.choice(["", *(f"a{n}@example.org" for n in range(20))])
        lines.append(
            f"{phone},{external},{email},{rng.choice(['', 'a', 'b'])},{rng.choice(['', 't'])},{rng.choice('RP')}"
        )
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("on_duplicate", [pb.ON_DUPLICATE_SKIP, pb.ON_DUPLICATE_UPDATE, pb.ON_DUPLICATE_MERGE])
async def test_its_counts_and_errors_are_those_of_the_import(book, desk, work_db, admin, account, on_duplicate):
    for n in range(0, 60, 3):
        await book.create(phone=f"+1415555{n:04}", stage="old")
    held = getattr(await book.hold(repetitive_file(on_duplicate)), "import")
    worker = ImportWorker(work_db, asyncio.Event(), chunk_records=50)
    before = (await book.all(), len(await outbox(admin, account)))
    begun = await desk.commit(held.id, on_duplicate=on_duplicate, tags=["file"], dry_run=True)
    assert begun.dry_run
    await drain(worker)
    rehearsed = await book.progress(held.id)
    assert (rehearsed.status, rehearsed.dry_run) == (pb.IMPORT_STATUS_COMPLETED, True)
    assert (await book.all(), len(await outbox(admin, account))) == before
    errors = await desk.failed_rows(held.id, page_size=1000)
    # Everything but `dry_run` is as it was.
    begun = await desk.commit(held.id)
    assert (begun.dry_run, counts(begun)) == (False, (0, 0, 0, 0, 0))
    await drain(worker)
    done = await book.progress(held.id)
    assert (done.status, done.dry_run) == (pb.IMPORT_STATUS_COMPLETED, False)
    assert counts(done) == counts(rehearsed)
    assert min(counts(done)[1], counts(done)[2], counts(done)[4]) > 0
    assert await desk.failed_rows(held.id, page_size=1000) == errors
    assert all("file" in contact.tags for contact in await book.all() if contact.stage != "old")


async def test_a_sample_shows_what_would_change(book, desk, worker):
    made = (await book.create(phone="+14155552671", name="Ada Lovelace", stage="lead", metadata_json='{"a":1}')).contact
    held = await book.hold("phone,name,stage,City\n+14155552671,,customer,Rome\n+14155552672,Bob Bobson,,\n")
    import_id = getattr(held, "import").id
    await desk.commit(import_id, on_duplicate=pb.ON_DUPLICATE_UPDATE, dry_run=True)
    await drain(worker)
    answer = await book.call("GetImport", pb.GetImportRequest(id=import_id))
    created, changed = answer.changes
    assert (created.contact_id, json.loads(created.before_json)) == ("", {})
    assert json.loads(created.after_json) == {
        "phone": "+14155552672",
        "first_name": "Bob",
        "last_name": "Bobson",
        "country": "US",
    }
    assert changed.contact_id == made.id
    assert json.loads(changed.before_json) == {"stage": "lead", "metadata": {"a": 1}}
    assert json.loads(changed.after_json) == {"stage": "customer", "metadata": {"a": 1, "City": "Rome"}}


async def test_one_whose_worker_dies_begins_anew(book, desk, worker, admin, account, monkeypatch):
    held = getattr(await book.hold(repetitive_file(seed=7)), "import")
    await desk.commit(held.id, dry_run=True)
    chunk, chunks = Rehearsal.chunk, []

    async def stopped_at_the_third(rehearsal, outcomes):
        chunks.append(len(outcomes))
        if len(chunks) == 3:
            raise asyncio.CancelledError
        return await chunk(rehearsal, outcomes)

    monkeypatch.setattr(Rehearsal, "chunk", stopped_at_the_third)
    with pytest.raises(asyncio.CancelledError):
        await worker.run_once()
    halfway = await book.progress(held.id)
    assert (halfway.status, halfway.failed > 0) == (pb.IMPORT_STATUS_RUNNING, True)
    await drain(worker)
    done = await book.progress(held.id)
    assert (done.status, done.rows) == (pb.IMPORT_STATUS_COMPLETED, ROWS)
    assert done.failed == await admin.fetchval("SELECT count(*) FROM import_errors WHERE account_id = $1", account)


async def test_it_is_no_earlier_import_of_the_same_file(book, desk, worker):
    first = getattr(await book.hold("phone\n+14155552671\n"), "import")
    await desk.commit(first.id, dry_run=True)
    await drain(worker)
    assert not (await book.upload(b"phone\n+14155552671\n")).duplicate_of


async def test_what_ran_for_real_does_not_begin_again(book, desk, worker):
    held = getattr(await book.hold("phone\n+14155552671\n"), "import")
    await desk.commit(held.id)
    await drain(worker)
    for dry_run in (True, False):
        with pytest.raises(FailedPrecondition):
            await desk.commit(held.id, dry_run=dry_run)
