"""Jobs that have not ended are counted, those with a worker and those without. For how long: test_stalled.py."""

from chassis.watch import Watch
from services.contacts.looks import LOOKS
from tests.service.stack import measured

KINDS = ("import", "undo", "export", "bulk")


async def test_a_job_waits_until_somebody_has_it_and_runs_until_it_ended(work_db, account) -> None:
    async with work_db.across() as tx:
        # Of other tests.
        for table in ("imports", "exports", "bulk_jobs"):
            await tx.execute(f"DELETE FROM {table} WHERE account_id IS NOT NULL")
        for status in ("queued", "undoing"):
            await tx.execute(
                "INSERT INTO imports (account_id, id, file_id, status, plan, bytes_total, created_at, queued_at) "
                "VALUES ($1, gen_random_uuid(), gen_random_uuid(), $2, '{}', 1, now(), now())",
                account,
                status,
            )
        await tx.execute(
            "INSERT INTO exports (account_id, id, resource, format, request, file_id, created_at) VALUES "
            "($1, gen_random_uuid(), 'contacts', 'csv', '', gen_random_uuid(), now())",
            account,
        )
        await tx.execute(
            "INSERT INTO bulk_jobs (account_id, id, change, filter, created_at, due_at) VALUES "
            "($1, gen_random_uuid(), '{}', '', now(), now())",
            account,
        )
    looking = Watch(work_db, LOOKS)
    await looking.look()
    for kind in KINDS:
        state = "running" if kind == "undo" else "waiting"
        assert measured("carillon_contacts_jobs", kind=kind, state=state) == 1
    async with work_db.across() as tx:
        for table in ("imports", "exports"):
            await tx.execute(
                f"UPDATE {table} SET lease_until = now() + interval '1 minute' WHERE account_id = $1", account
            )
        await tx.execute("UPDATE bulk_jobs SET status = 'running', due_at = now() WHERE account_id = $1", account)
    await looking.look()
    for kind in KINDS:
        assert measured("carillon_contacts_jobs", kind=kind, state="running") == 1
        assert measured("carillon_contacts_jobs", kind=kind, state="waiting") == 0
    async with work_db.across() as tx:
        for table in ("imports", "exports", "bulk_jobs"):
            await tx.execute(f"DELETE FROM {table} WHERE account_id = $1", account)
    await looking.look()
    for kind in KINDS:
        assert measured("carillon_contacts_jobs", kind=kind, state="running") == 0
