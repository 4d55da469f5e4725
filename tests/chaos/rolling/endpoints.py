"""Which pods get traffic, as Kubernetes tells it: those that are ready and were not told to stop.

Two things read it. `Names` is the cluster's DNS: a service's name leads to the addresses of its pods, as that of a
headless Service does. `Front` is its Service in front of the gateway: a TCP connection goes to one of the pods when it
is made, and stays there.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import cast

DOMAIN = "carillon.test"
HTTP, GRPC, OPS = 8080, 7000, 9000
A, IN, AUTHORITATIVE = 1, 1, 0x8400
PIECE = 256 * 1024


class Endpoints:
    def __init__(self) -> None:
        self._addresses: dict[str, list[str]] = {}

    def of(self, component: str) -> list[str]:
        return self._addresses.get(component, [])

    def add(self, component: str, address: str) -> None:
        self._addresses.setdefault(component, []).append(address)

    def remove(self, component: str, address: str) -> None:
        self._addresses[component].remove(address)


class Names(asyncio.DatagramProtocol):
    """Answers for COMPONENT.carillon.test; nothing is kept by those who ask."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(self._answer(data), sender)

    def _answer(self, query: bytes) -> bytes:
        name, end = read_name(query, 12)
        (kind,) = struct.unpack_from("!H", query, end)
        component = name.removesuffix(f".{DOMAIN}")
        found = self._endpoints.of(component) if kind == A else []
        identifier, flags = struct.unpack_from("!HH", query)
        head = struct.pack("!HHHHHH", identifier, AUTHORITATIVE | (flags & 0x0100), 1, len(found), 0, 0)
        # Each names the question's own name by its place.
        records = (struct.pack("!HHHIH4B", 0xC00C, A, IN, 0, 4, *map(int, one.split("."))) for one in found)
        return head + query[12 : end + 4] + b"".join(records)


def read_name(message: bytes, at: int) -> tuple[str, int]:
    """The name, and what is behind it. A question's name is never compressed."""
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    return ".".join(labels), at + 1


@asynccontextmanager
async def names(endpoints: Endpoints) -> AsyncIterator[int]:
    """The port on the loopback address where they are asked for."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Names(endpoints), local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


class Front:
    """A connection that finds no pod, or whose pod does not take it, is closed: nobody tries again for the client."""

    def __init__(self, endpoints: Endpoints, rng: Random) -> None:
        self._endpoints = endpoints
        self._rng = rng
        self.refused = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pods = self._endpoints.of("gateway")
        try:
            if not pods:
                raise ConnectionRefusedError
            behind_reader, behind_writer = await asyncio.open_connection(self._rng.choice(pods), HTTP)
        except OSError:
            self.refused += 1
            writer.transport.abort()
            return
        await asyncio.gather(pass_on(reader, behind_writer), pass_on(behind_reader, writer))


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything, and its end."""
    with suppress(OSError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def front(endpoints: Endpoints, port: int, rng: Random) -> AsyncIterator[Front]:
    made = Front(endpoints, rng)
    server = await asyncio.start_server(made.accept, "127.0.0.1", port, backlog=1024)
    try:
        yield made
    finally:
        server.close()
