"""What users of other products complain of in their imports; test_formats.py has those about what files look like.

The name of each test is the public thread: repository and number.
"""

import asyncio

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.db import ReadTx, WriteTx
from formats import records
from services.contacts.imports.job import ImportWorker
from tests.service.contacts.events import outbox
from tests.service.contacts.test_two_step import counts, drain


async def imported(book, worker, data: str, **options) -> pb.Import:
    job = await book.upload(data.encode(), **options)
    await drain(worker)
    return await book.progress(job.id)


async def test_listmonk_1207_an_import_that_fails_says_so(book, worker, admin, account, monkeypatch):
    """By its status, its error and an event; and what was done until then is counted."""
    monkeypatch.setattr(records, "BROKEN_RECORDS", 3)
    good = "".join(f"+1415555{n:04},{'x' * 140}\n" for n in range(2_000))
    failed = await imported(book, worker, "phone,name\n" + good + ('"' + "x" * 132_000 + "\n") * 4)
    assert (failed.status, bool(failed.error)) == (pb.IMPORT_STATUS_FAILED, True)
    assert counts(failed) == (2_004, 2_000, 0, 0, 4)
    told = [getattr(message, "import") for kind, _, message in await outbox(admin, account)
            if kind == "import.completed"]  # fmt: skip
    assert told == [failed]


async def test_listmonk_1330_columns_of_any_title_are_mapped(book, desk, worker):
    held = getattr(await book.hold("Kunde;Nr.;x\nAda Lovelace;+14155552671;gold\n"), "import")
    await desk.commit(held.id, {"Kunde": "name", "Nr.": "phone", "x": "metadata.plan"})
    await drain(worker)
    (ada,) = await book.all()
    assert (ada.name, ada.phone, ada.metadata_json) == ("Ada Lovelace", "+14155552671", '{"plan": "gold"}')


async def test_mautic_8948_a_row_that_names_two_people_merges_neither(book, worker):
    """Its phone is Ada's and its external id Bob's; an email that they share makes one of nobody."""
    ada = (await book.create(phone="+14155552671", external_id="a", email="team@example.org")).contact
    bob = (await book.create(phone="+14155552672", external_id="b", email="team@example.org")).contact
    for on_duplicate in (pb.ON_DUPLICATE_SKIP, pb.ON_DUPLICATE_UPDATE, pb.ON_DUPLICATE_MERGE):
        done = await imported(
            book,
            worker,
            "phone,external_id,email,name\n+14155552671,b,,Eve\n+14155552673,,team@example.org,Carol\n",
            on_duplicate=on_duplicate,
        )
        assert [(fault.row, fault.code) for fault in done.errors] == [(2, "identity_conflict")]
    assert [await book.get(ada.id), await book.get(bob.id)] == [ada, bob]
    assert sorted(contact.name for contact in await book.all()) == ["", "", "Carol"]


async def test_mautic_5149_the_same_person_in_any_spelling_is_one_contact(book, worker):
    rows = "+1 415 555 2671,a\n(415) 555-2671,b\n0014155552671,c\n'+14155552671,d\n"
    first = await imported(book, worker, "phone,City\n" + rows, default_region="US")
    assert counts(first) == (4, 1, 0, 3, 0)
    again = await imported(book, worker, "phone,City\n" + rows, default_region="US")
    assert counts(again) == (4, 0, 0, 4, 0)
    assert len(await book.all()) == 1


async def test_mautic_4769_a_second_import_does_not_wait_for_the_first_to_end(book, other_book, work_db):
    """One worker in all, and a long import of another account before it."""
    long = await book.upload(("phone\n" + "".join(f"+1415555{n:04}\n" for n in range(2_000))).encode())
    later = await book.upload(b"phone\n+14155559999\n")
    other = await other_book.upload(b"phone\n+14155552671\n")
    worker = ImportWorker(work_db, asyncio.Event(), chunk_records=250, turn_seconds=0)
    turns = 0
    while (await other_book.progress(other.id)).status != pb.IMPORT_STATUS_COMPLETED:
        assert await worker.run_once()
        turns += 1
        assert turns < 10
    assert (await book.progress(long.id)).status == pb.IMPORT_STATUS_RUNNING
    await drain(worker)
    assert (await book.progress(long.id)).imported == 2_000
    assert (await book.progress(later.id)).imported == 1


async def test_chatwoot_10186_what_counts_as_imported_is_there_to_see(book, lists, worker):
    """In the list of contacts, by tag, on the list that it was put on, and in its count."""
    wanted = await lists.create("Spring")
    rows = "phone,name\n" + "".join(f"+1415555{n:04},N{n}\n" for n in range(1_579))
    done = await imported(book, worker, rows, tags=["spring"], list_ids=[wanted.id])
    assert counts(done) == (1_579, 1_579, 0, 0, 0)
    seen = {contact.phone for contact in await book.all()}
    assert len(seen) == 1_579
    assert {contact.phone for contact in await lists.members(wanted.id)} == seen
    assert (await lists.get(wanted.id)).member_count == 1_579
    assert len((await book.page(tag="spring", page_size=100)).contacts) == 100


async def test_mailtrain_270_no_row_costs_a_statement_of_its_own(book, worker, monkeypatch):
    """Twenty rows a second is what asking the database for each row comes to: it is asked for thousands at a time."""
    asked = 0

    def counted(tx: type, name: str) -> None:
        call = getattr(tx, name)

        async def ask(*args, **options):
            nonlocal asked
            asked += 1
            return await call(*args, **options)

        monkeypatch.setattr(tx, name, ask)

    for name in ("fetch", "fetchrow", "fetchval"):
        counted(ReadTx, name)
    for name in ("execute", "copy"):
        counted(WriteTx, name)
    done = await imported(book, worker, "phone,name\n" + "".join(f"+1415555{n:04},N{n}\n" for n in range(3_000)))
    assert counts(done) == (3_000, 3_000, 0, 0, 0)
    # A hundred would be a statement for thirty rows; heartbeats and looks for other work are among them.
    assert asked < 100


async def test_keila_one_bad_row_costs_nobody_else_anything(book, worker):
    rows = [f"+1415555{n:04},N{n}" for n in range(300)]
    rows[150] = "not a phone,X"
    rows[170] = "+14155550170,one,cell,too many"
    done = await imported(book, worker, "phone,name\n" + "\n".join(rows) + "\n")
    assert counts(done) == (300, 298, 0, 0, 2)
    assert [fault.row for fault in done.errors] == [152, 172]
    assert len(await book.all()) == 298
