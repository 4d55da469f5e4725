"""Imports of workbooks and vCards, and of files that are not what they say: the counts add up, the worker lives on."""

import asyncio
import json
import os
import signal

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.errors import CarillonError, Reason
from formats import phones
from services.contacts.imports.job import ImportWorker
from tests import workbooks
from tests.service.contacts.test_imports import counts, left, run
from tests.service.contacts.test_resume import done_of, start_worker
from tests.service.stack import eventually

CARDS = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Doe;John;;;\r\nTEL;TYPE=cell:+1 415 555 2671\r\nTEL;TYPE=home:+1 415 555 2672\r\n"
    "EMAIL:john@example.org\r\nCATEGORIES:premium,active\r\nORG:Acme\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;K=C3=A4the\r\n"
    "TEL;CELL:junk\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Siân Jones\r\nTEL;VALUE=uri:tel:+44-7400-123456\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nFN:does not end\r\n"
)


async def test_a_workbook(book, worker):
    table = [
        ["Customers", None, None],
        [],
        ["Phone", "Name", "Tags", "Age", "Since", "Member"],
        [4915123456789, "Käthe", "a, b", 41, ("n", 1, 45351), True],
        ["12ab", "Nobody"],
        [],
        ["+44 7400 123456", "Siân", None, None, None, None, "beyond the header"],
        ["+44 7400 123456", "again"],
    ]
    styles = '<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>'
    data = workbooks.workbook({"People": workbooks.sheet(table)}, styles=styles)
    done = await run(book, worker, data, default_region="DE")
    assert counts(done) == (4, 2, 0, 1, 1)
    assert [(fault.row, fault.code, fault.column) for fault in done.errors] == [(3, "invalid_phone", "Phone")]
    sian, kaethe = await book.all()
    assert (kaethe.phone, kaethe.name, list(kaethe.tags)) == ("+4915123456789", "Käthe", ["a", "b"])
    assert json.loads(kaethe.metadata_json) == {"Age": "41", "Since": "2024-02-29", "Member": "true"}
    assert (sian.phone, sian.metadata_json) == ("+447400123456", "{}")


async def test_cards(book, worker):
    """A row is a card: the first is row 1."""
    done = await run(book, worker, CARDS)
    assert counts(done) == (4, 2, 0, 0, 2)
    assert [(fault.row, fault.code, fault.column) for fault in done.errors] == [
        (2, "invalid_phone", "phone"),
        (4, "validation_failed", ""),
    ]
    sian, john = await book.all()
    assert (sian.phone, sian.name) == ("+447400123456", "Siân Jones")
    assert (john.phone, john.email, john.name) == ("+14155552671", "john@example.org", "John Doe")
    assert list(john.tags) == ["premium", "active"]
    assert json.loads(john.metadata_json) == {"phone_2": "+1 415 555 2672", "organization": "Acme"}


@pytest.mark.parametrize("kind", ["workbook", "cards"])
async def test_a_second_time_adds_nothing_in_any_format(book, worker, kind):
    rows = [(f"+1415555{n:04}", f"N{n}") for n in range(600)]
    data = (
        workbooks.table([("phone", "name"), *rows])
        if kind == "workbook"
        else "".join(f"BEGIN:VCARD\nFN:{name}\nTEL:{phone}\nEND:VCARD\n" for phone, name in rows).encode()
    )
    small = ImportWorker(worker._db, asyncio.Event(), chunk_records=250)
    assert counts(await run(book, small, data)) == (600, 600, 0, 0, 0)
    for on_duplicate in (pb.ON_DUPLICATE_SKIP, pb.ON_DUPLICATE_UPDATE):
        assert counts(await run(book, small, data, on_duplicate=on_duplicate)) == (600, 0, 0, 600, 0)
    # The same people from a CSV file are the same.
    again = "phone,name\n" + "".join(f"{phone},{name}\n" for phone, name in rows)
    assert counts(await run(book, small, again, on_duplicate=pb.ON_DUPLICATE_UPDATE)) == (600, 0, 0, 600, 0)


@pytest.mark.parametrize("kind", ["workbook", "cards"])
async def test_a_killed_import_of_any_format_is_resumed(book, urls, work_db, admin, account, kind):
    phones = ["junk" if n % 10 == 9 else f"+1415555{n:04}" for n in range(2_000)]
    data = (
        workbooks.table([("phone",), (), *((phone,) for phone in phones)])
        if kind == "workbook"
        else "".join(f"BEGIN:VCARD\nTEL:{phone}\nEND:VCARD\n" for phone in phones).encode()
    )
    job = await book.upload(data)
    process = start_worker(urls.work)
    try:
        await eventually(lambda: done_of(book, job.id))
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert 0 < (await book.progress(job.id)).rows < 2_000, "the worker was killed too late to show anything"
    await admin.execute("UPDATE imports SET lease_until = now() - interval '1 second' WHERE account_id = $1", account)
    assert await ImportWorker(work_db, asyncio.Event(), chunk_records=500).run_once()
    assert counts(await book.progress(job.id)) == (2_000, 1_800, 0, 0, 200)
    assert await admin.fetchval("SELECT count(*) FROM import_errors WHERE account_id = $1", account) == 200


LAUGHS = '?><!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(2_000), "picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000), "Old Excel files"),
        (b"<html><body><table><tr><td>phone</td></tr></table>", "web page"),
        (workbooks.zipped({"contacts.csv": b"phone\n+14155552671\n"}), "no Excel workbook"),
        (workbooks.table([["phone"], ["+14155552671"]])[:-40], "damaged"),
        (workbooks.workbook({"S": workbooks.sheet([["phone"], ["+1"]]).replace("?>", LAUGHS, 1)}), "entities"),
        (workbooks.table([["x"] * 300, ["y"]]), "more than 256 columns"),
        (b"x," * 1_000_000 + b"phone\n+14155552671\n", "longer than 256 KiB"),
        (b"phone\n+1415\x005552671\n", "NUL"),
        (b"BEGIN:VCARD\nTEL:+1\x00415\nEND:VCARD\n", "NUL"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_hostile_and_mistaken_files_are_refused_with_the_reason(book, admin, account, data, said):
    with pytest.raises(CarillonError, match=said) as caught:
        await book.upload(data)
    assert caught.value.reason == Reason.FILE_UNREADABLE
    assert await left(admin, account) == (0, 0, 0)


BOMB = workbooks.bomb(200)
FIELD = b"phone,name\n+14155552671,A\n+14155552672," + b"x" * 7_000_000 + b"\n+14155552673,C\n"


@pytest.mark.parametrize(
    ("data", "said", "rows"),
    [(BOMB, "far larger inside", 0), (FIELD, "longer than", 1)],
    ids=["zip bomb", "field"],
)
async def test_files_that_turn_hostile_later_fail_and_the_worker_lives_on(book, worker, data, said, rows):
    try:
        job = await book.upload(data)
    except CarillonError as refused:
        assert said in str(refused)  # noqa: PT017 - at the door, or behind it
        job = None
    while await worker.run_once():
        pass
    if job is not None:
        failed = await book.progress(job.id)
        assert (failed.status, failed.imported, failed.rows) == (pb.IMPORT_STATUS_FAILED, rows, rows)
        assert said in failed.error
    assert counts(await run(book, worker, "phone\n+14155550000\n")) == (1, 1, 0, 0, 0)


async def test_a_workbook_under_another_name_and_text_under_a_workbooks(book, worker):
    """The name of a file says nothing: its bytes do, and the name does not even come here."""
    assert counts(await run(book, worker, workbooks.table([["phone"], ["+14155552671"]]))) == (1, 1, 0, 0, 0)
    assert counts(await run(book, worker, "phone\n+14155552671\n")) == (1, 0, 0, 1, 0)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "cp1252"])
async def test_listmonk_65_and_46_excels_byte_order_mark(book, worker, codec):
    done = await run(book, worker, "phone;name\r\n+14155552671;Zoë\r\n".encode(codec))
    assert counts(done) == (1, 1, 0, 0, 0)
    assert (await book.all())[0].name == "Zoë"


async def test_listmonk_1420_no_row_is_lost_without_a_word(book, worker, admin, account):
    """1,046 rows: every one imported, a duplicate, or told with its row."""
    lines = [f"+1415555{n:04},N{n}" if n % 4 == 0 else f"junk {n},N{n}" for n in range(1_046)]
    lines[8] = '+14155550008,"two\nlines"'
    lines[12] = lines[0]
    done = await run(book, worker, "phone,name\n" + "\n".join(lines) + "\n")
    assert counts(done) == (1_046, 261, 0, 1, 784)
    told = await admin.fetch("SELECT row FROM import_errors WHERE account_id = $1 ORDER BY row", account)
    assert [row["row"] for row in told] == [n + 2 for n in range(1_046) if n % 4]


async def test_listmonk_839_and_1598_contacts_with_a_phone_alone(book, worker):
    assert counts(await run(book, worker, "phone\n+14155552671\n+14155552672\n")) == (2, 2, 0, 0, 0)
    assert {contact.email for contact in await book.all()} == {""}


async def test_a_list_as_it_is_kept_in_another_language(book, worker):
    """German titles and countries, numbers as Excel leaves them: without + or zero, or as a power of ten."""
    done = await run(
        book,
        worker,
        "Name;Vorname;Handy;Land;Schlagworte\r\n"
        "Müller;Käthe;4915123456789;Österreich;premium\r\n"
        "Maier;Jo;1512 3456780;DE;\r\n"
        "Jones;Siân;4,47400123456E+11;Großbritannien;\r\n"
        "Lost;Digits;4,91512E+12;;\r\n"
        "Un;Known;+4915123456781;Utopia;\r\n".encode("cp1252"),
        default_region="DE",
    )
    assert counts(done) == (5, 3, 0, 0, 2)
    assert [(fault.row, fault.column) for fault in done.errors] == [(5, "Handy"), (6, "Land")]
    assert done.errors[0].reason == phones.DIGITS_LOST
    found = {contact.phone: contact for contact in await book.all()}
    assert found.keys() == {"+4915123456789", "+4915123456780", "+447400123456"}
    kaethe = found["+4915123456789"]
    assert (kaethe.first_name, kaethe.last_name, kaethe.country) == ("Käthe", "Müller", "AT")
    assert found["+447400123456"].country == "GB"
