"""Clients that forgive nothing: every answer other than expected, and every broken connection, is written down.

What was acknowledged is written down too, for the audit.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
from aiohttp import web
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from deploy.local import ports
from deploy.local.demo.contacts_csv import PREMIUM

CALL_SECONDS = 30.0
PAUSE_SECONDS = 0.03
IMPORT_ROWS = 200
EVENTS = "text/event-stream"


@dataclass(slots=True)
class Book:
    """What all clients found."""

    calls: int = 0
    failed: list[str] = field(default_factory=list)
    # Contact → every version that an answer showed.
    versions: dict[str, set[int]] = field(default_factory=dict)
    # Contact → whether it has the tag, by the last acknowledged change.
    premium: dict[str, bool] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    imported: int = 0
    # The longest that an answer took, in seconds.
    slowest: float = 0.0


class Failed(Exception):
    """It is in the book."""


class Client:
    def __init__(self, url: str, key: str, book: Book) -> None:
        self.url = url
        self.book = book
        self.session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"}, timeout=aiohttp.ClientTimeout(total=CALL_SECONDS)
        )
        # It would ask again by itself where a connection broke.
        self.session._retry_connection = False

    async def call(self, method: str, path: str, *, expected: Iterable[int] = (200,), **sent: Any) -> Any:
        """The answer's JSON, None where it has none. Raises Failed."""
        began = time.monotonic()
        try:
            async with self.session.request(method, self.url + path, **sent) as answer:
                text = await answer.text()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self.failed(f"{method} {path}: {error!r}") from error
        self.book.calls += 1
        self.book.slowest = max(self.book.slowest, time.monotonic() - began)
        if status not in expected:
            raise self.failed(f"{method} {path}: {status} {text[:300]}")
        return json.loads(text) if text else None

    def failed(self, what: str) -> Failed:
        self.book.failed.append(f"{time.strftime('%H:%M:%S')} {what}")
        return Failed(what)


async def until_stopped(stop: asyncio.Event, step: Callable[[], Awaitable[None]]) -> None:
    while not stop.is_set():
        with suppress(Failed):
            await step()
        await asyncio.sleep(PAUSE_SECONDS)


class Editor:
    """Creates, reads, changes, tags and deletes contacts of its own."""

    def __init__(self, client: Client, rng: Random) -> None:
        self._client = client
        self._rng = rng
        self._own: list[str] = []

    async def run(self, stop: asyncio.Event) -> None:
        await until_stopped(stop, self._step)

    async def _step(self) -> None:
        kind = self._rng.random()
        if kind < 0.3 or not self._own:
            await self._create()
            return
        contact_id = self._rng.choice(self._own)
        path = f"/v1/contacts/{contact_id}"
        if kind < 0.5:
            self._saw(await self._client.call("GET", path))
        elif kind < 0.65:
            self._saw(await self._client.call("PUT", path, json={"name": secrets.token_hex(4)}))
        elif kind < 0.8:
            self._saw(await self._client.call("POST", f"{path}/tags", json={"tags": [PREMIUM]}))
            self._client.book.premium[contact_id] = True
        elif kind < 0.95:
            await self._client.call("DELETE", f"{path}/tags/{PREMIUM}", expected=(200, 204, 404))
            self._client.book.premium[contact_id] = False
        else:
            self._own.remove(contact_id)
            await self._client.call("DELETE", path, expected=(200, 204))
            self._client.book.premium.pop(contact_id)
            self._client.book.deleted.add(contact_id)

    async def _create(self) -> None:
        # Nobody's number, and no two editors' the same.
        phone = f"+1555{self._rng.randrange(10**7):07d}"
        tagged = self._rng.random() < 0.5
        body = {"phone": phone, "name": "New", "tags": [PREMIUM] if tagged else []}
        made = await self._client.call("POST", "/v1/contacts", json=body, expected=(201, 409))
        if "id" not in made:
            return
        self._saw(made)
        self._own.append(made["id"])
        self._client.book.premium[made["id"]] = tagged

    def _saw(self, contact: dict[str, Any]) -> None:
        self._client.book.versions.setdefault(contact["id"], set()).add(contact["version"])


class Reader:
    """Reads whatever there is to read, over every service."""

    def __init__(self, client: Client, paths: list[str]) -> None:
        self._client = client
        self._paths = paths
        self._turn = 0

    async def run(self, stop: asyncio.Event) -> None:
        await until_stopped(stop, self._step)

    async def _step(self) -> None:
        self._turn += 1
        await self._client.call("GET", self._paths[self._turn % len(self._paths)])


class Importer:
    """Uploads one file after the other, and holds each to its rows."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._files = 0

    async def run(self, stop: asyncio.Event) -> None:
        await until_stopped(stop, self._step)

    async def _step(self) -> None:
        self._files += 1
        rows = [f"+1666{self._files:04d}{number:03d},Row {number}" for number in range(IMPORT_ROWS)]
        form = aiohttp.FormData()
        form.add_field("file", "\n".join(["phone,name", *rows]).encode(), filename="rows.csv", content_type="text/csv")
        found = await self._client.call("POST", "/v1/contacts/import", data=form, expected=(200, 202))
        # Where a gateway stops it does not wait for the end of the import, and says where that can be seen.
        while found.get("status", "completed") in ("queued", "running"):
            await asyncio.sleep(PAUSE_SECONDS)
            found = await self._client.call("GET", f"/v1/imports/{found['id']}")
        if found["imported"] != IMPORT_ROWS:
            raise self._client.failed(f"an import: {found['imported']} of {IMPORT_ROWS} rows")
        self._client.book.imported += IMPORT_ROWS


class Follower:
    """Follows the feed by server-sent events, and goes on where a stream ended."""

    def __init__(self, client: Client, *, after: int) -> None:
        self._client = client
        self.positions: list[int] = []
        self._last = after
        self.streams = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            headers = {"Accept": EVENTS, "Last-Event-ID": str(self._last)}
            timeout = aiohttp.ClientTimeout(total=None, sock_read=CALL_SECONDS)
            self.streams += 1
            try:
                async with self._client.session.get(
                    f"{self._client.url}/v1/events", headers=headers, timeout=timeout
                ) as answer:
                    if answer.status != 200:
                        raise self._client.failed(f"GET /v1/events: {answer.status} {(await answer.text())[:300]}")
                    async for line in answer.content:
                        if line.startswith(b"id: "):
                            self._last = int(line[4:])
                            self.positions.append(self._last)
            except (aiohttp.ClientError, TimeoutError) as error:
                self._client.failed(f"GET /v1/events: {error!r}")
            except Failed:
                pass


class Receiver:
    """An endpoint of a webhook."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        app = web.Application(client_max_size=8 << 20)
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        self.url = ""

    async def start(self) -> None:
        await self._runner.setup()
        port = ports.choose()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}/hook"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        self.ids.append(request.headers["webhook-id"])
        return web.Response(status=204)


class Subscriber:
    """Hears every event as it is published."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._client = Nats()

    async def start(self, url: str) -> None:
        await self._client.connect(servers=[url])
        await self._client.subscribe("events.>", cb=self._take)
        await self._client.flush()

    async def stop(self) -> None:
        await self._client.close()

    async def _take(self, message: Msg) -> None:
        self.ids.append((message.headers or {})["ce-id"])
