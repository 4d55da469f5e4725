"""A service's database: one asyncpg pool, transactions that carry the account, nothing hidden.

`read` and `write` set `carillon.account` for their transaction, which row-level security compares with each
row's account_id: a query that forgets the account sees nothing under the `serve` role. `across` sets none; only
the `work` role sees rows then, and its queries name the account themselves.
"""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import asyncpg
import orjson
from google.protobuf.message import Message
from prometheus_client import Counter, Gauge, Histogram

from chassis import alone, database_url, idempotency, outbox
from chassis.call import Call
from chassis.errors import Reason, Unavailable
from chassis.ids import AccountId
from chassis.measuring import BUCKETS, from_zero

POOL_WAIT = Histogram(
    "carillon_db_pool_wait_seconds",
    "Waiting for a connection of the pool, and for a new one to connect",
    buckets=[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
)
POOL = Gauge("carillon_db_pool_connections", "Open connections of the pool", ["state"])
POOL_LIMIT = Gauge("carillon_db_pool_limit", "Most connections of the pool")
SECONDS = Histogram(
    "carillon_db_transaction_seconds", "A transaction, from its beginning to its end", ["kind"], buckets=BUCKETS
)
ERRORS = from_zero(
    Counter("carillon_db_errors_total", "Transactions that the database, or the way to it, put an end to", ["kind"]),
    *("unreachable", "deadlock", "conflict", "timeout", "other"),
)

M = TypeVar("M", bound=Message)

UNREACHABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    # The server's last words have been read, and the end of the connection not yet.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
# Of ERRORS, by what was raised; UNREACHABLE is `unreachable`, the rest `other`.
KINDS: dict[type[Exception], str] = {
    asyncpg.DeadlockDetectedError: "deadlock",
    asyncpg.SerializationError: "conflict",
    asyncpg.IntegrityConstraintViolationError: "conflict",
    asyncpg.LockNotAvailableError: "timeout",
    asyncpg.QueryCanceledError: "timeout",
}
READ, WRITE, ACROSS = (SECONDS.labels(kind) for kind in ("read", "write", "across"))

PLAN_EACH = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"


class ReadTx:
    """A transaction that only reads. Queries are SQL with `$1` parameters."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        return await self.connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        return await self.connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        return await self.connection.fetchval(sql, *args)

    async def plan_each(self) -> None:
        """Plan each statement of the rest of the transaction for its values, and for the tables as they are by now."""
        await self.fetchval(PLAN_EACH)

    async def planned_rows(self, sql: str, *args: object) -> int:
        """How many rows the planner expects of a query, which costs no more than planning it."""
        (plan,) = orjson.loads(await self.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *args))
        return int(plan["Plan"]["Plan Rows"])


class WriteTx(ReadTx):
    """A transaction that writes, with the events that tell of it."""

    def __init__(
        self, connection: "asyncpg.Connection[asyncpg.Record]", account: AccountId | None, call: Call | None
    ) -> None:
        super().__init__(connection)
        self._account = account
        self._call = call
        self.events: list[outbox.Event] = []
        self.replied = False
        # Called once it is committed, and never where it is not: for what is counted.
        self.after_commit: list[Callable[[], None]] = []

    @property
    def account(self) -> AccountId:
        if self._account is None:
            raise RuntimeError("a transaction across accounts has none of its own")
        return self._account

    async def execute(self, sql: str, *args: object) -> str:
        """Returns the command tag, `UPDATE 3`."""
        return await self.connection.execute(sql, *args)

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        await self.connection.executemany(sql, rows)

    async def copy(self, table: str, *, columns: Sequence[str], pieces: Iterable[bytes] | AsyncIterable[bytes]) -> None:
        """COPY rows of chassis.copytext in. Not into a table under row-level security (Postgres refuses)."""
        # asyncpg reads a file in a thread, and leaves it behind in a circle of references; a generator it does not.
        source = pieces if isinstance(pieces, AsyncIterable) else one_by_one(pieces)
        await self.connection.copy_to_table(table, source=source, columns=columns)

    def add_event(self, event_type: str, message: Message, *, bulk: bool = False) -> None:
        """Tell the world of this transaction, when it commits, in the account it belongs to."""
        self.add_events([outbox.Event(event_type, self.account, message.SerializeToString(), bulk=bulk)])

    def add_events(self, events: Iterable[outbox.Event]) -> None:
        self.events.extend(events)

    async def reply(self, response: M, *, stored: M | None = None) -> M:
        """Record the answer under the call's Idempotency-Key, in this transaction; returns it.

        stored: what a replay answers instead, where the response carries a secret.
        """
        self.replied = True
        if self._call is not None and self._call.idempotency is not None:
            await idempotency.keep(self.connection, self._call, response if stored is None else stored)
        return response

    async def finish(self) -> None:
        """What is left to write before the commit."""
        if self.events:
            await outbox.insert(self.connection, self.events)
        if self._call is not None and self._call.idempotency is not None and not self.replied:
            raise RuntimeError("a call with an Idempotency-Key must end in tx.reply(response)")


class Statement(WriteTx):
    """A single statement. Events would be written by another one."""

    def add_events(self, events: Iterable[outbox.Event]) -> None:
        raise RuntimeError("a statement by itself tells of nothing: events take a transaction")


class Database:
    """A pool of one role's connections."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        # Called after a commit that wrote events; the composition root makes it wake the relay.
        self.on_events: Callable[[], None] = lambda: None

    @classmethod
    async def open(
        cls, url: str, *, pool_size: int = 10, name: str = "carillon", idle_seconds: float | None = None
    ) -> Self:
        """Connects lazily: a process may start before its database. Raises ValueError: see database_url.

        idle_seconds: a transaction in which nothing is asked for so long is given up by the server, with its locks:
        its process was stopped, or cannot be reached. None: never.
        """
        target = database_url.read(url)
        settings = {"application_name": name, "jit": "off", "timezone": "UTC"}
        if idle_seconds is not None:
            settings["idle_in_transaction_session_timeout"] = str(int(idle_seconds * 1000))
        pool = asyncpg.create_pool(
            target.url,
            min_size=0,
            max_size=pool_size,
            timeout=target.timeout,
            # No query on release: every transaction here ends in COMMIT, ROLLBACK or a closed connection.
            reset=no_reset,
            server_settings=settings,
        )
        # The last pool that was opened; a process has one.
        POOL.labels("idle").set_function(pool.get_idle_size)
        POOL.labels("busy").set_function(lambda: pool.get_size() - pool.get_idle_size())
        POOL_LIMIT.set(pool_size)
        return cls(await pool)

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, *, pool_size: int = 1, name: str) -> AsyncIterator[Self]:
        """As `open`, for as long as the block lasts: for commands."""
        db = await cls.open(url, pool_size=pool_size, name=name)
        try:
            yield db
        finally:
            await db.stop()

    async def start(self) -> None:
        """Nothing to do: connections open when they are needed."""

    async def stop(self) -> None:
        await self._pool.close()

    async def ping(self) -> None:
        """Raises Unavailable."""
        async with self._connection() as connection:
            await connection.execute("SELECT 1")

    @asynccontextmanager
    async def read(self, account: AccountId, *, snapshot: bool = False) -> AsyncIterator[ReadTx]:
        """snapshot: every query sees the database as it was at the first."""
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if snapshot else "BEGIN READ ONLY"
        async with self._transaction(begin, account, READ) as connection:
            yield ReadTx(connection)

    @asynccontextmanager
    async def write(self, who: AccountId | Call, *, repeatable: bool = False) -> AsyncIterator[WriteTx]:
        """With a Call that carries an Idempotency-Key, a key used before raises idempotency.Replay or refuses.

        repeatable: what is written is found again and redone where it is missing, so the commit does not wait for the
        disk. A crash of the server may take back the latest of such transactions; none is kept that follows one lost.
        """
        begin = "BEGIN; SET LOCAL synchronous_commit = off" if repeatable else "BEGIN"
        call = who if isinstance(who, Call) else None
        account = who.account if isinstance(who, Call) else who
        async with self._transaction(begin, account, WRITE) as connection:
            if call is not None and call.idempotency is not None:
                await idempotency.begin(connection, call)
            tx = WriteTx(connection, account, call)
            yield tx
            await tx.finish()
        self._committed(tx)

    async def one(self, account: AccountId, query: str, *args: object) -> asyncpg.Record | None:
        """The first row of one query, whose $1 is the account: `read` in one round trip instead of three."""
        async with self._connection() as connection:
            with READ.time():
                return await connection.fetchrow(alone.reading(query), account, *args)

    async def rows(self, account: AccountId, query: str, *args: object) -> list[asyncpg.Record]:
        """As `one`, all of them, in no order."""
        async with self._connection() as connection:
            with READ.time():
                return await connection.fetch(alone.reading(query), account, *args)

    async def insert(self, rows: str, account: AccountId, *args: object) -> list[asyncpg.Record]:
        """A statement of alone.inserting, by itself a transaction. See chassis.insertions."""
        async with self._connection() as connection:
            with WRITE.time():
                found = await connection.fetch(rows, account, *args)
        if any(row["added"] for row in found):
            self.on_events()
        return found

    @asynccontextmanager
    async def across(self) -> AsyncIterator[WriteTx]:
        """A transaction of no account, for the work role."""
        async with self._transaction("BEGIN", None, ACROSS) as connection:
            tx = WriteTx(connection, None, None)
            yield tx
            await tx.finish()
        self._committed(tx)

    def _committed(self, tx: WriteTx) -> None:
        if tx.events:
            self.on_events()
        for function in tx.after_commit:
            function()

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[WriteTx]:
        """As `across`, for a single statement, which is a transaction by itself and saves its beginning and its end.

        It has no events: adding one raises RuntimeError.
        """
        async with self._connection() as connection:
            tx = Statement(connection, None, None)
            yield tx
        self._committed(tx)

    @asynccontextmanager
    async def _transaction(
        self, begin: str, account: AccountId | None, seconds: Histogram
    ) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        # BEGIN and set_config in one round trip: the simple protocol takes several statements, and the account
        # is a UUID, so that nothing can be smuggled in.
        if account is not None:
            begin += f"; SELECT set_config('carillon.account', '{account}', true)"
        async with self._connection() as connection:
            started = time.perf_counter()
            try:
                await connection.execute(begin)
                yield connection
                await connection.execute("COMMIT")
            finally:
                seconds.observe(time.perf_counter() - started)
                if not connection.is_closed() and connection.is_in_transaction():
                    await roll_back(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        started = time.perf_counter()
        try:
            async with self._pool.acquire() as connection:
                POOL_WAIT.observe(time.perf_counter() - started)
                yield connection  # type: ignore[misc]  # the pool's proxy has the connection's methods
        except UNREACHABLE as error:
            ERRORS.labels("unreachable").inc()
            raise Unavailable(Reason.UNAVAILABLE, "The database cannot be reached.") from error
        except asyncpg.PostgresError as error:
            ERRORS.labels(next((kind for sort, kind in KINDS.items() if isinstance(error, sort)), "other")).inc()
            raise


async def one_by_one(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def roll_back(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    try:
        await connection.execute("ROLLBACK")
    except BaseException:
        # Cancelled again, or broken: the server rolls back when the connection is gone.
        connection.terminate()
        raise


async def no_reset(connection: object) -> None:
    """See Database.open."""
