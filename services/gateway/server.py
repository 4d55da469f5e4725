"""The HTTP server: granian inside this process and its event loop; see docs/adr for why.

One worker: more processes are more replicas. Bodies are read from the socket only as the application asks for them,
which is the back-pressure of uploads.

A stop takes nothing away from a client. From `leave` on every answer closes its connection, so that the next request
comes by a new one, to another replica; a connection that is closed unasked may be one that a request is on its way on.
"""

import asyncio
import contextlib
import socket

import structlog
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server as Granian
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.config import host_and_port
from chassis.stopping import GRACE_SECONDS

log = structlog.get_logger()

BACKLOG = 1024
HEAD_TIMEOUT_MS = 15_000
CLOSE = (b"connection", b"close")


class HttpServer:
    """A component of the runner. `serve` is its loop: it ends the process where the server dies."""

    def __init__(self, app: ASGIApp, *, bind: str, stopping: asyncio.Event) -> None:
        """stopping: set when the process is told to stop, so that requests that wait for something answer at once."""
        self._app = app
        self._leaving = False
        self._stopping = stopping
        host, port = host_and_port(bind)
        self._host, self._port = host, port
        self._granian = Granian(
            self._answer,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            log_enabled=False,
            websockets=False,
            backlog=BACKLOG,
            http1_settings=HTTP1Settings(header_read_timeout=HEAD_TIMEOUT_MS),
        )
        self._serving: asyncio.Task[None] | None = None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if self._leaving and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), CLOSE]
            await send(message)

        await self._app(scope, receive, told)

    async def start(self) -> None:
        """Returns when the port is bound. Raises OSError where another process has it."""
        check_free(self._host, self._port)
        bound = asyncio.Event()
        self._granian.on_startup(bound.set)
        self._serving = asyncio.create_task(self._granian.serve(), name="http")
        waiting = asyncio.create_task(bound.wait())
        await asyncio.wait([self._serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._serving.done():
            await self._serving

    async def watch(self) -> None:
        """Until cancelled. Raises RuntimeError when the server ends by itself, so that the process does too."""
        assert self._serving is not None
        await asyncio.shield(self._serving)
        raise RuntimeError("the HTTP server ended")

    def leave(self) -> None:
        """Clients go elsewhere after their next answer; who comes all the same is served until the stop."""
        self._leaving = True

    async def stop(self) -> None:
        """New connections are refused; requests under way are answered, for GRACE_SECONDS."""
        if self._serving is None:
            return
        self.leave()
        self._stopping.set()
        self._granian.stop()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await asyncio.shield(self._serving)
        except TimeoutError:
            log.warning("http.stopped_with_requests_under_way")
            self._serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving


def check_free(host: str, port: int) -> None:
    """granian binds with SO_REUSEPORT, and so would share a port with a gateway forgotten there. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
