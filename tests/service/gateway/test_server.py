"""The HTTP server by itself: what is under way when it is told to stop is answered, and nothing new is let in."""

import asyncio

import aiohttp
import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.server import HttpServer
from tests.service import stack


async def test_a_request_under_way_is_answered_before_the_server_stops() -> None:
    arrived, stopping = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.set()
        await stopping.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"in time"})

    port = stack.free_port()
    server = HttpServer(app, bind=f"127.0.0.1:{port}", stopping=stopping)
    await server.start()
    async with aiohttp.ClientSession() as session:

        async def ask() -> str:
            async with session.get(f"http://127.0.0.1:{port}/") as answer:
                return await answer.text()

        asked = asyncio.create_task(ask())
        async with asyncio.timeout(15):
            await arrived.wait()
            await server.stop()
            assert await asked == "in time"
            with pytest.raises(aiohttp.ClientConnectorError):
                await ask()


async def test_a_port_that_is_taken_is_not_shared() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("nobody asks")

    bind = f"127.0.0.1:{stack.free_port()}"
    first = HttpServer(app, bind=bind, stopping=asyncio.Event())
    await first.start()
    with pytest.raises(OSError, match="in use"):
        await HttpServer(app, bind=bind, stopping=asyncio.Event()).start()
    await first.stop()


async def test_who_leaves_closes_each_connection_behind_its_next_answer() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})

    port = stack.free_port()
    server = HttpServer(app, bind=f"127.0.0.1:{port}", stopping=asyncio.Event())
    await server.start()
    try:
        async with asyncio.timeout(15):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert b"connection: close" not in await ask_over(reader, writer)
            server.leave()
            assert b"connection: close" in await ask_over(reader, writer)
            assert await reader.read() == b""
            writer.close()
            # Whoever has not heard of it yet is served.
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await ask_over(reader, writer)).startswith(b"HTTP/1.1 200")
            writer.close()
    finally:
        await server.stop()


async def ask_over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The head of the answer; the body is read."""
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(len(b"served")) == b"served"
    return head
