"""An undo whose process is killed: another goes on, and every contact is deleted, counted and told once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from carillon.contacts.v1 import contacts_pb2 as pb
from tests.service.contacts.conftest import ERASURE_KEY
from tests.service.contacts.events import outbox
from tests.service.contacts.test_two_step import drain
from tests.service.stack import eventually

ROOT = Path(__file__).resolve().parents[3]
# The worker as its process runs it, in steps small enough that the kill falls between two.
WORKER = """
import asyncio, sys
from chassis.db import Database
from services.contacts.erasure.hashing import AddressHash
from services.contacts.imports.undo_job import UndoWorker

async def main():
    db = await Database.open(sys.argv[1])
    worker = UndoWorker(db, asyncio.Event(), AddressHash(sys.argv[2]), step_contacts=20)
    while await worker.run_once():
        pass

asyncio.run(main())
"""
CONTACTS = 2_000


def start_worker(url: str) -> subprocess.Popen:
    path = os.pathsep.join([str(ROOT), str(ROOT / "libs"), str(ROOT / "libs" / "protos")])
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([sys.executable, "-c", WORKER, url, ERASURE_KEY], env=env, cwd=ROOT)


async def test_a_killed_undo_is_resumed_with_exact_counts(book, desk, worker, undoer, urls, admin, account):
    job = await book.upload(("phone\n" + "".join(f"+1415555{n:04}\n" for n in range(CONTACTS))).encode())
    await drain(worker)
    await desk.undo(job.id)
    process = start_worker(urls.work)

    async def deleted() -> int:
        return (await book.progress(job.id)).undo_deleted

    try:
        await eventually(deleted)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    halfway = await book.progress(job.id)
    assert 0 < halfway.undo_deleted < CONTACTS, "the worker was killed too late to show anything"
    left = await admin.fetchval("SELECT count(*) FROM contacts WHERE account_id = $1", account)
    assert left == CONTACTS - halfway.undo_deleted
    await drain(undoer)
    undone = await book.progress(job.id)
    assert (undone.status, undone.undo_deleted) == (pb.IMPORT_STATUS_UNDONE, CONTACTS)
    told = [one.id for kind, _, message in await outbox(admin, account) if kind == "contact.deleted"
            for one in message.deletions]  # fmt: skip
    assert len(told) == len(set(told)) == CONTACTS
