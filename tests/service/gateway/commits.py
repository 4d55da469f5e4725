"""A way to Postgres on which a process dies between the commit of an idempotent write and hearing of it."""

import asyncio
import contextlib
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

# The server waits for the next command, outside of any transaction.
IDLE = b"Z\x00\x00\x00\x05I"
READ_BYTES = 1 << 16


class CommitTrap:
    """Forwards everything, until a connection that has sent an Idempotency-Key hears that its transaction is over.

    Then `kill` is called instead: the transaction is in the database, and its process never learns it. It may be of one
    statement, which says nothing of a commit.
    """

    def __init__(self, url: str, *, key: str, kill: Callable[[], None]) -> None:
        self._key = key.encode()
        self._upstream = urlsplit(url)
        self._kill = kill
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self.sprung = 0
        self.armed = True

    async def start(self) -> str:
        """The URL to connect to instead."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        user, _, _ = self._upstream.netloc.rpartition("@")
        return urlunsplit(self._upstream._replace(netloc=f"{user}@127.0.0.1:{port}"))

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        begun = asyncio.Event()

        def sent(data: bytes) -> bool:
            if self._key in data:
                begun.set()
            return True

        def heard(data: bytes) -> bool:
            if not (self.armed and begun.is_set() and IDLE in data):
                return True
            self.sprung += 1
            self._kill()
            return False

        for source, sink, look in ((reader, up_writer, sent), (up_reader, writer, heard)):
            pump = asyncio.create_task(forward(source, sink, look))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter, look: Callable[[bytes], bool]) -> None:
    """Until the source ends, or `look` says that it is over."""
    with contextlib.suppress(OSError):
        while data := await source.read(READ_BYTES):
            if not look(data):
                break
            sink.write(data)
            await sink.drain()
    sink.close()
