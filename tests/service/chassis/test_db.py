import asyncio
import gc
import io
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import psycopg
import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import copytext
from chassis.call import Call, Idempotency
from chassis.db import Database
from chassis.errors import Aborted, FailedPrecondition, Unavailable
from chassis.idempotency import Replay
from chassis.ids import AccountId
from chassis.outbox import Event
from tests.service.chassis.conftest import Databases
from tests.service.stack import measured

INSERT = "INSERT INTO notes VALUES ($1, $2, $3)"


async def test_an_account_sees_its_own_rows_only(dbs: Databases, account: AccountId, other: AccountId) -> None:
    async with dbs.serve.write(account) as tx:
        await tx.execute(INSERT, account, 1, "mine")
    async with dbs.serve.read(other) as tx:
        assert await tx.fetch("SELECT * FROM notes") == []
    async with dbs.serve.read(account) as tx:
        assert await tx.fetchval("SELECT text FROM notes") == "mine"


async def test_a_query_without_an_account_sees_nothing_as_serve(dbs: Databases, account: AccountId) -> None:
    async with dbs.serve.write(account) as tx:
        await tx.execute(INSERT, account, 2, "mine")
    async with dbs.serve.across() as tx:
        assert await tx.fetch("SELECT * FROM notes") == []
    async with dbs.work.across() as tx:
        assert await tx.fetchval("SELECT text FROM notes WHERE account_id = $1", account) == "mine"


async def test_an_account_cannot_write_anothers_row(dbs: Databases, account: AccountId, other: AccountId) -> None:
    with pytest.raises(Exception, match="row-level security"):
        async with dbs.serve.write(account) as tx:
            await tx.execute(INSERT, other, 1, "theirs")


async def test_the_account_ends_with_the_transaction(dbs: Databases, account: AccountId) -> None:
    one = await Database.open(dbs.urls.serve, pool_size=1)
    async with one.write(account) as tx:
        await tx.execute(INSERT, account, 3, "mine")
    async with one.across() as tx:
        assert await tx.fetch("SELECT * FROM notes") == []
    await one.stop()


async def test_a_failed_block_leaves_nothing_and_a_usable_connection(dbs: Databases, account: AccountId) -> None:
    one = await Database.open(dbs.urls.serve, pool_size=1)
    with pytest.raises(ZeroDivisionError):
        async with one.write(account) as tx:
            await tx.execute(INSERT, account, 4, "gone")
            raise ZeroDivisionError
    async with one.read(account) as tx:
        assert await tx.fetch("SELECT * FROM notes") == []
    await one.stop()


async def test_a_statement_by_itself_takes_no_events(dbs: Databases, account: AccountId) -> None:
    told: list[str] = []
    async with dbs.work.statement() as tx:
        done = await tx.execute(INSERT, account, 6, "mine")
        tx.after_commit.append(lambda: told.append(done))
        with pytest.raises(RuntimeError, match="events take a transaction"):
            tx.add_events([Event("note.created", account, b"")])
        assert told == []
    assert told == ["INSERT 0 1"]


async def test_a_cancelled_statement_rolls_back(dbs: Databases, account: AccountId) -> None:
    one = await Database.open(dbs.urls.serve, pool_size=1)

    async def work() -> None:
        async with one.write(account) as tx:
            await tx.execute(INSERT, account, 5, "gone")
            await tx.fetch("SELECT pg_sleep(60)")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await work()
    async with one.read(account) as tx:
        assert await tx.fetch("SELECT * FROM notes") == []
    await one.stop()


async def test_no_server_is_unavailable() -> None:
    nowhere = await Database.open("postgresql://x:y@127.0.0.1:1/none")
    with pytest.raises(Unavailable):
        await nowhere.ping()
    await nowhere.stop()


async def test_a_connection_whose_server_just_ended_is_unavailable_at_any_moment_of_its_end(dbs: Databases) -> None:
    """It goes in steps, the server's last words and the end of the stream, with turns of the loop between them."""
    with psycopg.connect(dbs.urls.serve) as other:
        for turns in range(8):
            one = await Database.open(dbs.urls.serve, pool_size=1)
            async with one.across() as tx:
                backend = await tx.fetchval("SELECT pg_backend_pid()")
            # Blocks, so that both have arrived when the loop turns again.
            assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend]).fetchone() == (True,)
            for _ in range(turns):
                await asyncio.sleep(0)
            # Where its end has been seen already, a new connection is made.
            with suppress(Unavailable):
                await one.ping()
            await one.ping()
            await one.stop()


def call(account: AccountId, key: str, request: bytes = b"request") -> Call:
    return Call(account, "gateway", frozenset(), "req", Idempotency(key, "/Method", request))


async def remember(db: Database, who: Call, name: str) -> None:
    async with db.write(who) as tx:
        await tx.reply(pb.GetContactResponse(contact=pb.Contact(id=name)))


async def test_the_same_key_and_request_replay_the_answer(dbs: Databases, account: AccountId) -> None:
    await remember(dbs.serve, call(account, "k"), "first")
    with pytest.raises(Replay) as replay:
        await remember(dbs.serve, call(account, "k"), "second")
    assert pb.GetContactResponse.FromString(replay.value.response).contact.id == "first"


async def test_the_same_key_with_another_request_is_refused(dbs: Databases, account: AccountId) -> None:
    await remember(dbs.serve, call(account, "k"), "first")
    with pytest.raises(FailedPrecondition, match="idempotency_key_reused"):
        await remember(dbs.serve, call(account, "k", b"another"), "second")


async def test_a_key_belongs_to_its_account(dbs: Databases, account: AccountId, other: AccountId) -> None:
    await remember(dbs.serve, call(account, "k"), "first")
    await remember(dbs.serve, call(other, "k"), "second")


async def test_a_second_request_while_the_first_runs_is_refused(dbs: Databases, account: AccountId) -> None:
    async with dbs.serve.write(call(account, "k")) as tx:
        with pytest.raises(Aborted, match="idempotency_in_progress"):
            await remember(dbs.serve, call(account, "k"), "second")
        await tx.reply(pb.GetContactResponse())


async def test_a_write_that_fails_leaves_its_key_free(dbs: Databases, account: AccountId) -> None:
    with pytest.raises(ZeroDivisionError):
        async with dbs.serve.write(call(account, "k")):
            raise ZeroDivisionError
    await remember(dbs.serve, call(account, "k"), "again")


async def test_a_write_that_forgets_to_reply_does_not_commit(dbs: Databases, account: AccountId) -> None:
    with pytest.raises(RuntimeError, match="reply"):
        async with dbs.serve.write(call(account, "k")) as tx:
            await tx.execute(INSERT, account, 9, "forgotten")
    async with dbs.serve.read(account) as tx:
        assert await tx.fetch("SELECT * FROM notes") == []


async def test_copy_takes_any_text(dbs: Databases) -> None:
    texts = ["plain", "", "tab\there", "line\nand\rreturn", "back\\slash", "\\N", "\\.", "Käthe 李", 'q"uo,te{}', None]
    arrays = [[text] for text in texts if text is not None]
    async with dbs.work.across() as tx:
        await tx.execute("CREATE TEMPORARY TABLE copied (at INT, text TEXT) ON COMMIT DROP")
        rows = copytext.rows([[str(at) for at in range(len(texts))], texts])
        await tx.copy("copied", columns=("at", "text"), pieces=[rows[:7], rows[7:]])
        assert [row["text"] for row in await tx.fetch("SELECT text FROM copied ORDER BY at")] == texts
        for array in arrays:
            assert await tx.fetchval("SELECT $1::text::text[]", copytext.array(array)) == array


async def test_copy_takes_rows_as_they_are_made(dbs: Databases) -> None:
    async def made() -> AsyncIterator[bytes]:
        for at in range(3):
            yield copytext.rows([[str(at)]])

    async with dbs.work.across() as tx:
        await tx.execute("CREATE TEMPORARY TABLE copied (at INT) ON COMMIT DROP")
        await tx.copy("copied", columns=("at",), pieces=made())
        assert [row["at"] for row in await tx.fetch("SELECT at FROM copied ORDER BY at")] == [0, 1, 2]


async def test_copy_leaves_no_rows_behind_for_the_collector(dbs: Databases) -> None:
    """The importer seldom lets it run: its memory grew by each chunk until then."""
    rows = copytext.rows([["left behind"]])
    gc.collect()
    gc.disable()
    try:
        async with dbs.work.across() as tx:
            await tx.execute("CREATE TEMPORARY TABLE copied (text TEXT) ON COMMIT DROP")
            await tx.copy("copied", columns=("text",), pieces=[rows])
        held = [one for one in gc.get_objects() if isinstance(one, io.BytesIO) and one.getvalue() == rows]
        assert held == []
    finally:
        gc.enable()


async def test_what_follows_a_commit_follows_no_rollback(dbs: Databases, account: AccountId) -> None:
    done: list[str] = []
    async with dbs.serve.write(account) as tx:
        tx.after_commit.append(lambda: done.append("committed"))
        assert done == []
    with pytest.raises(ZeroDivisionError):
        async with dbs.serve.write(account) as tx:
            tx.after_commit.append(lambda: done.append("rolled back"))
            raise ZeroDivisionError
    assert done == ["committed"]


async def test_what_the_database_puts_an_end_to_is_counted_by_why(
    dbs: Databases, account: AccountId, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    kinds = ("conflict", "timeout", "unreachable", "other", "deadlock")

    def counted() -> dict[str, float]:
        return {kind: measured("carillon_db_errors_total", kind=kind) for kind in kinds}

    before = counted()
    for statement, error in (
        ("INSERT INTO notes VALUES ($1, 77, 'a'), ($1, 77, 'b')", asyncpg.UniqueViolationError),
        ("SELECT pg_cancel_backend(pg_backend_pid()), $1::uuid, pg_sleep(30)", asyncpg.QueryCanceledError),
        ("SELECT $1::uuid, 1 / 0", asyncpg.DivisionByZeroError),
    ):
        with pytest.raises(error):
            async with dbs.serve.write(account) as tx:
                await tx.fetch(statement, account)
    with pytest.raises(Unavailable):
        async with dbs.serve.write(account) as tx:
            await admin.execute("SELECT pg_terminate_backend($1)", await tx.fetchval("SELECT pg_backend_pid()"))
            await tx.fetchval("SELECT 1")
    grown = {kind: now - before[kind] for kind, now in counted().items()}
    assert grown == {"conflict": 1, "timeout": 1, "unreachable": 1, "other": 1, "deadlock": 0}


async def test_who_waits_for_a_connection_is_measured(dbs: Databases, account: AccountId) -> None:
    """Of the pool that was opened last: the work role's, of six connections."""
    waited, limit = measured("carillon_db_pool_wait_seconds_count"), measured("carillon_db_pool_limit")
    async with dbs.work.across(), dbs.work.across():
        assert measured("carillon_db_pool_connections", state="busy") == 2
    assert measured("carillon_db_pool_connections", state="busy") == 0
    assert measured("carillon_db_pool_connections", state="idle") == 2
    assert (measured("carillon_db_pool_wait_seconds_count") - waited, limit) == (2, 6)
