"""A gRPC server to measure: `python -m … aio|threads [database-url]`. Prints its port.

`Empty` answers at once; `Read` reads one contact in a transaction of its account and answers it.
"""

import asyncio
import queue
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from concurrent import futures
from typing import Any

import asyncpg
import grpc
import psycopg
import uvloop

from carillon.contacts.v1 import contacts_pb2 as pb
from tests.bench.decisions import driver, scratch

THREADS = 8
CONNECTIONS = 8


def contact(row: Any) -> pb.GetContactResponse:
    """The answer made of a row, as a servicer makes it."""
    message = pb.Contact(
        id=str(row["id"]), phone=row["phone"], email=row["email"], first_name=row["first_name"],
        last_name=row["last_name"], country=row["country"], tags=row["tags"], version=row["version"],
    )  # fmt: skip
    message.created_at.FromDatetime(row["created_at"])
    message.updated_at.FromDatetime(row["updated_at"])
    return pb.GetContactResponse(contact=message)


def handlers(empty: Callable[..., Any], read: Callable[..., Any]) -> grpc.GenericRpcHandler:
    def unary(behaviour: Callable[..., Any]) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            behaviour,
            request_deserializer=pb.GetContactRequest.FromString,
            response_serializer=pb.GetContactResponse.SerializeToString,
        )

    return grpc.method_handlers_generic_handler("bench.Subject", {"Empty": unary(empty), "Read": unary(read)})


async def serve_aio(url: str | None) -> None:
    free: asyncio.Queue[asyncpg.Connection[asyncpg.Record]] = asyncio.Queue()
    for _ in range(CONNECTIONS if url else 0):
        free.put_nowait(await asyncpg.connect(url))

    async def empty(request: pb.GetContactRequest, context: Any) -> pb.GetContactResponse:
        return pb.GetContactResponse()

    async def read(request: pb.GetContactRequest, context: Any) -> pb.GetContactResponse:
        connection = await free.get()
        await connection.execute(f"BEGIN READ ONLY; {driver.SET_ACCOUNT}")
        row = await connection.fetchrow(driver.ASYNCPG_SELECT, scratch.ACCOUNT, some_id())
        await connection.execute("COMMIT")
        free.put_nowait(connection)
        return contact(row)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(empty, read),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)  # how the parent learns of it
    await server.wait_for_termination()


def serve_threads(url: str | None) -> None:
    free: queue.Queue[psycopg.Connection[Any]] = queue.Queue()
    for _ in range(CONNECTIONS if url else 0):
        free.put(psycopg.connect(str(url), autocommit=True, prepare_threshold=0, row_factory=psycopg.rows.dict_row))

    def empty(request: pb.GetContactRequest, context: Any) -> pb.GetContactResponse:
        return pb.GetContactResponse()

    def read(request: pb.GetContactRequest, context: Any) -> pb.GetContactResponse:
        connection = free.get()
        connection.execute(f"BEGIN READ ONLY; {driver.SET_ACCOUNT}", prepare=False)
        row = connection.execute(driver.PSYCOPG_SELECT, (scratch.ACCOUNT, some_id()), binary=True).fetchone()
        connection.execute("COMMIT")
        free.put(connection)
        return contact(row)

    server = grpc.server(futures.ThreadPoolExecutor(THREADS))
    server.add_generic_rpc_handlers((handlers(empty, read),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # how the parent learns of it
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    server.stop(0)


def some_id() -> Any:
    return scratch.contact_id(random.randrange(1, scratch.ROWS + 1))


Serve = Callable[[str | None], Awaitable[None]]

if __name__ == "__main__":
    database_url = sys.argv[2] if len(sys.argv) > 2 else None
    if sys.argv[1] == "aio":
        uvloop.run(serve_aio(database_url))
    else:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
        serve_threads(database_url)
