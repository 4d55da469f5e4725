"""A small HTTP/1.1 server: keep-alive, bodies with a length or in chunks, nothing else.

Our own because the simulator shares the machine with what it measures: a message costs a third of what it costs
through aiohttp's server. (The receipts go out through aiohttp's client.)
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

HEAD_BYTES = 64 * 1024
BODY_BYTES = 4 * 1024 * 1024
REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(slots=True)
class Request:
    """Header names are in lower case. `path` has no query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    keep_alive: bool = True


@dataclass(slots=True)
class Response:
    """`drop`: the connection is cut instead of answering."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False


# A plain Response where there is nothing to wait for saves a task a message.
Handler = Callable[[Request], "Response | Awaitable[Response]"]


class Malformed(Exception):
    """The status to refuse with."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


class Server:
    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """The port, for when 0 was asked for."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), host, port, backlog=1024
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Answers what is being handled, then closes."""
        if self._server is not None:
            self._server.close()
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self.connections):
            connection.close()


class Connection(asyncio.Protocol):
    """Requests of one connection are answered one after another."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._continued = False
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but not by inheritance
        self._server.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self.task is None:
            self._advance()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _advance(self) -> None:
        """Handle the requests that have arrived whole, until one has to be waited for."""
        while self._transport is not None:
            try:
                request = self._next()
            except Malformed as error:
                self._respond(Response(error.status, b""), keep_alive=False)
                return
            if request is None:
                return
            try:
                outcome = self._server.handler(request)
            except Exception:
                logging.exception("%s %s failed", request.method, request.path)
                outcome = Response(500, b"{}")
            if not isinstance(outcome, Response):
                self.task = asyncio.create_task(self._finish(outcome, request))
                return
            self._respond(outcome, keep_alive=request.keep_alive)

    async def _finish(self, outcome: Awaitable[Response], request: Request) -> None:
        try:
            response = await outcome
        except Exception:
            logging.exception("%s %s failed", request.method, request.path)
            response = Response(500, b"{}")
        self.task = None
        self._respond(response, keep_alive=request.keep_alive)
        self._advance()

    def _respond(self, response: Response, *, keep_alive: bool) -> None:
        if self._transport is None:
            return
        if response.drop:
            self._transport.abort()
            return
        headers = response.headers if keep_alive else response.headers | {"Connection": "close"}
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"HTTP/1.1 {response.status} {REASONS.get(response.status, '')}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(response.body)}\r\n{extra}\r\n"
        )
        self._transport.write(head.encode("latin-1") + response.body)
        if not keep_alive:
            self._transport.close()

    def _next(self) -> Request | None:
        """The next request, None while it is not all there. Raises Malformed."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_BYTES:
                raise Malformed(431)
            return None
        request = parse_head(bytes(self._buffer[:end]).decode("latin-1"))
        start = end + 4
        if "chunked" in request.headers.get("transfer-encoding", ""):
            body, stop = chunks(self._buffer, start)
        else:
            stop = start + length(request)
            body = bytes(self._buffer[start:stop]) if len(self._buffer) >= stop else None
        if body is None:
            self._ask_for_body(request)
            return None
        del self._buffer[:stop]
        self._continued = False
        request.body = body
        return request

    def _ask_for_body(self, request: Request) -> None:
        if "100-continue" in request.headers.get("expect", "") and not self._continued and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._continued = True


def parse_head(head: str) -> Request:
    first, *lines = head.split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Malformed(400)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed(400)
        headers[name.lower()] = value.strip()
    connection = headers.get("connection", "").lower()
    keep_alive = connection != "close" if words[2] == "HTTP/1.1" else connection == "keep-alive"
    return Request(words[0], words[1].partition("?")[0], headers, keep_alive=keep_alive)


def length(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    if not text.isdecimal():
        raise Malformed(400)
    if int(text) > BODY_BYTES:
        raise Malformed(413)
    return int(text)


def chunks(buffer: bytearray, start: int) -> tuple[bytes | None, int]:
    """(body, where it ends); the body is None while it is not all there."""
    body = bytearray()
    while True:
        end = buffer.find(b"\r\n", start)
        if end < 0:
            return None, start
        try:
            size = int(bytes(buffer[start:end]).partition(b";")[0], 16)
        except ValueError as error:
            raise Malformed(400) from error
        if len(body) + size > BODY_BYTES:
            raise Malformed(413)
        start = end + 2
        if len(buffer) < start + size + 2:
            return None, start
        body += buffer[start : start + size]
        start += size + 2
        if size == 0:
            return bytes(body), start
