"""Gauges of what lies in the database."""

import asyncio
import contextlib

import pytest
from prometheus_client import Gauge

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.events.v1 import events_pb2
from chassis import watch
from chassis.db import Database
from chassis.ids import AccountId
from chassis.relay import OUTBOX
from chassis.watch import Look, Watch
from tests.service.chassis.conftest import Databases
from tests.service.stack import eventually, measured

SIZE = Gauge("carillon_test_notes", "For these tests", ["text", "lane"])


async def test_a_value_that_is_no_more_is_0_and_not_what_it_was(dbs: Databases, account: AccountId) -> None:
    sql = f"SELECT text, 'live', count(*) FROM notes WHERE account_id = '{account}' GROUP BY text"
    looking = Watch(dbs.work, [Look(SIZE, sql, labels=[("a", "live"), ("b", "live")])])
    async with dbs.serve.write(account) as tx:
        await tx.execute("INSERT INTO notes VALUES ($1, 1, 'a'), ($1, 2, 'a')", account)
    await looking.look()
    assert [measured("carillon_test_notes", text=text, lane="live") for text in "ab"] == [2, 0]
    async with dbs.serve.write(account) as tx:
        await tx.execute("UPDATE notes SET text = 'b' WHERE account_id = $1", account)
    await looking.look()
    assert [measured("carillon_test_notes", text=text, lane="live") for text in "ab"] == [0, 2]


async def test_events_that_are_not_told_yet_are_counted_by_their_lane(dbs: Databases, account: AccountId) -> None:
    async with dbs.work.across() as tx:
        # Of other tests.
        await tx.execute("UPDATE outbox SET published_at = now()")
    async with dbs.serve.write(account) as tx:
        for bulk in (True, True, False):
            tx.add_event("contact.updated", events_pb2.ContactsChanged(changes=[change()]), bulk=bulk)
    async with dbs.work.across() as tx:
        await tx.execute("UPDATE outbox SET created_at = created_at - interval '1 h' WHERE bulk")
    await Watch(dbs.work, OUTBOX).look()
    assert [measured("carillon_outbox_depth", lane=lane) for lane in ("live", "bulk")] == [1, 2]
    oldest = [measured("carillon_outbox_oldest_seconds", lane=lane) for lane in ("live", "bulk")]
    assert 0 <= oldest[0] < 1800 < 3600 <= oldest[1]
    async with dbs.work.across() as tx:
        name = await tx.fetchval("SELECT current_database()")
    assert measured("carillon_postgres_connections", database=name) > 0
    assert measured("carillon_postgres_size_bytes", database=name) > 1 << 20


def change() -> events_pb2.ContactChange:
    return events_pb2.ContactChange(contact=pb.Contact(id="a"))


async def test_an_outage_is_outlived(monkeypatch: pytest.MonkeyPatch, dbs: Databases) -> None:
    monkeypatch.setattr(watch, "SECONDS", 0.01)
    nowhere = await Database.open("postgresql://nobody:x@127.0.0.1:9/none")
    before = measured("carillon_db_errors_total", kind="unreachable")
    looking = asyncio.create_task(Watch(nowhere, []).run())

    async def failed_twice() -> bool:
        return measured("carillon_db_errors_total", kind="unreachable") >= before + 2

    await eventually(failed_twice)
    looking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await looking
