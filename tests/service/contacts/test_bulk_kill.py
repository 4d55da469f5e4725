"""A worker killed in the middle of a bulk job, and the next one: every contact is changed once, and counted once."""

import json

from carillon.contacts.v1 import bulk_pb2 as pb
from tests.service.contacts.conftest import ERASURE_KEY
from tests.service.contacts.test_lists import DISAGREEMENTS
from tests.service.contacts.test_processes import START_SECONDS, process, start
from tests.service.stack import eventually, free_port

CONTACTS = 10_000
FILL = """
WITH made AS (
    INSERT INTO contacts (account_id, id, created_at, updated_at, external_id, tags)
    SELECT $1, gen_random_uuid(), now(), now(), n::text, '{t}' FROM generate_series(1, $2::int) AS n
    RETURNING account_id, id
)
INSERT INTO contact_tags (account_id, tag, contact_id) SELECT account_id, 't', id FROM made
"""
VERSIONS = "SELECT version, count(*) FROM contacts WHERE account_id = $1 GROUP BY version"
TOLD = "SELECT count(*) FROM outbox WHERE account_id = $1 AND type = 'contact.updated'"


async def test_a_killed_worker_loses_nothing_and_doubles_nothing(urls, broker, keys, admin, book, lists, bulk):
    await admin.execute(FILL, book.account, CONTACTS)
    made = (await lists.create()).id
    job_id = (await bulk.found({"add_lists": [made], "remove_tags": ["t"]}, tag="t")).job.id
    env = {
        "CARILLON_NATS_URL": broker.url,
        "CARILLON_TOKEN_PRIVATE_KEY": keys.private["contacts"],
        "CARILLON_TOKEN_PUBLIC_KEYS": json.dumps(keys.public),
        "CARILLON_ERASURE_KEY": ERASURE_KEY,
        # Nobody listens there: exports of other services' things are not asked for.
        "CARILLON_SEGMENTS_TARGET": "127.0.0.1:1",
        "CARILLON_CAMPAIGNS_TARGET": "127.0.0.1:1",
        "CARILLON_DATABASE_URL": urls.work,
    }

    async def begun() -> bool:
        return (await bulk.job(job_id)).changed > 0

    async def ended() -> pb.BulkJob | None:
        job = await bulk.job(job_id)
        return job if job.status == pb.BULK_STATUS_COMPLETED else None

    first = start("work", free_port(), env)
    try:
        await eventually(begun, seconds=START_SECONDS)
    finally:
        first.kill()
        first.wait()
    at_the_kill = await bulk.job(job_id)
    assert (at_the_kill.status, at_the_kill.changed < CONTACTS) == (pb.BULK_STATUS_RUNNING, True)
    with process("work", free_port(), env):
        job = await eventually(ended, seconds=START_SECONDS)
    assert job is not None
    assert (job.changed, job.unchanged, job.failed) == (CONTACTS, 0, 0)
    assert (await lists.get(made)).member_count == CONTACTS
    assert dict(await admin.fetch(VERSIONS, book.account)) == {2: CONTACTS}
    # Chunks of a thousand, two events each.
    assert await admin.fetchval(TOLD, book.account) == CONTACTS // 500
    assert await admin.fetch(DISAGREEMENTS, book.account) == []
    assert await admin.fetchval("SELECT count(*) FROM contact_tags WHERE account_id = $1", book.account) == 0
