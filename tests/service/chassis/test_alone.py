"""Reads and writes of one statement, against what transactions of several do."""

import asyncio
from collections import Counter

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import alone
from chassis.call import Call, Idempotency
from chassis.db import Database
from chassis.errors import Aborted, FailedPrecondition
from chassis.idempotency import Replay
from chassis.ids import AccountId
from chassis.outbox import Event
from tests.service.chassis.conftest import Databases

NOTE = "SELECT id, text FROM notes WHERE account_id = $1 AND id = $2"
ROWS = alone.inserting(
    f"""
added AS (
    INSERT INTO notes (account_id, id, text) SELECT account, ${alone.FIRST}, ${alone.FIRST + 1} FROM free
    ON CONFLICT DO NOTHING RETURNING account_id
)
"""
)
KEPT = """
SELECT (SELECT count(*) FROM notes WHERE account_id = $1) AS notes,
    (SELECT count(*) FROM outbox WHERE account_id = $1) AS events,
    (SELECT count(*) FROM idempotency_keys WHERE account_id = $1) AS keys
"""


def call(account: AccountId, key: str | None, request: bytes = b"request") -> Call:
    return Call(account, "gateway", frozenset(), "req", None if key is None else Idempotency(key, "/Method", request))


async def note(db: Database, who: Call, number: int, text: str) -> bool:
    event = Event("contact.created", who.account, text.encode())
    answer = pb.GetContactResponse(contact=pb.Contact(id=text))
    return await db.insert(who, ROWS, number, text, event=event, response=answer)


async def kept(dbs: Databases, account: AccountId) -> tuple[int, ...]:
    async with dbs.work.across() as tx:
        (row,) = await tx.fetch(KEPT, account)
    return tuple(row)


async def test_a_read_sees_the_account_s_own_rows_only(dbs: Databases, account: AccountId, other: AccountId) -> None:
    assert await note(dbs.serve, call(account, None), 1, "mine")
    found = await dbs.serve.one(account, NOTE, 1)
    assert found is not None
    assert tuple(found) == (1, "mine")
    assert await dbs.serve.one(account, NOTE, 2) is None
    assert await dbs.serve.one(other, NOTE, 1) is None
    # Although the query names whose rows they are.
    everybody_s = "SELECT text FROM notes WHERE $1::uuid IS NOT NULL"
    assert await dbs.serve.one(other, everybody_s) is None


async def test_the_account_ends_with_the_statement(dbs: Databases, account: AccountId) -> None:
    only = await Database.open(dbs.urls.serve, pool_size=1)
    await note(only, call(account, "k"), 1, "mine")
    assert await only.one(account, NOTE, 1) is not None
    async with only.across() as tx:
        assert await tx.fetch("SELECT * FROM notes") == []
    await only.stop()


async def test_rows_their_event_and_the_key_are_written_together(dbs: Databases, account: AccountId) -> None:
    woken: list[None] = []
    dbs.serve.on_events = lambda: woken.append(None)
    assert await note(dbs.serve, call(account, None), 1, "without a key")
    assert await kept(dbs, account) == (1, 1, 0)
    assert await note(dbs.serve, call(account, "k"), 2, "with one")
    assert await kept(dbs, account) == (2, 2, 1)
    async with dbs.work.across() as tx:
        told = await tx.fetch("SELECT type, data, bulk FROM outbox WHERE account_id = $1 ORDER BY created_at", account)
    assert [tuple(row) for row in told] == [
        ("contact.created", b"without a key", False), ("contact.created", b"with one", False),
    ]  # fmt: skip
    assert len(woken) == 2


async def test_where_nothing_is_inserted_nothing_is_told_and_the_key_stays_free(
    dbs: Databases, account: AccountId
) -> None:
    assert await note(dbs.serve, call(account, None), 1, "first")
    assert not await note(dbs.serve, call(account, "k"), 1, "second")
    assert await kept(dbs, account) == (1, 1, 0)
    assert await note(dbs.serve, call(account, "k"), 2, "third")


async def test_a_key_replays_and_is_refused_as_in_a_transaction(
    dbs: Databases, account: AccountId, other: AccountId
) -> None:
    await note(dbs.serve, call(account, "k"), 1, "first")
    with pytest.raises(Replay) as replay:
        await note(dbs.serve, call(account, "k"), 2, "second")
    assert pb.GetContactResponse.FromString(replay.value.response).contact.id == "first"
    with pytest.raises(FailedPrecondition, match="idempotency_key_reused"):
        await note(dbs.serve, call(account, "k", b"another"), 2, "second")
    async with dbs.serve.write(call(account, "held")) as tx:
        with pytest.raises(Aborted, match="idempotency_in_progress"):
            await note(dbs.serve, call(account, "held"), 2, "second")
        await tx.reply(pb.GetContactResponse())
    assert await kept(dbs, account) == (1, 1, 2)
    assert await note(dbs.serve, call(other, "k"), 1, "another account's")


async def test_of_many_with_one_key_at_once_one_writes(dbs: Databases, account: AccountId) -> None:
    async def attempt(number: int) -> str:
        try:
            return str(await note(dbs.serve, call(account, "k"), number, str(number)))
        except (Replay, Aborted) as refused:
            return type(refused).__name__

    outcomes = Counter(await asyncio.gather(*(attempt(number) for number in range(30))))
    assert outcomes.pop("True") == 1
    assert outcomes.keys() <= {"Replay", "Aborted"}
    assert await kept(dbs, account) == (1, 1, 1)
