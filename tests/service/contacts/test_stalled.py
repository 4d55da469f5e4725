"""`carillon_contacts_stalled_seconds`: a job whose turn it is and that makes no step shows, and no other does.

Jobs of other tests may lie about; none is an hour old.
"""

import pytest
from prometheus_client import REGISTRY

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.watch import Watch
from services.contacts.imports import dry_runs, repository
from services.contacts.imports.rehearsal import Counts
from services.contacts.imports.repository import Progress
from services.contacts.looks import LOOKS

HOUR = 3600
FILE = b"phone,name\n+14155550001,Ann\n"
NO_CONTACTS = Progress(
    records_done=1, bytes_done=1, rows=0, imported=0, updated=0, duplicates=0, failed=0,
    first_contact_id=None, last_contact_id=None,
)  # fmt: skip


@pytest.fixture
def stalled(work_db):
    async def seconds(kind: str) -> float:
        await Watch(work_db, LOOKS).look()
        found = REGISTRY.get_sample_value("carillon_contacts_stalled_seconds", {"kind": kind})
        assert found is not None
        return found

    return seconds


@pytest.fixture
def an_hour_ago(admin, account):
    async def age(table: str, column: str) -> None:
        await admin.execute(
            f"UPDATE {table} SET {column} = {column} - interval '1 hour' WHERE account_id = $1", account
        )

    return age


async def test_an_import_that_nobody_takes_up_shows(book, admin, account, stalled, an_hour_ago):
    await book.upload(FILE)
    assert await stalled("import") < HOUR
    await an_hour_ago("imports", "queued_at")
    assert await stalled("import") >= HOUR
    await admin.execute("UPDATE imports SET status = 'cancelled' WHERE account_id = $1", account)
    assert await stalled("import") < HOUR


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_import_whose_worker_gets_nowhere_shows_until_its_next_step(
    book, desk, work_db, account, stalled, an_hour_ago, dry_run
):
    held = getattr(await book.hold(FILE.decode()), "import")
    await desk.commit(held.id, dry_run=dry_run)
    async with work_db.across() as tx:
        lease = await repository.claim(tx)
    assert lease is not None
    assert lease.account == account
    await an_hour_ago("imports", "queued_at")
    # A heartbeat is no step.
    async with work_db.across() as tx:
        await repository.heartbeat(tx, lease)
    assert await stalled("import") >= HOUR
    async with work_db.across() as tx:
        if dry_run:
            await dry_runs.count(tx, lease, Counts(), bytes_done=1)
        else:
            await repository.add_progress(tx, lease, NO_CONTACTS)
    assert await stalled("import") < HOUR


async def test_imports_that_wait_for_others_of_their_account_do_not_show(book, work_db, account, stalled, an_hour_ago):
    await book.upload(FILE)
    await book.upload(FILE)
    await an_hour_ago("imports", "queued_at")
    async with work_db.across() as tx:
        lease = await repository.claim(tx)
        assert lease is not None
        assert lease.account == account
        await repository.add_progress(tx, lease, NO_CONTACTS)
    assert await stalled("import") < HOUR


async def test_an_undo_that_makes_no_step_shows(book, desk, worker, stalled, an_hour_ago):
    job = await book.upload(FILE)
    await worker.run_once()
    assert (await book.progress(job.id)).status == pb.IMPORT_STATUS_COMPLETED
    await desk.undo(job.id)
    assert await stalled("undo") < HOUR
    await an_hour_ago("imports", "queued_at")
    assert await stalled("undo") >= HOUR


async def test_an_export_that_makes_no_piece_shows(exports, export_worker, admin, account, stalled, an_hour_ago):
    await exports.create()
    assert await stalled("export") < HOUR
    await an_hour_ago("exports", "created_at")
    assert await stalled("export") >= HOUR
    # What a piece does to the file.
    await admin.execute(
        "INSERT INTO files (account_id, id, touched_at) SELECT account_id, file_id, now() FROM exports "
        "WHERE account_id = $1",
        account,
    )
    assert await stalled("export") < HOUR


async def test_a_bulk_change_that_makes_no_step_shows(bulk_worker, admin, account, stalled, an_hour_ago):
    await admin.execute(
        "INSERT INTO bulk_jobs (account_id, id, change, filter, created_at, due_at) "
        "VALUES ($1, gen_random_uuid(), '{}', '', now(), now())",
        account,
    )
    assert await stalled("bulk") < HOUR
    await an_hour_ago("bulk_jobs", "due_at")
    assert await stalled("bulk") >= HOUR
    await admin.execute("DELETE FROM bulk_jobs WHERE account_id = $1", account)
