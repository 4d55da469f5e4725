"""Connections for load: a tenth of what a client for people costs, so that the machine is the service's."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self, cast

import orjson

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """HTTP/1.1, kept alive, one call at a time. Takes only answers that say how long they are."""

    def __init__(self, host: str, headers: str) -> None:
        self._head = f"Host: {host}\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n{headers}"
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._received = b""
        # Of the answer, head and body; 0 until the head is there.
        self._size = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str, *, headers: str = "") -> AsyncIterator[Self]:
        """url: http://HOST:PORT. headers: of every call, each with its line's end."""
        host = url.removeprefix("http://")
        name, _, port = host.partition(":")
        transport, connection = await asyncio.get_running_loop().create_connection(
            lambda: cls(host, headers), name, int(port)
        )
        try:
            yield connection
        finally:
            transport.close()

    async def call(self, method: str, path: str, body: Any = None, *, headers: str = "") -> bytes:
        """The answer's body, as it came. body: sent as JSON. Raises RuntimeError for a refusal."""
        assert self._transport is not None
        sent = b"" if body is None else orjson.dumps(body)
        typed = f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n" if sent else ""
        self._received, self._size = b"", 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(f"{method} {path} HTTP/1.1\r\n{self._head}{headers}{typed}\r\n".encode() + sent)
        received = await self._answer
        if received[9:10] != b"2":
            raise RuntimeError(f"{method} {path} was answered {received!r}")
        return received.partition(HEAD_END)[2]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one without being of the class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._size and HEAD_END in self._received:
            length = LENGTH.search(self._received)
            if length is None:
                self._end(RuntimeError(f"no length: {self._received!r}"))
                return
            self._size = self._received.index(HEAD_END) + len(HEAD_END) + int(length[1])
        if self._size and len(self._received) >= self._size:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("the server closed the connection"))

    def _end(self, error: Exception | None) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        if error is None:
            answer.set_result(self._received)
        else:
            answer.set_exception(error)


@asynccontextmanager
async def connections(url: str, number: int, *, headers: str = "") -> AsyncIterator[list[Connection]]:
    """So many, for clients with a number each."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Connection.to(url, headers=headers)) for _ in range(number)]
