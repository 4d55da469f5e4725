"""asyncpg or psycopg 3: our hot statements over the same server, in interleaved rounds.

Both get the same number of plain connections from the same queue, since pools differ in more than the driver.
psycopg runs once as its documentation has it and once in pipeline mode, its answer to round trips.
"""

import asyncio
import gc
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg
import psycopg

from tests.bench.decisions import scratch
from tests.bench.measure import closed_loop, median
from tests.bench.record import Outcome

CONNECTIONS = 10
CLIENTS = 32
SECONDS = 2.0
ROUNDS = 5
COPY_ROWS = 100_000

COLUMNS = ("account_id", "id", "phone", "email", "first_name", "last_name", "country", "tags", "version")
EVENT = b"x" * 400
ASYNCPG_INSERT = (
    "INSERT INTO contact (account_id, id, phone, email, first_name, last_name, country, tags, version) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)
ASYNCPG_OUTBOX = "INSERT INTO outbox (account_id, id, type, data) VALUES ($1, $2, $3, $4)"
ASYNCPG_SELECT = "SELECT * FROM contact WHERE account_id = $1 AND id = $2"
PSYCOPG_INSERT = (
    "INSERT INTO contact (account_id, id, phone, email, first_name, last_name, country, tags, version) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
PSYCOPG_OUTBOX = "INSERT INTO outbox (account_id, id, type, data) VALUES (%s, %s, %s, %s)"
PSYCOPG_SELECT = "SELECT * FROM contact WHERE account_id = %s AND id = %s"
SET_ACCOUNT = f"SELECT set_config('carillon.account', '{scratch.ACCOUNT}', true)"


def new_row() -> tuple[object, ...]:
    key = uuid.uuid4()
    phone = f"+1{key.int % 10**12:012d}"
    tags = ["premium", "active"]
    return (scratch.ACCOUNT, key, phone, f"{phone}@example.com", "Käthe", "Müller", "DE", tags, 1)


class Driver(Protocol):
    async def write(self) -> None: ...
    async def read(self) -> None: ...
    async def copy(self, rows: list[tuple[object, ...]]) -> None: ...


@dataclass(slots=True)
class Asyncpg:
    free: "asyncio.Queue[asyncpg.Connection[asyncpg.Record]]"

    async def write(self) -> None:
        row = new_row()
        connection = await self.free.get()
        await connection.execute(f"BEGIN; {SET_ACCOUNT}")
        await connection.execute(ASYNCPG_INSERT, *row)
        await connection.execute(ASYNCPG_OUTBOX, scratch.ACCOUNT, uuid.uuid4(), "contact.created", EVENT)
        await connection.execute("COMMIT")
        self.free.put_nowait(connection)

    async def read(self) -> None:
        connection = await self.free.get()
        await connection.execute(f"BEGIN READ ONLY; {SET_ACCOUNT}")
        await connection.fetchrow(ASYNCPG_SELECT, scratch.ACCOUNT, some_id())
        await connection.execute("COMMIT")
        self.free.put_nowait(connection)

    async def copy(self, rows: list[tuple[object, ...]]) -> None:
        connection = await self.free.get()
        await connection.copy_records_to_table("plain", records=rows, columns=COLUMNS)
        self.free.put_nowait(connection)


@dataclass(slots=True)
class Psycopg:
    free: "asyncio.Queue[psycopg.AsyncConnection[Any]]"
    pipelined: bool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["psycopg.AsyncConnection[Any]"]:
        connection = await self.free.get()
        if self.pipelined:
            async with connection.pipeline():
                yield connection
        else:
            yield connection
        self.free.put_nowait(connection)

    async def write(self) -> None:
        row = new_row()
        async with self.connection() as connection:
            await connection.execute("BEGIN")
            await connection.execute(SET_ACCOUNT)
            await connection.execute(PSYCOPG_INSERT, row)
            await connection.execute(PSYCOPG_OUTBOX, (scratch.ACCOUNT, uuid.uuid4(), "contact.created", EVENT))
            await connection.execute("COMMIT")

    async def read(self) -> None:
        async with self.connection() as connection:
            await connection.execute("BEGIN READ ONLY")
            await connection.execute(SET_ACCOUNT)
            found = await connection.execute(PSYCOPG_SELECT, (scratch.ACCOUNT, some_id()), binary=True)
            await found.fetchone()
            await connection.execute("COMMIT")

    async def copy(self, rows: list[tuple[object, ...]]) -> None:
        connection = await self.free.get()
        statement = f"COPY plain ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(["uuid", "uuid", "text", "text", "text", "text", "text", "text[]", "int8"])
            for row in rows:
                await copy.write_row(row)
        self.free.put_nowait(connection)


def some_id() -> uuid.UUID:
    return scratch.contact_id(random.randrange(1, scratch.ROWS + 1))


async def connect_asyncpg(url: str) -> tuple[Driver, Callable[[], Coroutine[Any, Any, None]]]:
    free: asyncio.Queue[asyncpg.Connection[asyncpg.Record]] = asyncio.Queue()
    connections = [await asyncpg.connect(url) for _ in range(CONNECTIONS)]
    for connection in connections:
        free.put_nowait(connection)

    async def close() -> None:
        for connection in connections:
            await connection.close()

    return Asyncpg(free), close


async def connect_psycopg(url: str, *, pipelined: bool) -> tuple[Driver, Callable[[], Coroutine[Any, Any, None]]]:
    free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    # prepare_threshold 0: every statement is prepared at its first use, as asyncpg does it.
    connections = [
        await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0) for _ in range(CONNECTIONS)
    ]
    for connection in connections:
        free.put_nowait(connection)

    async def close() -> None:
        for connection in connections:
            await connection.close()

    return Psycopg(free, pipelined), close


async def measure(url: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """By driver: writes and reads a second, rows a second by COPY, one figure a round."""
    drivers = {
        "asyncpg": await connect_asyncpg(url),
        "psycopg": await connect_psycopg(url, pipelined=False),
        "psycopg, pipelined": await connect_psycopg(url, pipelined=True),
    }
    found: dict[str, dict[str, list[float]]] = {name: {"write": [], "read": [], "copy": []} for name in drivers}
    rows = [new_row() for _ in range(COPY_ROWS)]
    for round_number in range(-1, rounds):  # The first, which prepares statements and warms caches, does not count.
        for name, (driver, _) in drivers.items():
            figures = await one_round(driver, rows, seconds=SECONDS if round_number >= 0 else 0.3)
            if round_number >= 0:
                for kind, value in figures.items():
                    found[name][kind].append(value)
    for _, close in drivers.values():
        await close()
    return found


async def one_round(driver: Driver, rows: list[tuple[object, ...]], *, seconds: float) -> dict[str, float]:
    gc.collect()
    writes = await closed_loop(lambda _: driver.write(), clients=CLIENTS, seconds=seconds)
    reads = await closed_loop(lambda _: driver.read(), clients=CLIENTS, seconds=seconds)
    started = time.perf_counter()
    await driver.copy(rows)
    copied = len(rows) / (time.perf_counter() - started)
    return {"write": writes.per_second, "read": reads.per_second, "copy": copied}


def run(rounds: int = ROUNDS) -> Outcome:
    import uvloop

    with scratch.database() as url:
        found = uvloop.run(measure(url, rounds))
    medians = {name: {kind: median(values) for kind, values in kinds.items()} for name, kinds in found.items()}
    reference = medians["asyncpg"]
    rows = [
        [name, *(f"{kinds[kind]:,.0f} ({kinds[kind] / reference[kind]:.2f})" for kind in ("write", "read", "copy"))]
        for name, kinds in medians.items()
    ]
    return Outcome(
        "decision_driver",
        "Driver: per second (ratio to asyncpg), medians of interleaved rounds",
        ["driver", "create + outbox, tx", "read one row, tx", "COPY rows"],
        rows,
        {"medians_per_second": medians, "rounds_per_second": found},
        {
            "connections": CONNECTIONS,
            "clients": CLIENTS,
            "seconds": SECONDS,
            "rounds": rounds,
            "copy_rows": COPY_ROWS,
            "psycopg_implementation": psycopg.pq.__impl__,
        },
    )
