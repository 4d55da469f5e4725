"""A worker that is killed in the middle of a file: another goes on, and every row counts once."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from formats.records import FAILED_ON_OUR_SIDE
from services.contacts.imports.job import ATTEMPTS, ImportWorker
from tests.service.stack import eventually

ROOT = Path(__file__).resolve().parents[3]
# The worker as its process runs it, in chunks small enough that the kill falls between two.
WORKER = """
import asyncio, sys
from chassis.db import Database
from services.contacts.imports.job import ImportWorker

async def main():
    db = await Database.open(sys.argv[1])
    await ImportWorker(db, asyncio.Event(), chunk_records=50).run_once()

asyncio.run(main())
"""
ROWS = 3_000
# Every tenth row is bad, and the last hundred repeat the first hundred.
FILE = "phone,name\n" + "".join(
    "junk,X\n" if n % 10 == 9 else f"+1415555{n % (ROWS - 100):04},N{n}\n" for n in range(ROWS)
)


def start_worker(url: str) -> subprocess.Popen:
    path = os.pathsep.join([str(ROOT), str(ROOT / "libs"), str(ROOT / "libs" / "protos")])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), url], env={**os.environ, "PYTHONPATH": path}, cwd=ROOT
    )


@pytest.mark.parametrize("on_duplicate", [pb.ON_DUPLICATE_SKIP, pb.ON_DUPLICATE_UPDATE])
async def test_a_killed_import_is_resumed_with_exact_counts(book, urls, work_db, admin, account, on_duplicate):
    job = await book.upload(FILE.encode(), on_duplicate=on_duplicate)
    process = start_worker(urls.work)
    try:
        # A chunk is committed, more are to come.
        await eventually(lambda: done_of(book, job.id))
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    halfway = await book.progress(job.id)
    assert 0 < halfway.rows < ROWS, "the worker was killed too late to show anything"
    assert halfway.status == pb.IMPORT_STATUS_RUNNING
    # The dead worker's lease keeps the others out until it ends.
    worker = ImportWorker(work_db, asyncio.Event(), chunk_records=500)
    assert not await worker.run_once()
    await admin.execute("UPDATE imports SET lease_until = now() - interval '1 second' WHERE account_id = $1", account)
    assert await worker.run_once()
    done = await book.progress(job.id)
    assert done.status == pb.IMPORT_STATUS_COMPLETED
    changed = 90 if on_duplicate == pb.ON_DUPLICATE_UPDATE else 0
    assert (done.rows, done.imported, done.updated, done.duplicates, done.failed) == (
        ROWS,
        2_610,
        changed,
        90 - changed,
        300,
    )
    assert await admin.fetchval("SELECT count(*) FROM contacts WHERE account_id = $1", account) == 2_610
    assert await admin.fetchval("SELECT count(*) FROM import_errors WHERE account_id = $1", account) == 300


async def done_of(book, import_id: str) -> int:
    return (await book.progress(import_id)).rows


async def test_an_import_whose_workers_all_die_is_given_up(book, worker, admin, account):
    job = await book.upload(FILE.encode())
    dead = "UPDATE imports SET status = 'running', attempts = $2, lease_until = now() WHERE account_id = $1"
    await admin.execute(dead, account, ATTEMPTS)
    assert await worker.run_once()
    failed = await book.progress(job.id)
    assert (failed.status, failed.error, failed.rows) == (pb.IMPORT_STATUS_FAILED, FAILED_ON_OUR_SIDE, 0)


async def test_a_worker_that_is_stopped_counts_for_nothing(book, worker, admin, account, monkeypatch):
    await book.upload(FILE.encode())

    async def never(*args, **kwargs):
        raise asyncio.CancelledError

    monkeypatch.setattr(worker, "_copy", never)
    with pytest.raises(asyncio.CancelledError):
        await worker.run_once()
    assert await admin.fetchval("SELECT attempts FROM imports WHERE account_id = $1", account) == 0
