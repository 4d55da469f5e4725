"""The generic HTTP provider against answers that a careful server does not give."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from services.campaigns.domain.sending import Accepted, Answer, Unanswered
from services.campaigns.providers.http import HttpProvider
from services.campaigns.providers.port import Outbound

MESSAGE = Outbound("rcp_1", "+15550000001", "S", "sms", "hi", None, "http://carillon.test")
HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\n\r\n"


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def answer(session: aiohttp.ClientSession, pieces: list[bytes]) -> Answer:
    """To a request that is answered with these pieces, each in a packet of its own, and then a closed connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        return await HttpProvider(session, {"url": url}, {}, timeout=5).send(MESSAGE)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([HEAD + b'{"id": "ab"}'], Accepted("ab")),
        ([HEAD, b'{"id"', b': "ab"}'], Accepted("ab")),
        ([HEAD, b'{"no": "ab"}'], Accepted("")),
        # It broke off: whether there is a name is not known, and asking again with the key tells.
        ([HEAD, b'{"id"'], Unanswered()),
        ([HEAD], Unanswered()),
    ],
)
async def test_the_body_is_read_to_its_end(
    session: aiohttp.ClientSession, pieces: list[bytes], expected: Answer
) -> None:
    assert await answer(session, pieces) == expected
