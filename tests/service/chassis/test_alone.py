"""Reads and writes of one statement, against what transactions of several do."""

import asyncio
import collections

import asyncpg
import orjson
import pytest
from prometheus_client import Counter, Histogram

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import alone, ids
from chassis.call import Call, Idempotency
from chassis.db import Database
from chassis.errors import Aborted, FailedPrecondition
from chassis.group_commit import Metrics
from chassis.idempotency import Replay
from chassis.ids import AccountId
from chassis.insertions import Insertions
from chassis.outbox import Event
from tests.service.chassis.conftest import Databases

NOTE = "SELECT id, text FROM notes WHERE account_id = $1 AND id = $2"
ROWS = alone.inserting(
    """
noted AS (
    INSERT INTO notes (account_id, id, text) SELECT free.account, made.id, made.text
    FROM free CROSS JOIN LATERAL json_populate_record(NULL::notes, free.body::json) AS made
    ON CONFLICT DO NOTHING RETURNING account_id, text
), added AS (
    SELECT noted.account_id, free.id FROM noted JOIN free ON free.body::json ->> 'text' = noted.text
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


def insertions(db: Database) -> Insertions:
    metrics = Metrics(
        Counter("groups", "", registry=None), Histogram("sizes", "", registry=None), Counter("no", "", registry=None)
    )
    return Insertions(db, ROWS, metrics)


async def note(to: Database | Insertions, who: Call, number: int, text: str | None) -> bool:
    event = Event("contact.created", who.account, str(text).encode())
    answer = pb.GetContactResponse(contact=pb.Contact(id=str(text)))
    body = orjson.dumps({"id": number, "text": text})
    to = insertions(to) if isinstance(to, Database) else to
    return await to.insert(who, ids.new(), body, event=event, response=answer)


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
    assert await note(dbs.serve, call(account, None), 2, "mine too")
    assert {row["text"] for row in await dbs.serve.rows(account, everybody_s)} == {"mine", "mine too"}
    assert await dbs.serve.rows(other, everybody_s) == []


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

    outcomes = collections.Counter(await asyncio.gather(*(attempt(number) for number in range(30))))
    assert outcomes.pop("True") == 1
    assert outcomes.keys() <= {"Replay", "Aborted"}
    assert await kept(dbs, account) == (1, 1, 1)


async def statements(dbs: Databases, account: AccountId) -> int:
    """Transactions that wrote the account's notes."""
    async with dbs.work.across() as tx:
        found: int = await tx.fetchval("SELECT count(DISTINCT xmin::text) FROM notes WHERE account_id = $1", account)
    return found


async def test_what_comes_at_once_is_written_together(dbs: Databases, account: AccountId, other: AccountId) -> None:
    shared = insertions(dbs.serve)
    owners = [account, account, account, other]
    written = [note(shared, call(one, f"k{at}"), at, str(at)) for at, one in enumerate(owners)]
    assert await asyncio.gather(*written) == [True] * 4
    assert (await kept(dbs, account), await statements(dbs, account)) == ((3, 3, 3), 1)
    assert await kept(dbs, other) == (1, 1, 1)
    with pytest.raises(Replay) as replay:
        await note(shared, call(account, "k1"), 9, "again")
    assert pb.GetContactResponse.FromString(replay.value.response).contact.id == "1"


async def test_of_those_written_together_each_has_an_answer_of_its_own(dbs: Databases, account: AccountId) -> None:
    shared = insertions(dbs.serve)
    await note(shared, call(account, "before"), 1, "there")
    found = await asyncio.gather(
        note(shared, call(account, "before"), 2, "replayed"),
        note(shared, call(account, "a"), 1, "taken"),
        note(shared, call(account, "b"), 3, "new"),
        note(shared, call(account, "b"), 4, "the same key"),
        note(shared, call(account, None), 5, "without a key"),
        note(shared, call(account, "c"), 5, "taken by its neighbour"),
        return_exceptions=True,
    )
    assert [one if isinstance(one, bool) else type(one) for one in found] == [
        Replay, False, True, Replay, True, False,
    ]  # fmt: skip
    assert await kept(dbs, account) == (3, 3, 2)


async def test_one_that_fails_leaves_the_others_as_they_are(dbs: Databases, account: AccountId) -> None:
    shared = insertions(dbs.serve)
    texts = ["first", None, "third"]
    written = [note(shared, call(account, f"k{at}"), at, text) for at, text in enumerate(texts)]
    first, second, third = await asyncio.gather(*written, return_exceptions=True)
    assert (first, third, type(second)) == (True, True, asyncpg.NotNullViolationError)
    assert await kept(dbs, account) == (2, 2, 2)


async def test_one_that_waits_for_a_lock_holds_nobody_up(dbs: Databases, account: AccountId) -> None:
    shared = insertions(dbs.serve)
    async with dbs.serve.write(account) as tx:
        await tx.execute("INSERT INTO notes VALUES ($1, 2, 'held')", account)
        waits = asyncio.create_task(note(shared, call(account, "b"), 2, "waits"))
        beside = asyncio.create_task(note(shared, call(account, "a"), 1, "beside"))
        async with asyncio.timeout(10):
            assert await beside
            assert await note(shared, call(account, "c"), 3, "behind")
        assert not waits.done()
    assert not await waits
    assert await kept(dbs, account) == (3, 2, 2)
