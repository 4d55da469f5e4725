"""Exports: what is in the file, that it imports again to the same contacts, and that a kill leaves no half file."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from carillon.campaigns.v1 import campaigns_pb2
from carillon.contacts.v1 import contacts_pb2, exports_pb2_grpc
from carillon.contacts.v1 import exports_pb2 as pb
from chassis.errors import CarillonError, FailedPrecondition, NotFound, PermissionDenied
from chassis.grpc_client import Client
from services.contacts.cleaner import Cleaner
from services.contacts.exports import workbook
from services.contacts.exports.job import ATTEMPTS, GONE, OUR_FAULT
from tests.service.contacts.export_desk import ExportDesk
from tests.service.contacts.test_erasure import say
from tests.service.contacts.test_resume import ROOT
from tests.service.stack import eventually

# Texts that a spreadsheet would calculate or take for something else, in every field that takes a text.
HOSTILE = ["=1+1", "+49 cmd", "-2", "@SUM(A1)", "'=quoted", "'plain", "''twice", 'a "b", c', "line\nbreak", "ünï;çödé"]
TEXTS = ["first_name", "last_name", "stage", "gender", "language", "timezone", "external_id", "instagram_id",
         "channel", "custom_channel", "chat_widget_id", "current_campaign"]  # fmt: skip
# What an import cannot take over from another account.
OWN = {"id", "version", "created_at", "updated_at"}


async def fill(book) -> list[contacts_pb2.Contact]:
    made = []
    for at, text in enumerate(HOSTILE):
        fields = {name: f"{text} {at}" if name == "external_id" else text for name in TEXTS}
        answer = await book.create(
            phone=f"+4915112345{at:03}",
            email=f"+{at}=x@example.org",
            tags=[text, "a,b", 'say "hi"', "=cmd"],
            metadata_json=json.dumps({"n": 12345678901234567890, "deep": {"list": [1.5, None, True]}, text: text}),
            current_campaign_data_json='{"step": 3}',
            is_bot_active=False,
            do_not_disturb=at % 2 == 0,
            **fields,
        )
        made.append(answer.contact)
    made.append((await book.create(email="only@example.org")).contact)
    return made


async def run(exports, export_worker, *args, **kwargs) -> tuple[pb.Export, bytes]:
    job = await exports.create(*args, **kwargs)
    assert job.status == pb.EXPORT_STATUS_QUEUED
    assert await export_worker.run_once()
    done = await exports.get(job.id)
    assert done.status == pb.EXPORT_STATUS_COMPLETED, done.error
    data = await exports.download(job.id)
    assert len(data) == done.bytes
    return done, data


def told(contact: contacts_pb2.Contact) -> dict:
    return {field.name: value for field, value in contact.ListFields() if field.name not in OWN}


async def import_again(book, worker, data: bytes, **options) -> contacts_pb2.Import:
    job = await book.upload(data, **options)
    while await worker.run_once():
        pass
    return await book.progress(job.id)


def same(one: contacts_pb2.Contact, other: contacts_pb2.Contact) -> None:
    left, right = told(one), told(other)
    for objects in (left, right):
        for name in ("metadata_json", "current_campaign_data_json"):
            objects[name] = json.loads(objects.get(name, "null"))
    assert left == right


async def test_a_csv_imports_again_to_the_same_contacts(book, other_book, exports, export_worker, worker):
    made = await fill(book)
    done, data = await run(exports, export_worker)
    assert done.rows == len(made)
    again = await import_again(book, worker, data)
    assert (again.rows, again.duplicates, again.failed) == (len(made), len(made), 0), again.errors
    fresh = await import_again(other_book, worker, data)
    assert (fresh.imported, fresh.failed) == (len(made), 0), fresh.errors
    theirs = {contact.email: contact for contact in await other_book.all()}
    for contact in await book.all():
        same(contact, theirs[contact.email])
    update = await import_again(book, worker, data, on_duplicate=contacts_pb2.ON_DUPLICATE_UPDATE)
    assert (update.duplicates, update.updated) == (len(made), 0)


async def test_no_cell_begins_like_a_formula_and_phones_stay(book, exports, export_worker):
    await fill(book)
    _, data = await run(exports, export_worker)
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert {row["phone"] for row in rows} >= {"+4915112345000", ""}
    for row in rows:
        for title, cell in row.items():
            assert title == "phone" or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), title


async def test_filters_narrow_and_the_newest_comes_first(book, exports, export_worker):
    for at in range(25):
        await book.create(phone=f"+4915112345{at:03}", stage="lead" if at % 2 else "customer")
    done, data = await run(exports, export_worker, stage="lead")
    phones = [row["phone"] for row in csv.DictReader(io.StringIO(data.decode()))]
    assert phones == [f"+4915112345{at:03}" for at in range(23, 0, -2)]
    assert done.rows == 12


async def test_jsonl_is_what_the_api_says(book, exports, export_worker):
    made = await fill(book)
    _, data = await run(exports, export_worker, "jsonl")
    lines = [json.loads(line) for line in data.splitlines()]
    assert [line["id"] for line in lines] == [contact.id for contact in reversed(made)]
    last = lines[0]
    assert (last["email"], last["phone"], last["tags"], last["metadata"]) == ("only@example.org", None, [], {})
    assert last["validity"] == {"phone": "unknown", "email": "valid"}
    assert last["preferences"]["sms"] == "unknown"


async def test_an_empty_account_has_a_file_of_its_header(exports, export_worker):
    done, data = await run(exports, export_worker)
    assert (done.rows, data.count(b"\n")) == (0, 1)
    assert await run(exports, export_worker, "jsonl") is not None


WORKER = """
import asyncio, sys
from chassis.db import Database
from services.contacts.exports.contents import Contents
from services.contacts.exports.job import ExportWorker
from services.contacts.listing.requests import read_filter

async def main():
    db = await Database.open(sys.argv[1])
    contents = Contents(db, read_filter=read_filter, segments=None, campaigns=None, batch_contacts=5)
    await ExportWorker(db, asyncio.Event(), contents=contents, chunk_bytes=500).run_once()

asyncio.run(main())
"""


def start_worker(url: str) -> subprocess.Popen:
    path = os.pathsep.join([str(ROOT), str(ROOT / "libs"), str(ROOT / "libs" / "protos")])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), url], env={**os.environ, "PYTHONPATH": path}, cwd=ROOT
    )


async def test_a_killed_export_goes_on_and_no_half_file_shows(book, exports, export_worker, worker, urls, admin):
    rows = 2_000
    await import_again(book, worker, b"phone\n" + b"".join(b"+4915112%06d\n" % at for at in range(rows)))
    job = await exports.create()
    process = start_worker(urls.work)

    async def begun() -> bool:
        return (await exports.get(job.id)).rows > 0

    try:
        await eventually(begun)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    halfway = await exports.get(job.id)
    assert 0 < halfway.rows < rows, "the worker was killed too late to show anything"
    with pytest.raises(FailedPrecondition):
        await exports.download(job.id)
    # The dead worker's lease keeps the others out until it ends.
    assert not await export_worker.run_once()
    await admin.execute("UPDATE exports SET lease_until = now() - interval '1 second' WHERE status = 'running'")
    assert await export_worker.run_once()
    done = await exports.get(job.id)
    assert (done.status, done.rows) == (pb.EXPORT_STATUS_COMPLETED, rows)
    data = await exports.download(job.id)
    phones = [row["phone"] for row in csv.DictReader(io.StringIO(data.decode()))]
    assert sorted(phones) == [f"+4915112{at:06}" for at in range(rows)]


async def test_an_export_whose_workers_all_die_is_given_up_and_keeps_no_file(exports, export_worker, admin, account):
    job = await exports.create()
    dead = "UPDATE exports SET status = 'running', attempts = $2, lease_until = now() WHERE account_id = $1"
    await admin.execute(dead, account, ATTEMPTS)
    assert await export_worker.run_once()
    failed = await exports.get(job.id)
    assert (failed.status, failed.error) == (pb.EXPORT_STATUS_FAILED, OUR_FAULT)
    with pytest.raises(FailedPrecondition):
        await exports.download(job.id)


async def test_who_lost_the_lease_stores_nothing(book, exports, export_worker, admin, account, monkeypatch):
    await book.create(phone="+4915112345678")
    await exports.create()
    store = export_worker._store

    async def overtaken(*args, **kwargs):
        await admin.execute("UPDATE exports SET lease_generation = 99 WHERE account_id = $1", account)
        await store(*args, **kwargs)

    monkeypatch.setattr(export_worker, "_store", overtaken)
    assert await export_worker.run_once()
    assert await admin.fetchval("SELECT count(*) FROM file_chunks WHERE account_id = $1", account) == 0


async def test_an_export_and_its_file_expire(book, exports, export_worker, work_db, admin, account):
    await book.create(phone="+4915112345678")
    done, _ = await run(exports, export_worker)
    kept = done.expires_at.ToDatetime() - done.finished_at.ToDatetime()
    assert kept.total_seconds() == 72 * 3600
    cleaner = Cleaner(work_db)
    await cleaner.run_once()
    assert await exports.download(done.id)
    await admin.execute("UPDATE exports SET expires_at = now() WHERE account_id = $1", account)
    await cleaner.run_once()
    for asked in (exports.get, exports.download):
        with pytest.raises(NotFound):
            await asked(done.id)
    for table in ("files", "file_chunks", "exports"):
        assert await admin.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = $1", account) == 0, table


async def test_an_export_of_a_moment_ago_is_repeated_by_its_key(exports):
    request = pb.CreateExportRequest(resource=pb.EXPORT_RESOURCE_CONTACTS, format=pb.EXPORT_FORMAT_CSV)
    first = await exports.call("CreateExport", request, idempotency=("k", b"f"))
    assert await exports.call("CreateExport", request, idempotency=("k", b"f")) == first


async def test_what_is_refused(exports):
    for request in (
        pb.CreateExportRequest(format=pb.EXPORT_FORMAT_CSV),
        pb.CreateExportRequest(resource=pb.EXPORT_RESOURCE_CONTACTS),
    ):
        with pytest.raises(CarillonError):
            await exports.call("CreateExport", request)
    with pytest.raises(CarillonError):
        await exports.create(stage="nul\0")


async def test_two_accounts_never_meet(book, other_book, exports, other_exports, export_worker):
    await book.create(phone="+4915112345678")
    mine, _ = await run(exports, export_worker)
    for method, request in (
        ("GetExport", pb.GetExportRequest(id=mine.id)),
        ("GetExport", pb.GetExportRequest(id="exp_nonsense")),
    ):
        with pytest.raises(NotFound):
            await other_exports.call(method, request)
    with pytest.raises(NotFound):
        await other_exports.download(mine.id)
    assert not (await other_exports.call("ListExports", pb.ListExportsRequest())).exports
    _, theirs = await run(other_exports, export_worker)
    assert b"+49" not in theirs
    await exports.create()
    page = await exports.call("ListExports", pb.ListExportsRequest(page_size=1))
    rest = await exports.call("ListExports", pb.ListExportsRequest(page_size=1, cursor=page.next_cursor))
    assert [one.id for one in rest.exports] == [mine.id]
    with pytest.raises(CarillonError):
        await other_exports.call("ListExports", pb.ListExportsRequest(cursor=page.next_cursor))
    methods = {method.name for method in pb.DESCRIPTOR.services_by_name["ExportsService"].methods}
    assert methods == {"CreateExport", "ListExports", "GetExport", "DownloadExport"}


async def test_only_the_gateway_may_call(server, keys, account):
    target = f"127.0.0.1:{server.port}"
    campaigns = Client(
        target, exports_pb2_grpc.ExportsServiceStub, audience="contacts", signer=keys.signer("campaigns")
    )
    try:
        with pytest.raises(PermissionDenied):
            await ExportDesk(campaigns, account).create()
    finally:
        await campaigns.stop()


async def test_a_workbook_imports_again_to_the_same_contacts(book, other_book, exports, export_worker, worker):
    made = await fill(book)
    done, data = await run(exports, export_worker, "xlsx")
    assert (done.rows, data[:2]) == (len(made), b"PK")
    fresh = await import_again(other_book, worker, data)
    assert (fresh.imported, fresh.failed) == (len(made), 0), fresh.errors
    theirs = {contact.email: contact for contact in await other_book.all()}
    for contact in await book.all():
        same(contact, theirs[contact.email])
    again = await import_again(book, worker, data, on_duplicate=contacts_pb2.ON_DUPLICATE_UPDATE)
    assert (again.duplicates, again.updated) == (len(made), 0)


# Of a contact: what a card says.
ON_A_CARD = {"phone", "email", "first_name", "last_name", "name", "country", "gender", "language", "timezone",
             "external_id", "tags", "channels", "phone_validity", "email_validity", "is_bot_active"}  # fmt: skip


async def test_cards_import_again_to_what_a_card_says(book, other_book, exports, export_worker, worker):
    for at, text in enumerate(HOSTILE):
        await book.create(
            phone=f"+4915112345{at:03}",
            email=f"a{at}@example.org",
            first_name=text,
            last_name="Ü" * 100,
            tags=[text, "a,b", "semi;colon"],
            external_id=f"{text} {at}",
            language="de",
            timezone="Europe/Berlin",
            gender="x",
        )
    await book.create(phone="+4915112349999")
    done, data = await run(exports, export_worker, "vcf")
    assert all(len(line) <= 75 for line in data.split(b"\r\n"))
    fresh = await import_again(other_book, worker, data)
    assert (fresh.imported, fresh.failed) == (done.rows, 0), fresh.errors
    theirs = {contact.phone: contact for contact in await other_book.all()}
    for contact in await book.all():
        other = {name: value for name, value in told(theirs[contact.phone]).items() if name in ON_A_CARD}
        assert other == {name: value for name, value in told(contact).items() if name in ON_A_CARD}


async def test_a_workbook_that_was_begun_is_made_anew(book, exports, export_worker, admin, account, monkeypatch):
    for at in range(25):
        await book.create(phone=f"+4915112345{at:03}")
    job = await exports.create("xlsx")
    store = export_worker._store

    async def dies_behind_the_first(lease, data, **kwargs):
        await store(lease, data, **kwargs)
        raise RuntimeError("killed")

    monkeypatch.setattr(export_worker, "_store", dies_behind_the_first)
    assert await export_worker.run_once()
    monkeypatch.undo()
    assert await admin.fetchval("SELECT count(*) FROM file_chunks WHERE account_id = $1", account) > 0
    await admin.execute("UPDATE exports SET lease_until = now() - interval '1 second' WHERE account_id = $1", account)
    assert await export_worker.run_once()
    done = await exports.get(job.id)
    assert (done.status, done.rows) == (pb.EXPORT_STATUS_COMPLETED, 25)
    assert len(await exports.download(job.id)) == done.bytes


async def test_a_workbook_that_is_full_fails_with_a_reason(book, exports, export_worker, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_ROWS", 2)
    for at in range(2):
        await book.create(phone=f"+4915112345{at:03}")
    job = await exports.create("xlsx")
    assert await export_worker.run_once()
    failed = await exports.get(job.id)
    assert failed.status == pb.EXPORT_STATUS_FAILED
    assert "full" in failed.error


async def test_opt_outs_are_those_of_the_channel(book, exports, export_worker, consent_client, account):
    phones = [f"+4915112345{at:03}" for at in range(3)]
    for phone, channel in zip(phones, ("sms", "voice", None), strict=True):
        contact = (await book.create(phone=phone)).contact
        if channel:
            await say(consent_client, account, contact.id, **{channel: "out"})
    for asked, expected in ((contacts_pb2.CHANNEL_SMS, phones[:1]), (contacts_pb2.CHANNEL_UNSPECIFIED, phones[1::-1])):
        request = pb.CreateExportRequest(
            resource=pb.EXPORT_RESOURCE_OPTOUTS, format=pb.EXPORT_FORMAT_CSV, channel=asked
        )
        job = (await exports.call("CreateExport", request)).export
        assert await export_worker.run_once()
        rows = csv.DictReader(io.StringIO((await exports.download(job.id)).decode()))
        assert [row["phone"] for row in rows] == expected


@pytest.mark.parametrize("format_", ["csv", "xlsx"])
async def test_opt_outs_say_of_which_channels_and_import_as_nothing_of_it(
    book, other_book, worker, exports, export_worker, consent_client, account, format_
):
    contact = (await book.create(phone="+4915112345000")).contact
    await say(consent_client, account, contact.id, voice="out", email="out", viber="in")
    job = await ask(exports, export_worker, "OPTOUTS", format_)
    file = await exports.download(job.id)
    if format_ == "csv":
        (row,) = csv.DictReader(io.StringIO(file.decode()))
        assert row["opted_out_channels"] == "email,voice"
    await other_book.upload(file)
    assert await worker.run_once()
    (made,) = await other_book.all()
    assert (made.phone, made.metadata_json, dict(made.preferences)) == ("+4915112345000", "{}", {})


async def ask(exports, export_worker, resource: str, format_: str = "csv", **of) -> pb.Export:
    request = pb.CreateExportRequest(
        resource=pb.ExportResource.Value(f"EXPORT_RESOURCE_{resource}"),
        format=pb.ExportFormat.Value(f"EXPORT_FORMAT_{format_.upper()}"),
        **of,
    )
    job = (await exports.call("CreateExport", request)).export
    assert await export_worker.run_once()
    return await exports.get(job.id)


async def test_members_of_a_segment_as_they_stand_here(book, exports, export_worker, export_peers):
    made = [(await book.create(phone=f"+4915112345{at:03}", stage="x")).contact.id for at in range(7)]
    await book.delete(made[2])
    export_peers.members["seg_1"] = [made[:2], made[2:3], made[3:5]]
    done = await ask(exports, export_worker, "SEGMENT_MEMBERS", segment_id="seg_1")
    assert (done.status, done.rows) == (pb.EXPORT_STATUS_COMPLETED, 4)
    rows = csv.DictReader(io.StringIO((await exports.download(done.id)).decode()))
    assert sorted(row["phone"][-1] for row in rows) == ["0", "1", "3", "4"]


async def test_a_segment_that_is_gone_fails_with_a_reason(exports, export_worker):
    failed = await ask(exports, export_worker, "SEGMENT_MEMBERS", segment_id="seg_gone")
    assert (failed.status, failed.error) == (pb.EXPORT_STATUS_FAILED, GONE)


@pytest.mark.parametrize("format_", ["csv", "jsonl", "xlsx"])
async def test_recipients_page_by_page(exports, export_worker, export_peers, format_):
    lines = [
        campaigns_pb2.Recipient(
            id=f"rcp_{at}",
            address=f"+4915112345{at:03}",
            variables_json='{"name":"Ann"}',
            status=campaigns_pb2.RECIPIENT_STATUS_FAILED,
            reason="=cmd",
        )
        for at in range(4)
    ]
    export_peers.recipients["cmp_1"] = [lines[:3], lines[3:]]
    done = await ask(exports, export_worker, "RECIPIENTS", format_, campaign_id="cmp_1", recipient_status="failed")
    assert (done.status, done.rows) == (pb.EXPORT_STATUS_COMPLETED, 4)
    assert export_peers.asked[-1].status == campaigns_pb2.RECIPIENT_STATUS_FAILED
    data = await exports.download(done.id)
    if format_ == "csv":
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        assert (rows[3]["phone"], rows[3]["reason"], rows[3]["variables"]) == (
            "+4915112345003",
            "'=cmd",
            '{"name":"Ann"}',
        )
    elif format_ == "jsonl":
        last = json.loads(data.splitlines()[3])
        assert (last["phone"], last["variables"], last["status"]) == ("+4915112345003", {"name": "Ann"}, "failed")
    else:
        assert data[:2] == b"PK"
    with pytest.raises(CarillonError):
        await ask(exports, export_worker, "RECIPIENTS", "vcf", campaign_id="cmp_1")
