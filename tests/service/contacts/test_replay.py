"""JetStream is wiped, while segments was away: what the outbox still has comes by itself, the rest by `replay`."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.db import Database
from chassis.haste import Pace
from chassis.nats import EVENTS
from chassis.outbox import MAX_OBJECTS
from chassis.relay import Relay
from services.contacts.replay import MAX_WAITING, replay
from services.segments import builder, builds, repository, rulebooks
from services.segments.consumers import consumers
from services.segments.evaluation import Evaluator
from services.segments.lanes import Lanes
from tests.service.contacts.conftest import ERASURE_KEY
from tests.service.contacts.events import outbox
from tests.service.contacts.test_processes import ROOT
from tests.service.contacts.test_streaming import FILL
from tests.service.stack import eventually

PREMIUM = '{"conditions": [{"field": "tags", "operator": "contains", "value": "premium"}]}'
MEMBERS = """
SELECT m.contact_id FROM members m JOIN segments s ON s.account_id = m.account_id AND s.served_build = m.build_id
WHERE m.account_id = $1
"""


@contextlib.asynccontextmanager
async def running(*loops):
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class SegmentsAway:
    """The segments service's worker, which runs when it is told to, with a segment of premium customers."""

    def __init__(self, db: Database, nats) -> None:
        self._db = db
        self._nats = nats

    def running(self):
        return running(*(one.run() for one in consumers(self._nats, Evaluator(self._db), Lanes(), Pace(1))))

    async def make_segment(self, account) -> None:
        segment, build = ids.new(), ids.new()
        async with self._db.write(account) as tx:
            await repository.insert(tx, segment, name="Premium", build=build)
            await repository.insert_build(tx, build, segment=segment, definition=PREMIUM, inlined={})
            await rulebooks.advance(tx)
        while claimed := await builds.claim(self._db):
            await builder.work(self._db, claimed)

    async def members(self, account) -> set[str]:
        async with self._db.read(account) as tx:
            return {ids.encode("cnt", row["contact_id"]) for row in await tx.fetch(MEMBERS, account)}

    async def become(self, account, *contacts) -> None:
        expected = {one.id for one in contacts}

        async def same():
            return await self.members(account) == expected

        await eventually(same)


@pytest_asyncio.fixture(scope="module")
async def segments_db(make_database):
    db = await Database.open((await make_database("segments")).work, pool_size=5, name="segments-work")
    yield db
    await db.stop()


@pytest_asyncio.fixture
async def segments(segments_db, nats, account):
    away = SegmentsAway(segments_db, nats)
    await away.make_segment(account)
    return away


@pytest.fixture
def relay(work_db, nats):
    """Starts the relay that `work` runs."""
    return lambda: running(Relay(work_db, nats, service="contacts").run())


@pytest_asyncio.fixture
async def empty_outbox(admin):
    """Other tests' events neither take the relay's time nor wait in its lane."""
    await admin.execute("DELETE FROM outbox")


async def all_published(admin, account):
    async def none_left():
        query = "SELECT count(*) FROM outbox WHERE account_id = $1 AND published_at IS NULL"
        return await admin.fetchval(query, account) == 0

    await eventually(none_left)


async def told(work_db, **options) -> int:
    return [count async for count in replay(work_db, **({"account": None, "since": None} | options))][-1]


async def people(book):
    """ana stays premium, ben is no longer, cem is deleted, dee comes late."""
    ana, ben, cem = [(await book.create(external_id=name, tags=["premium"])).contact for name in ("ana", "ben", "cem")]
    return ana, ben, cem


async def change(book, ben, cem):
    await book.update(ben.id, tags=[])
    await book.delete(cem.id)
    return (await book.create(external_id="dee", tags=["premium"])).contact


@pytest.mark.usefixtures("empty_outbox")
async def test_after_a_wipe_the_outbox_is_published_again_by_itself(book, segments, relay, nats, admin, account):
    ana, ben, cem = await people(book)
    async with relay(), segments.running():
        await segments.become(account, ana, ben, cem)
    dee = await change(book, ben, cem)
    async with relay():
        # Published, acknowledged, and read by nobody.
        await all_published(admin, account)
    await nats.jetstream.delete_stream(EVENTS)

    async with relay(), segments.running():
        await segments.become(account, ana, dee)


@pytest.mark.usefixtures("empty_outbox")
async def test_what_the_outbox_no_longer_has_is_replayed(book, segments, relay, nats, admin, work_db, account):
    ana, ben, cem = await people(book)
    async with relay(), segments.running():
        await segments.become(account, ana, ben, cem)
    dee = await change(book, ben, cem)
    await admin.execute("DELETE FROM outbox")
    await nats.jetstream.delete_stream(EVENTS)
    async with relay(), segments.running():
        eve = (await book.create(external_id="eve", tags=["premium"])).contact
        # Everything is up, and what was lost is lost: events alone do not heal it.
        await segments.become(account, ana, ben, cem, eve)

        assert await told(work_db, account=account) == 5

        await segments.become(account, ana, dee, eve)


@pytest.mark.usefixtures("empty_outbox")
async def test_a_replay_says_what_is_so_in_the_bulk_lane(book, work_db, admin, account):
    _, ben, cem = await people(book)
    await change(book, ben, cem)
    await admin.execute("DELETE FROM outbox")

    await told(work_db, account=account)

    (_, deleted_bulk, deleted), (_, updated_bulk, updated) = await outbox(admin, account)
    assert (deleted_bulk, updated_bulk) == (True, True)
    [gone] = deleted.deletions
    assert (gone.id, gone.version, gone.HasField("deleted_at")) == (cem.id, 2, True)
    # Nothing is said of what changed, so that it is taken for all of it.
    assert updated == events_pb2.ContactsChanged(
        changes=[
            events_pb2.ContactChange(contact=one) for one in sorted(await book.all(), key=lambda contact: contact.id)
        ]
    )


@pytest.mark.usefixtures("empty_outbox")
async def test_a_replay_since_a_moment_leaves_out_what_is_older(book, work_db, admin, account):
    old, gone = [(await book.create(external_id=name)).contact for name in ("old", "gone")]
    await book.delete(gone.id)
    for table, column in (("contacts", "updated_at"), ("tombstones", "deleted_at")):
        await admin.execute(f"UPDATE {table} SET {column} = now() - interval '2 days' WHERE account_id = $1", account)
    new = (await book.create(external_id="new")).contact
    await admin.execute("DELETE FROM outbox")

    assert await told(work_db, account=account, since=datetime.now(UTC) - timedelta(days=1)) == 1

    [(_, _, updated)] = await outbox(admin, account)
    assert [change.contact.id for change in updated.changes] == [new.id]
    assert old.id != new.id


@pytest.mark.usefixtures("empty_outbox")
async def test_a_replay_of_one_account_tells_nothing_of_others_and_of_all_tells_of_all(
    book, other_book, work_db, admin, account, other
):
    await book.create(external_id="mine")
    await other_book.create(external_id="theirs")
    await admin.execute("DELETE FROM outbox")

    await told(work_db, account=account)

    assert (len(await outbox(admin, account)), await outbox(admin, other)) == (1, [])
    async with relay_running(work_db):
        await told(work_db)
    assert (len(await outbox(admin, account)), len(await outbox(admin, other))) == (2, 1)


@contextlib.asynccontextmanager
async def relay_running(work_db):
    """In place of a relay: everything counts as published at once."""

    async def publish():
        while True:
            async with work_db.across() as tx:
                await tx.execute("UPDATE outbox SET published_at = now() WHERE account_id IS NOT NULL")
            await asyncio.sleep(0.02)

    async with running(publish()):
        yield


@pytest.mark.usefixtures("empty_outbox")
async def test_a_replay_waits_for_the_relay_before_it_fills_the_outbox(work_db, admin, account):
    await admin.execute(FILL, account, (MAX_WAITING + 3) * MAX_OBJECTS // 10)
    await admin.execute(
        "UPDATE contacts SET metadata = jsonb_build_object('t', repeat('x', 12000)) WHERE account_id = $1", account
    )

    task = asyncio.create_task(told(work_db, account=account))

    async def full():
        return len(await outbox(admin, account)) >= MAX_WAITING

    await eventually(full)
    assert not task.done()
    async with relay_running(work_db):
        assert await task == (MAX_WAITING + 3) * MAX_OBJECTS // 10


async def test_the_command_replays_an_account_and_refuses_what_is_none(urls, broker, keys, book, admin, account):
    await book.create(external_id="ana")
    await admin.execute("DELETE FROM outbox")
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "libs"), str(ROOT / "libs" / "protos")]),
        "CARILLON_DATABASE_URL": urls.work,
        "CARILLON_NATS_URL": broker.url,
        "CARILLON_TOKEN_PRIVATE_KEY": keys.private["contacts"],
        "CARILLON_TOKEN_PUBLIC_KEYS": json.dumps(keys.public),
        "CARILLON_ERASURE_KEY": ERASURE_KEY,
        "CARILLON_SEGMENTS_TARGET": "127.0.0.1:1",
        "CARILLON_CAMPAIGNS_TARGET": "127.0.0.1:1",
    }

    async def run(*args):
        command = [sys.executable, "-m", "services.contacts", "replay", *args]
        return await asyncio.to_thread(subprocess.run, command, env=env, cwd=ROOT, capture_output=True, text=True)

    done = await run("--account", ids.encode("acct", account), "--since", "2020-01-01")
    assert (done.returncode, "1 contacts told of" in done.stdout) == (0, True), done.stderr
    assert len(await outbox(admin, account)) == 1

    refused = await run("--account", "cnt_nobody")
    assert refused.returncode == 2
    assert "--account" in refused.stderr
