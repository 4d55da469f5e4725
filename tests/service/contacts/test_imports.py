"""Imports: what is refused at the door, what rows become, and what is counted."""

import asyncio
import json
import secrets

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.call import Outgoing
from chassis.errors import Aborted, CarillonError, Reason
from chassis.telemetry import with_remote_parent
from formats import records
from services.contacts import repository as contacts
from services.contacts.cleaner import Cleaner
from services.contacts.imports.job import ImportWorker
from tests.service.contacts.events import outbox
from tests.service.stack import eventually

SEED = b"""phone,name,email,tags
+1234567890,John Doe,john@example.org,"premium,active"
+9876543210,Jane Smith,jane@example.org,basic
"""


def counts(job: pb.Import) -> tuple[int, int, int, int, int]:
    return job.rows, job.imported, job.updated, job.duplicates, job.failed


async def run(book, worker, data: bytes | str, **options) -> pb.Import:
    job = await book.upload(data.encode() if isinstance(data, str) else data, **options)
    assert job.status == pb.IMPORT_STATUS_QUEUED
    while await worker.run_once():
        pass
    done = await book.progress(job.id)
    assert done.status == pb.IMPORT_STATUS_COMPLETED, done.error
    assert done.rows == done.imported + done.updated + done.duplicates + done.failed
    assert done.bytes_done == done.bytes_total == len(data if isinstance(data, bytes) else data.encode())
    return done


async def test_the_seed_file(book, worker, admin, account):
    done = await run(book, worker, SEED)
    assert counts(done) == (2, 2, 0, 0, 0)
    jane, john = await book.all()
    assert (john.phone, john.name, john.email, list(john.tags)) == (
        "+1234567890",
        "John Doe",
        "john@example.org",
        ["premium", "active"],
    )
    assert (jane.phone, jane.first_name, jane.last_name) == ("+9876543210", "Jane", "Smith")
    told = await outbox(admin, account)
    assert [(kind, bulk) for kind, bulk, _ in told] == [("contact.created", True), ("import.completed", False)]
    assert [change.contact for change in told[0][2].changes] == [john, jane]
    assert getattr(told[1][2], "import") == done
    tagged = (await book.page(tag="premium")).contacts
    assert [contact.id for contact in tagged] == [john.id]


async def test_a_second_time_adds_nothing(book, worker, admin, account):
    await run(book, worker, SEED)
    before = len(await outbox(admin, account))
    assert counts(await run(book, worker, SEED)) == (2, 0, 0, 2, 0)
    assert counts(await run(book, worker, SEED, on_duplicate=pb.ON_DUPLICATE_UPDATE)) == (2, 0, 0, 2, 0)
    assert counts(await run(book, worker, SEED, on_duplicate=pb.ON_DUPLICATE_MERGE)) == (2, 0, 0, 2, 0)
    assert [kind for kind, _, _ in (await outbox(admin, account))[before:]] == ["import.completed"] * 3
    assert {contact.version for contact in await book.all()} == {1}


async def test_bad_rows_are_told_with_their_row_and_column(book, worker):
    done = await run(
        book,
        worker,
        "Name,Mobile Number,E-Mail\n"
        "A,+14155552671,a@example.org\n"
        "B,12ab,b@example.org\n"
        "\n"
        "C,,\n"
        "D,+14155552672,no email\n"
        "E,+14155552673,e@example.org,more\n"
        "F,+14155552671,\n",
    )
    assert counts(done) == (6, 1, 0, 1, 4)
    assert [(fault.row, fault.code, fault.reason, fault.column) for fault in done.errors][:3] == [
        (3, "invalid_phone", "Invalid phone format", "Mobile Number"),
        (5, "identity_required", "A contact needs at least one of phone, email and external_id.", ""),
        (6, "invalid_email", "Invalid email format", "E-Mail"),
    ]
    assert done.errors[3].row == 7


async def test_rows_of_a_chunk_see_one_another(book, worker):
    done = await run(
        book,
        worker,
        "phone,external_id,email\n"
        "+14155552671,x,\n"
        "+14155552672,y,\n"
        "+14155552671,z,\n"  # duplicate by phone
        "+14155552671,y,\n"  # two contacts
        ",,Shared@example.org\n"
        ",,shared@EXAMPLE.org\n"  # duplicate by email
        "+14155552673,,shared@example.org\n",  # not: it has a phone
    )
    assert counts(done) == (7, 4, 0, 2, 1)
    assert [(fault.row, fault.code) for fault in done.errors] == [(5, "identity_conflict")]


async def test_update_writes_non_empty_cells_and_replaces_tags(book, worker):
    made = (await book.create(phone="+14155552671", name="Ada Lovelace", stage="lead", tags=["a", "b"])).contact
    done = await run(
        book,
        worker,
        "phone,stage,name,tags,Plan\n+14155552671,customer,,b,gold\n+14155552671,,,,silver\n+14155552672,,,,\n",
        on_duplicate=pb.ON_DUPLICATE_UPDATE,
    )
    assert counts(done) == (3, 1, 2, 0, 0)
    after = await book.get(made.id)
    assert (after.stage, after.name, list(after.tags)) == ("customer", "Ada Lovelace", ["b"])
    assert (json.loads(after.metadata_json), after.version) == ({"Plan": "silver"}, 2)
    assert not (await book.page(tag="a")).contacts


async def test_merge_fills_gaps_and_adds_tags(book, worker):
    made = (await book.create(phone="+14155552671", stage="lead", tags=["a"], metadata_json='{"Plan": 1}')).contact
    done = await run(
        book,
        worker,
        "phone,stage,gender,tags,Plan,City\n+14155552671,customer,f,b,gold,Rome\n",
        on_duplicate=pb.ON_DUPLICATE_MERGE,
        tags=["file"],
    )
    assert counts(done) == (1, 0, 1, 0, 0)
    after = await book.get(made.id)
    assert (after.stage, after.gender, list(after.tags)) == ("lead", "f", ["a", "b", "file"])
    assert json.loads(after.metadata_json) == {"Plan": 1, "City": "Rome"}


async def test_keys_that_change_hands_within_a_file(book, worker):
    """Each row as if it came alone, although one statement would clash with itself."""
    a = (await book.create(phone="+14155552671", external_id="a")).contact
    b = (await book.create(phone="+14155552672", external_id="b")).contact
    done = await run(
        book,
        worker,
        "phone,external_id\n+14155552673,b\n+14155552672,a\n+14155552671,\n",
        on_duplicate=pb.ON_DUPLICATE_UPDATE,
    )
    assert counts(done) == (3, 1, 2, 0, 0)
    assert (await book.get(b.id)).phone == "+14155552673"
    assert (await book.get(a.id)).phone == "+14155552672"


async def test_many_chunks_and_events_of_at_most_500(book, worker, admin, account):
    rows = "".join(f"+1415555{n:04},N{n}\n" for n in range(1200))
    done = await run(book, ImportWorker(worker._db, asyncio.Event(), chunk_records=600), "phone,name\n" + rows)
    assert counts(done) == (1200, 1200, 0, 0, 0)
    told = [len(message.changes) for kind, _, message in await outbox(admin, account) if kind == "contact.created"]
    assert sum(told) == 1200
    assert max(told) <= 500
    assert len(await book.all()) == 1200


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.FILE_EMPTY),
        (b"\n\n", Reason.FILE_EMPTY),
        (b"phone,name\n", Reason.FILE_EMPTY),
        (b"phone,name\n\n,,\n", Reason.FILE_EMPTY),
        (b"\x00\x01\x02binary", Reason.FILE_UNREADABLE),
        (b"PK\x03\x04 a sheet", Reason.FILE_UNREADABLE),
        (b"phone,name\n+14155552671,A\n" * 40_000 + b"\0", Reason.FILE_UNREADABLE),
        (b"color,size\nred,4\n", Reason.UNKNOWN_COLUMNS),
        (b"+14155552671,Ada\n+14155552672,Bob\n", Reason.UNKNOWN_COLUMNS),
    ],
)
async def test_files_that_are_refused_leave_nothing(book, admin, account, data, reason):
    with pytest.raises(CarillonError) as caught:
        await book.upload(data)
    assert caught.value.reason == reason
    assert await left(admin, account) == (0, 0, 0)


async def test_unknown_columns_are_named(book):
    with pytest.raises(CarillonError) as caught:
        await book.upload(b"color;size\nred;4\n")
    assert caught.value.metadata == {"columns": "color,size"}


async def test_an_upload_that_breaks_off_leaves_nothing(book, admin, account):
    with pytest.raises(Aborted) as caught:
        await book.upload(SEED * 20_000, end=False)
    assert caught.value.reason == Reason.UPLOAD_INCOMPLETE
    assert await left(admin, account) == (0, 0, 0)


async def test_an_upload_whose_client_goes_away_leaves_nothing(book, admin, account):
    stored = asyncio.Event()

    async def requests():
        yield pb.CreateImportRequest(chunk=b"phone\n" + b"+14155552671\n" * 100_000)
        await stored.wait()

    uploading = asyncio.create_task(
        book.client.stream_in(book.client.stub.CreateImport, requests(), call=Outgoing(account), timeout=60)
    )
    await eventually(lambda: admin.fetchval("SELECT count(*) FROM file_chunks WHERE account_id = $1", account))
    uploading.cancel()

    async def nothing() -> bool:
        return await left(admin, account) == (0, 0, 0)

    await eventually(nothing)


@pytest.mark.parametrize("on_duplicate", [pb.ON_DUPLICATE_SKIP, pb.ON_DUPLICATE_UPDATE])
async def test_two_files_with_the_same_people_at_once(book, work_db, admin, account, on_duplicate):
    """Every key goes to one contact, whichever worker comes first, and both count every row."""
    numbers = list(range(2_000))
    jobs = []
    for turn in range(2):
        rows = "".join(f"+1415555{n:04},x{n},{turn}\n" for n in numbers[:: 1 if turn else -1])
        jobs.append(await book.upload(b"phone,external_id,stage\n" + rows.encode(), on_duplicate=on_duplicate))
    workers = [ImportWorker(work_db, asyncio.Event(), chunk_records=300) for _ in jobs]
    await asyncio.gather(*(worker.run_once() for worker in workers))
    done = [await book.progress(job.id) for job in jobs]
    assert {job.status for job in done} == {pb.IMPORT_STATUS_COMPLETED}
    assert sum(job.imported for job in done) == 2_000
    assert sum(job.updated + job.duplicates for job in done) == 2_000
    assert not any(job.failed for job in done)
    assert await admin.fetchval("SELECT count(*) FROM contacts WHERE account_id = $1", account) == 2_000
    told: dict[str, set[int]] = {}
    for _, _, message in await outbox(admin, account):
        for change in getattr(message, "changes", ()):
            versions = told.setdefault(change.contact.id, set())
            assert change.contact.version not in versions
            versions.add(change.contact.version)
    assert all(versions == set(range(1, len(versions) + 1)) for versions in told.values())


async def test_an_upload_over_the_limit_is_refused(book, admin, account):
    with pytest.raises(CarillonError) as caught:
        await book.upload(b"phone\n" + b"+14155552671\n" * 700_000)
    assert (caught.value.reason, caught.value.metadata) == (
        Reason.PAYLOAD_TOO_LARGE,
        {"limit_bytes": str(8 * 1024 * 1024)},
    )
    assert await left(admin, account) == (0, 0, 0)


async def test_orphans_and_old_files_are_cleaned(book, worker, work_db, admin, account):
    await run(book, worker, SEED)
    await admin.execute(
        "INSERT INTO files (account_id, id, touched_at) VALUES ($1, $2, now() - interval '2 hours')", account, ids.new()
    )
    await Cleaner(work_db).run_once()
    assert (await left(admin, account))[:2] == (1, 1)
    await admin.execute("UPDATE files SET touched_at = now() - interval '73 hours' WHERE account_id = $1", account)
    await Cleaner(work_db).run_once()
    assert (await left(admin, account))[:2] == (0, 0)


async def test_a_lost_lease_commits_nothing(book, worker, admin, account, monkeypatch):
    await book.upload(SEED)
    await admin.execute(
        "CREATE OR REPLACE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN UPDATE imports SET lease_generation = 99 WHERE account_id = NEW.account_id; RETURN NULL; END$$"
    )
    await admin.execute("CREATE TRIGGER steal AFTER INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION steal()")
    try:
        assert await worker.run_once()
    finally:
        await admin.execute("DROP TRIGGER steal ON contacts")
    assert await book.all() == []


async def left(admin, account) -> tuple[int, int, int]:
    """Files, chunks and imports of the account."""
    return tuple(
        [
            await admin.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = $1", account)
            for table in ("files", "file_chunks", "imports")
        ]
    )


@pytest.mark.parametrize(
    ("tail", "broken", "reason"),
    [(b'+14155552672,"' + b"x" * 132_000 + b"\n", 4, "rows cannot be read"), (b"x" * 3_000_000, 0, "A line is")],
)
async def test_rows_before_the_point_where_a_file_breaks_off_are_all_counted(
    book, worker, admin, account, monkeypatch, tail, broken, reason
):
    """The chunk under way when the file turns out to be none is written and counted, its broken rows as failed."""
    monkeypatch.setattr(records, "BROKEN_RECORDS", 3)
    good = "".join(f"+1415555{n:04},{'x' * 140}\n" for n in range(2_000)).encode()
    job = await book.upload(b"phone,name\n" + good + tail * max(1, broken) + good)
    while await worker.run_once():
        pass
    done = await book.progress(job.id)
    assert done.status == pb.IMPORT_STATUS_FAILED
    assert reason in done.error
    assert counts(done) == (2_000 + broken, 2_000, 0, 0, broken)
    assert await admin.fetchval("SELECT count(*) FROM contacts WHERE account_id = $1", account) == 2_000


async def test_an_idempotency_key_stands_for_the_bytes_and_the_options(book, admin, account):
    """Whatever fingerprint came with the call: the caller could not know them."""
    key = ("up", b"the same")
    first = await book.upload(SEED, idempotency=key)
    assert await book.upload(SEED, idempotency=key) == first
    for data, options in ((SEED.replace(b"Jane", b"June"), {}), (SEED, {"tags": ["other"]})):
        with pytest.raises(CarillonError) as caught:
            await book.upload(data, idempotency=key, **options)
        assert caught.value.reason == Reason.IDEMPOTENCY_KEY_REUSED
    assert await left(admin, account) == (1, 1, 1)


async def test_a_contact_that_lost_the_key_meanwhile_is_not_written(book, worker, admin, monkeypatch):
    made = (await book.create(phone="+14155552671", name="Ada")).contact
    lock_many = contacts.lock_many

    async def overtaken(*args):
        monkeypatch.setattr(contacts, "lock_many", lock_many)
        await admin.execute("UPDATE contacts SET phone = '+14155552672' WHERE id = $1", ids.decode("cnt", made.id))
        return await lock_many(*args)

    monkeypatch.setattr(contacts, "lock_many", overtaken)
    done = await run(book, worker, "phone,name\n+14155552671,Bob\n", on_duplicate=pb.ON_DUPLICATE_UPDATE)
    assert counts(done) == (1, 1, 0, 0, 0)
    assert (await book.get(made.id)).name == "Ada"


async def test_the_events_of_an_import_continue_the_trace_of_its_upload(book, worker, admin, account):
    trace_id = secrets.token_hex(16)
    with with_remote_parent(f"00-{trace_id}-{'1' * 16}-01"):
        await book.upload(SEED)
    assert await worker.run_once()
    told = await admin.fetch("SELECT type, traceparent FROM outbox WHERE account_id = $1 ORDER BY id", account)
    assert [row["type"] for row in told] == ["contact.created", "import.completed"]
    assert all(trace_id in row["traceparent"] for row in told)
