"""Imports in two steps: what an upload shows, what a commit makes of it, and what failed."""

import asyncio

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import imports_pb2
from chassis import ids
from chassis.errors import CarillonError, FailedPrecondition, InvalidArgument, Reason
from services.contacts.cleaner import Cleaner
from services.contacts.imports.job import ImportWorker
from tests import workbooks
from tests.service.contacts.events import outbox

FILE = (
    "Handy;Vorname;Stadt;Kommentar;E-Mail\n"
    "+49 1512 3456789;Käthe;Berlin;x;kaethe@example.org\n"
    "\n"
    "junk;Nobody;Rome;y;\n"
    "+14155552671;Ada;;z;ada@example.org\n"
)
MAPPING = {"Handy": "phone", "Vorname": "first_name", "Stadt": "metadata.city", "#4": "skip"}


def counts(job: pb.Import) -> tuple[int, int, int, int, int]:
    return job.rows, job.imported, job.updated, job.duplicates, job.failed


async def drain(worker) -> None:
    while await worker.run_once():
        pass


async def test_an_upload_shows_what_the_file_looks_like(book):
    answer = await book.hold(FILE)
    held, shown = getattr(answer, "import"), answer.preview
    assert (held.status, held.rows_total, counts(held)) == (pb.IMPORT_STATUS_UPLOADED, 3, (0, 0, 0, 0, 0))
    assert (shown.encoding, shown.delimiter) == ("utf-8", ";")
    assert [(column.index, column.title) for column in shown.columns] == list(
        enumerate(["Handy", "Vorname", "Stadt", "Kommentar", "E-Mail"])
    )
    assert list(shown.columns[2].samples) == ["Berlin", "Rome"]
    assert shown.columns[4].suggested_target == shown.columns[4].target == "email"
    assert shown.columns[3].suggested_target == "metadata.Kommentar"
    assert list(shown.rows[1].cells) == ["junk", "Nobody", "Rome", "y", ""]
    assert await book.call("GetImport", pb.GetImportRequest(id=held.id)) == pb.GetImportResponse(
        **{"import": held, "preview": shown}
    )


async def test_a_commit_imports_as_mapped(book, desk, worker):
    held = getattr(await book.hold(FILE), "import")
    await drain(worker)
    assert (await book.progress(held.id)).status == pb.IMPORT_STATUS_UPLOADED
    begun = await desk.commit(held.id, MAPPING, tags=["file"])
    assert begun.status == pb.IMPORT_STATUS_QUEUED
    await drain(worker)
    done = await book.progress(held.id)
    assert (done.status, counts(done)) == (pb.IMPORT_STATUS_COMPLETED, (3, 2, 0, 0, 1))
    ada, kaethe = await book.all()
    assert (kaethe.first_name, kaethe.metadata_json, list(kaethe.tags)) == ("Käthe", '{"city": "Berlin"}', ["file"])
    assert (ada.email, ada.metadata_json) == ("ada@example.org", "{}")
    with pytest.raises(FailedPrecondition) as caught:
        await desk.commit(held.id)
    assert (caught.value.reason, caught.value.metadata) == (Reason.INVALID_STATE, {"status": "completed"})


async def test_rows_of_a_long_upload_are_counted_by_a_worker(book, worker):
    rows = "".join(f"+1415555{n:04},{'x' * 300}\n\n" for n in range(2_000))
    held = getattr(await book.hold("phone,name\n" + rows), "import")
    assert not held.HasField("rows_total")
    await drain(worker)
    assert (await book.progress(held.id)).rows_total == 2_000


@pytest.mark.parametrize(
    ("mapping", "reason", "pointers"),
    [
        ({"nothing": "phone"}, Reason.VALIDATION_FAILED, ["/mapping/nothing"]),
        ({"#6": "phone"}, Reason.VALIDATION_FAILED, ["/mapping/#6"]),
        ({"Handy": "phone", "#1": "email"}, Reason.VALIDATION_FAILED, ["/mapping/#1"]),
        ({"Handy": "fon"}, Reason.VALIDATION_FAILED, ["/mapping/Handy"]),
        ({"a/b": "phone"}, Reason.VALIDATION_FAILED, ["/mapping/a~1b"]),
        ({"Handy": "metadata."}, Reason.VALIDATION_FAILED, ["/mapping/Handy"]),
        ({"Handy": "phone", "Stadt": "phone"}, Reason.VALIDATION_FAILED, ["/mapping"]),
        ({"Handy": "skip", "E-Mail": "skip"}, Reason.UNKNOWN_COLUMNS, []),
    ],
)
async def test_a_mapping_that_cannot_be_is_refused_by_column(book, desk, mapping, reason, pointers):
    held = getattr(await book.hold(FILE), "import")
    with pytest.raises(InvalidArgument) as caught:
        await desk.commit(held.id, mapping)
    assert caught.value.reason == reason
    assert [violation.pointer for violation in caught.value.violations] == pointers
    assert (await book.progress(held.id)).status == pb.IMPORT_STATUS_UPLOADED


async def test_a_file_without_a_known_title_waits_for_its_mapping(book, desk, worker):
    held = getattr(await book.hold("A,B\n+14155552671,x\n"), "import")
    await desk.commit(held.id, {"A": "phone"})
    await drain(worker)
    assert counts(await book.progress(held.id)) == (1, 1, 0, 0, 0)


async def test_columns_that_keep_what_is_there_fill_gaps_only(book, desk, worker):
    made = await book.create(
        phone="+14155552671", name="Ada Lovelace", stage="lead", tags=["a"], metadata_json='{"city":"London"}'
    )
    held = await book.hold("phone,name,stage,gender,tags,city,plan\n+14155552671,Bob Bobson,customer,f,b,Rome,gold\n")
    await desk.commit(
        getattr(held, "import").id,
        keep=("name", "gender", "tags", "city"),
        on_duplicate=pb.ON_DUPLICATE_UPDATE,
    )
    await drain(worker)
    after = await book.get(made.contact.id)
    assert (after.name, after.stage, after.gender, list(after.tags)) == ("Ada Lovelace", "customer", "f", ["a", "b"])
    assert after.metadata_json == '{"city": "London", "plan": "gold"}'


async def test_failed_rows_are_paged_with_their_cells_and_import_again_when_mended(book, desk, worker):
    rows = "".join(f"bad{n},N{n}\n" for n in range(5)) + "+14155552671,A,too,many\n+14155552672,Good\n"
    job = await book.upload(("phone,name\n" + rows).encode())
    await drain(worker)
    first = await desk.failed_rows(job.id, page_size=4, with_cells=True)
    second = await desk.failed_rows(job.id, page_size=4, with_cells=True, cursor=first.next_cursor)
    assert list(first.titles) == ["phone", "name"]
    found = [*first.rows, *second.rows]
    assert [row.error.row for row in found] == [2, 3, 4, 5, 6, 7]
    assert list(found[0].cells) == ["bad0", "N0"]
    assert list(found[5].cells) == ["+14155552671", "A", "too", "many"]
    assert not second.next_cursor
    assert not (await desk.failed_rows(job.id)).rows[0].cells
    again = "phone,carillon_error,name\n" + "".join(f"+1415555{n:04},Invalid,N\n" for n in range(5))
    mended = await book.upload(again.encode())
    await drain(worker)
    assert counts(await book.progress(mended.id)) == (5, 5, 0, 0, 0)
    assert {contact.metadata_json for contact in await book.all()} == {"{}"}
    still_bad = await book.upload(b"phone,carillon_error,name\nbad,Invalid,N\n")
    await drain(worker)
    told = await desk.failed_rows(still_bad.id, with_cells=True)
    assert (list(told.titles), list(told.rows[0].cells)) == (["phone", "name"], ["bad", "N"])


async def test_cells_of_failed_rows_are_no_formulas_and_read_as_they_were(book, desk, worker):
    job = await book.upload(b"phone,name,City\nbad,=1+1,-x\n+1415555267112345678,'=2,+14155552671\n")
    await drain(worker)
    rows = (await desk.failed_rows(job.id, with_cells=True)).rows
    assert [list(row.cells) for row in rows] == [
        ["bad", "'=1+1", "'-x"],
        ["'+1415555267112345678", "'=2", "+14155552671"],
    ]
    mended = "phone,name\n" + "".join(f"+1415555{at:04},{row.cells[1]}\n" for at, row in enumerate(rows))
    await book.upload(mended.encode())
    await drain(worker)
    assert {contact.name for contact in await book.all()} == {"=1+1", "=2"}


@pytest.mark.parametrize("wanted", [{"page_size": 1001}, {"cursor": "x"}])
async def test_pages_of_failed_rows_are_checked(book, desk, wanted):
    job = await book.upload(FILE.encode(), hold=True)
    with pytest.raises(InvalidArgument):
        await desk.failed_rows(job.id, **wanted)


async def test_imports_are_listed_newest_first(book, desk):
    made = [getattr(await book.hold(FILE), "import").id for _ in range(3)]
    first = await desk.page(page_size=2)
    rest = await desk.page(page_size=2, cursor=first.next_cursor)
    assert [one.id for one in [*first.imports, *rest.imports]] == made[::-1]
    assert not rest.next_cursor


async def test_a_waiting_import_is_cancelled_once_and_for_all(book, desk, worker, admin, account):
    held = getattr(await book.hold(FILE), "import")
    stopped = await desk.cancel(held.id)
    assert stopped.status == pb.IMPORT_STATUS_CANCELLED
    assert await desk.cancel(held.id) == stopped
    with pytest.raises(FailedPrecondition):
        await desk.commit(held.id, MAPPING)
    assert not await worker.run_once()
    assert [kind for kind, _, _ in await outbox(admin, account)] == ["import.completed"]


async def test_an_import_that_is_running_stops_with_exact_counts(book, desk, worker, admin, account):
    rows = "".join(f"+1415555{n:04}\n" for n in range(1_000))
    job = await book.upload(("phone\n" + rows).encode())
    commit = worker._commit

    async def cancelled_behind_the_second_chunk(lease, reader, *, batch, **options):
        outcome = await commit(lease, reader, batch=batch, **options)
        if batch.records_done > 250 and (await book.progress(job.id)).status == pb.IMPORT_STATUS_RUNNING:
            await desk.cancel(job.id)
        return outcome

    worker._commit = cancelled_behind_the_second_chunk
    await drain(worker)
    stopped = await book.progress(job.id)
    assert stopped.status == pb.IMPORT_STATUS_CANCELLED
    assert 0 < stopped.rows < 1_000
    assert counts(stopped) == (stopped.rows, stopped.rows, 0, 0, 0)
    assert await admin.fetchval("SELECT count(*) FROM contacts WHERE account_id = $1", account) == stopped.rows
    told = [message for kind, _, message in await outbox(admin, account) if kind == "import.completed"]
    assert [getattr(message, "import").status for message in told] == [pb.IMPORT_STATUS_CANCELLED]


async def test_an_import_that_ended_cannot_be_cancelled(book, desk, worker):
    job = await book.upload(b"phone\n+14155552671\n")
    await drain(worker)
    with pytest.raises(FailedPrecondition) as caught:
        await desk.cancel(job.id)
    assert caught.value.metadata == {"status": "completed"}


async def test_what_was_taken_out_of_a_file_goes_with_it(book, desk, worker, work_db, admin, account):
    job = await book.upload(b"phone\nbad\n")
    await drain(worker)
    held = getattr(await book.hold(FILE), "import")
    await drain(worker)
    await admin.execute("UPDATE files SET touched_at = now() - interval '73 hours' WHERE account_id = $1", account)
    await Cleaner(work_db).run_once()
    assert not (await desk.failed_rows(job.id, with_cells=True)).rows[0].cells
    gone = await book.call("GetImport", pb.GetImportRequest(id=held.id))
    assert getattr(gone, "import").status == pb.IMPORT_STATUS_CANCELLED
    assert not gone.HasField("preview")
    assert await admin.fetchval("SELECT count(*) FROM file_chunks WHERE account_id = $1", account) == 0


async def test_an_unknown_import_is_not_found(desk):
    for do in (desk.commit, desk.cancel, desk.failed_rows):
        with pytest.raises(CarillonError) as caught:
            await do(ids.encode("imp", ids.new()))
        assert caught.value.reason == Reason.NOT_FOUND


async def test_an_account_that_has_none_under_way_comes_first(book, other_book, worker, admin):
    """However many imports another account queued before."""
    several = [await book.upload(b"phone\n+14155552671\n") for _ in range(2)]
    await admin.execute(
        "UPDATE imports SET status = 'running', lease_until = now() + interval '1 minute' WHERE id = $1",
        ids.decode("imp", several[0].id),
    )
    late = await other_book.upload(b"phone\n+14155552671\n")
    assert await worker.run_once()
    assert (await other_book.progress(late.id)).status == pb.IMPORT_STATUS_COMPLETED
    assert (await book.progress(several[1].id)).status == pb.IMPORT_STATUS_QUEUED


async def test_a_long_import_gives_way_and_goes_on_where_it_was(book, other_book, work_db):
    rows = "".join(f"+1415555{n:04}\n" for n in range(1_000))
    long = await book.upload(("phone\n" + rows).encode())
    short = await other_book.upload(b"phone\n+14155552671\n")
    only = ImportWorker(work_db, asyncio.Event(), chunk_records=250, turn_seconds=0)
    assert await only.run_once()
    assert 0 < (await book.progress(long.id)).rows < 1_000
    assert await only.run_once()
    assert (await other_book.progress(short.id)).imported == 1
    await drain(only)
    assert counts(await book.progress(long.id)) == (1_000, 1_000, 0, 0, 0)


async def test_the_same_file_again_says_of_which_import_it_is_the_duplicate(book, worker):
    first = await book.upload(b"phone\n+14155552671\n")
    assert not first.duplicate_of
    await drain(worker)
    again = await book.upload(b"phone\n+14155552671\n")
    await drain(worker)
    done = await book.progress(again.id)
    assert (done.duplicate_of, counts(done)) == (first.id, (1, 0, 0, 1, 0))
    assert not (await book.upload(b"phone\n+14155552672\n")).duplicate_of


async def test_a_repeated_request_is_answered_as_the_first_was(book, desk, worker):
    """Though a second commit, or an undo of what is undone, would be refused or answered otherwise."""
    held = getattr(await book.hold("phone\n+14155552671\n"), "import")
    commit = imports_pb2.CommitImportRequest(id=held.id)
    first = await desk.call("CommitImport", commit, idempotency=("c", b"1"))
    await drain(worker)
    assert await desk.call("CommitImport", commit, idempotency=("c", b"1")) == first
    undo = imports_pb2.UndoImportRequest(id=held.id)
    begun = await desk.call("UndoImport", undo, idempotency=("u", b"1"))
    assert await desk.call("UndoImport", undo, idempotency=("u", b"1")) == begun
    with pytest.raises(FailedPrecondition) as caught:
        await desk.call("UndoImport", undo, idempotency=("u", b"2"))
    assert caught.value.reason == Reason.IDEMPOTENCY_KEY_REUSED


async def test_a_workbook_and_cards_are_shown_and_mapped_too(book, desk, worker):
    table = workbooks.table([["Kunde", "Handy"], ["Ada", "+14155552671"], ["Bob", "bad"]])
    answer = await book.send(table, hold=True)
    assert [column.title for column in answer.preview.columns] == ["Kunde", "Handy"]
    assert [list(row.cells) for row in answer.preview.rows] == [["Ada", "+14155552671"], ["Bob", "bad"]]
    held = getattr(answer, "import")
    await desk.commit(held.id, {"Kunde": "first_name", "Handy": "phone"})
    await drain(worker)
    done = await book.progress(held.id)
    assert (counts(done), done.rows_total) == ((2, 1, 0, 0, 1), 2)
    failed = await desk.failed_rows(held.id, with_cells=True)
    assert (list(failed.titles), list(failed.rows[0].cells)) == (["Kunde", "Handy"], ["Bob", "bad"])
    card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Eve\r\nTEL:+14155552673\r\nEND:VCARD\r\n"
    cards = await book.send(card, hold=True)
    assert len(cards.preview.rows) == 1
    await drain(worker)
    assert (await book.progress(getattr(cards, "import").id)).rows_total == 1
    await desk.commit(getattr(cards, "import").id)
    await drain(worker)
    assert counts(await book.progress(getattr(cards, "import").id)) == (1, 1, 0, 0, 0)


HEADERLESS = "Ada;+14155552671;a@example.org;x\nBob;junk;b@example;y\nEve;0151 23456789;;z\n"


async def test_a_file_without_a_header_loses_no_row(book, desk, worker):
    answer = await book.hold(HEADERLESS)
    held, shown = getattr(answer, "import"), answer.preview
    assert (shown.has_header, held.rows_total) == (False, 3)
    assert [column.suggested_target for column in shown.columns] == ["skip", "phone", "email", "skip"]
    assert [row.cells[0] for row in shown.rows] == ["Ada", "Bob", "Eve"]
    await desk.commit(held.id, {"#1": "name", "#4": "metadata.kind"}, default_region="DE")
    await drain(worker)
    done = await book.progress(held.id)
    assert (counts(done), done.rows_total) == ((3, 2, 0, 0, 1), 3)
    assert [(fault.row, fault.column) for fault in done.errors] == [(2, "phone")]
    assert sorted((one.name, one.metadata_json) for one in await book.all()) == [
        ("Ada", '{"kind": "x"}'),
        ("Eve", '{"kind": "z"}'),
    ]
    # What failed downloads with titles that an import knows.
    assert list((await desk.failed_rows(held.id, with_cells=True)).titles) == ["name", "phone", "email", "kind"]


@pytest.mark.parametrize(("data", "has_header", "rows"), [(HEADERLESS, True, 2), ("A;B\n+14155552671;x\n", False, 2)])
async def test_a_client_knows_better_whether_there_is_a_header(book, desk, worker, data, has_header, rows):
    held = getattr(await book.hold(data), "import")
    begun = await desk.commit(held.id, {"#1": "metadata.a", "#2": "phone"}, has_header=has_header)
    assert begun.rows_total == rows
    await drain(worker)
    assert (await book.progress(held.id)).rows == rows
