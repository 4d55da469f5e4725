"""An unchanged file again: rows that are recognised unread come out as those that are read."""

import asyncio

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from services.contacts.imports import chunk, known, sources, staging
from services.contacts.imports.job import ImportWorker
from services.contacts.imports.rows import RowReader
from tests.service.contacts.events import outbox

# Enough that most are read after the worker has learnt from the first.
FILLING = [f"+1415555300{n},Filler,,," for n in range(10)]
ROWS = [
    *FILLING,
    "+14155552671,Ada,ada@example.org,a,x",
    "+1 (415) 555-2672,Bob,bob@example.org,,",
    ",Eve,eve@example.org,,",
    "+14155552673,Bad,no email,,",
    "",
    "call me,Nobody,,,",
    "+14155552674,Wide,,,,more",
    "+14155552675,Ragged",
    "+14155552676,Long,,," + "x" * 20_000,
    "+14155552671,Ada again,ada@example.org,a,x",
]
FILE = "phone,name,email,tags,code\n" + "\n".join(ROWS) + "\n"


async def run(book, work_db, text: str, **options) -> tuple[tuple[int, ...], list[tuple[int, str, str]]]:
    """In chunks of two records, so that the worker learns from the first what the others are like."""
    job = await book.upload(text.encode(), **options)
    while await ImportWorker(work_db, asyncio.Event(), chunk_records=2).run_once():
        pass
    done = await book.progress(job.id)
    assert done.status == pb.IMPORT_STATUS_COMPLETED
    counts = (done.rows, done.imported, done.updated, done.duplicates, done.failed)
    return counts, [(fault.row, fault.code, fault.reason) for fault in done.errors]


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(sources, "SLICE", 2)


@pytest.fixture
def asked(monkeypatch):
    """The phones that were looked up ahead."""
    phones: list[str] = []
    look_up = staging.free_phones

    async def free_phones(tx, account, wanted):
        phones.extend(wanted)
        return await look_up(tx, account, wanted)

    monkeypatch.setattr(staging, "free_phones", free_phones)
    return phones


async def phones_at_once(rows: known.KnownRows, records):
    """Without having learnt that it is worth it: what was learnt in time depends on how far ahead the file is read."""
    rows._asking = rows._possible
    return await PHONES(rows, records)


async def no_phones(rows: known.KnownRows, records):
    return []


PHONES = known.KnownRows.phones


async def test_counts_and_errors_are_those_of_rows_that_are_read(book, work_db, asked, monkeypatch):
    first, errors = await run(book, work_db, FILE)
    assert first == (19, 14, 0, 1, 4)
    # Contacts that are there, in rows that cannot be taken.
    for phone in ("+14155552673", "+14155552674", "+14155552676"):
        await book.create(phone=phone)
    with monkeypatch.context() as patch:
        patch.setattr(known.KnownRows, "phones", phones_at_once)
        recognised = await run(book, work_db, FILE)
    assert asked
    monkeypatch.setattr(known.KnownRows, "phones", no_phones)
    asked.clear()
    assert await run(book, work_db, FILE) == recognised == ((19, 0, 0, 15, 4), errors)
    assert not asked


async def test_bytes_that_were_imported_before_are_asked_for_from_the_first_row_on(book, work_db, asked):
    await run(book, work_db, FILE)
    assert not asked
    await run(book, work_db, FILE)
    assert asked[0] == "+14155553000"


async def test_a_contact_that_went_is_imported_again(book, work_db, asked, monkeypatch):
    await run(book, work_db, FILE)
    monkeypatch.setattr(known.KnownRows, "phones", phones_at_once)
    (gone,) = [contact for contact in await book.all() if contact.phone == "+14155552675"]
    await book.delete(gone.id)
    counts, _ = await run(book, work_db, FILE)
    assert counts == (19, 1, 0, 14, 4)
    assert "+14155552675" in asked


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("phone,name,email,tags,external_id", {}),
        ("phone,name,email,tags,code", {"on_duplicate": pb.ON_DUPLICATE_UPDATE}),
        ("phone,name,email,tags,code", {"on_duplicate": pb.ON_DUPLICATE_MERGE}),
    ],
)
async def test_it_is_left_alone_where_a_row_may_mean_more(book, work_db, asked, header, options):
    file = FILE.replace("phone,name,email,tags,code", header)
    await run(book, work_db, file, **options)
    await run(book, work_db, file, **options)
    assert not asked


NEW = "phone,email,external_id\n" + "".join(f"+1415555{n:04},,\n" for n in range(60))
THERE = ["+14155559001,,", ",there@example.org,", "+14155550003,again@example.org,"]


async def test_among_new_rows_those_whose_contact_is_there_are_duplicates(book, work_db, admin, monkeypatch):
    """The keys of new rows are not looked up; of the ones that are taken nothing is written and nothing told."""
    looked_up = spy_on_holders(monkeypatch)
    there = [
        (await book.create(phone="+14155559001")).contact.id,
        (await book.create(email="there@example.org")).contact.id,
    ]
    file = NEW.replace(",external_id", ",stage") + "\n".join(THERE) + "\n+14155550060,,\n+14155550060,,\n"
    counts, _ = await run(book, work_db, file)
    assert counts == (65, 61, 0, 4, 0)
    assert not {"+14155550059", "+14155559001"} & set(looked_up)
    kept = {contact.id for contact in await book.all()}
    assert len(kept) == 63
    told = [
        change.contact.id
        for kind, _, message in await outbox(admin, book.account)
        if kind == "contact.created"
        for change in message.changes
    ]
    assert sorted(told) == sorted(kept)
    assert kept.issuperset(there)


async def test_rows_with_an_external_id_are_looked_up_however_new_they_are(book, work_db, monkeypatch):
    """One of their keys may be another contact's."""
    looked_up = spy_on_holders(monkeypatch)
    await book.create(phone="+14155559001")
    await book.create(external_id="x")
    counts, errors = await run(book, work_db, NEW + "+14155559001,,x\n")
    assert counts == (61, 60, 0, 0, 1)
    assert [code for _, code, _ in errors] == ["identity_conflict"]
    assert "+14155550059" in looked_up


def spy_on_holders(monkeypatch) -> list[str]:
    """The keys that were looked up."""
    keys: list[str] = []
    look_up = staging.holders

    async def holders(tx, account, wanted):
        wanted = list(wanted)
        keys.extend(value for _, value in wanted)
        return await look_up(tx, account, wanted)

    monkeypatch.setattr(staging, "holders", holders)
    return keys


async def test_rows_are_read_while_the_database_inserts_and_not_before_it_can(book, work_db, monkeypatch):
    read_all, commit, told_of_new, insert = RowReader.read_all, chunk.commit, chunk.told_of_new, staging.insert
    slices = inserts = at_begin = 0
    one_read = asyncio.Event()

    def counted(self, records, known=()):
        nonlocal slices
        slices += 1
        one_read.set()
        return read_all(self, records, known)

    async def begin(*args, **options):
        nonlocal at_begin
        at_begin = slices
        return await commit(*args, **options)

    async def tell(created, way):
        # The first chunk is not known to be of new rows.
        assert slices == at_begin or inserts == 1
        return await told_of_new(created, way)

    async def hold(*args, **options):
        nonlocal inserts
        inserts += 1
        if inserts > 1 and slices < 30:
            one_read.clear()
            async with asyncio.timeout(10):
                await one_read.wait()
        return await insert(*args, **options)

    monkeypatch.setattr(RowReader, "read_all", counted)
    monkeypatch.setattr(chunk, "commit", begin)
    monkeypatch.setattr(chunk, "told_of_new", tell)
    monkeypatch.setattr(staging, "insert", hold)
    counts, _ = await run(book, work_db, NEW.replace(",external_id", ",stage"))
    assert counts == (60, 60, 0, 0, 0)
    assert inserts == slices == 30
