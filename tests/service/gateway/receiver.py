"""An endpoint that webhooks are posted to: a real HTTP server that keeps what it gets and answers as told."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.service.stack import free_port

Behaviour = Callable[[dict[str, Any]], Awaitable[web.StreamResponse]]


@dataclass
class Got:
    id: str
    body: dict[str, Any]
    raw: bytes
    headers: dict[str, str]


@dataclass
class Receiver:
    """`got`: every request, in the order of their arrival. `statuses`: what the next ones are answered, 204 then.
    `behave`: answers instead; it gets the body."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    behave: Behaviour | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        self.got.append(Got(request.headers["webhook-id"], body, raw, dict(request.headers)))
        if self.behave is not None:
            return await self.behave(body)
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204, headers=self.headers)

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.got]


@asynccontextmanager
async def listening() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=8 << 20)
    app.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def for_ever(_: dict[str, Any]) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError
