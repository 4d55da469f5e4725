"""A process killed between its commit and its answer: the repeated request is answered as the first one would have."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.fernet import Fernet

from chassis.db import Database
from deploy.local import databases
from deploy.local.nats import Server as Broker
from services.gateway import api, app, backends
from services.gateway.config import GatewaySettings
from services.gateway.server import HttpServer
from tests.service.gateway.commits import CommitTrap
from tests.service.gateway.conftest import Answered, Gateway
from tests.service.stack import Keys, eventually, free_port

MakeDatabase = Callable[[str], Awaitable[databases.Urls]]
# An interpreter loads everything, on a machine that may be busy.
START_SECONDS = 60.0
KEY = {"Idempotency-Key": "after the crash"}
RULE = {"field": "tags", "operator": "contains", "value": "premium"}
WRITES: dict[str, tuple[str, dict[str, Any]]] = {
    "contacts": ("/v1/contacts", {"phone": "+15550100", "name": "Käthe"}),
    "segments": ("/v1/segments", {"name": "s", "conditions": [RULE]}),
    "campaigns": ("/v1/templates", {"name": "t", "body": "Hi"}),
    "gateway": ("/v1/api-keys", {"name": "k", "scopes": ["contacts:read"]}),
}


class Serving:
    """One `serve` process of a service, which may be killed and started again on the same port."""

    def __init__(self, service: str, env: dict[str, str], ops: int, log: Path) -> None:
        self._service = service
        self._env = env
        self._ops = ops
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, gateway: Gateway) -> None:
        """Returns when it is ready."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.cli", self._service, "serve",
                env=os.environ | self._env, stdout=log, stderr=log,
            )  # fmt: skip

        async def ready() -> bool:
            try:
                async with gateway.http.get(f"http://127.0.0.1:{self._ops}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientConnectionError:
                return False

        await eventually(ready, seconds=START_SECONDS)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> None:
        if self._process is not None:
            await self._process.wait()


def environment(service: str, gateway: Gateway, broker: Broker, keys: Keys, *, database: str) -> dict[str, str]:
    settings = {
        "DATABASE_URL": database,
        "NATS_URL": broker.url,
        "TOKEN_PRIVATE_KEY": keys.private[service],
        "TOKEN_PUBLIC_KEYS": json.dumps(keys.public),
        "ERASURE_KEY": keys.private[service],
        "SECRETS_KEYS": Fernet.generate_key().decode(),
        "PUBLIC_URL": "http://127.0.0.1",
        **{f"{name.upper()}_TARGET": "127.0.0.1:1" for name in databases.SERVICES},
    }
    return {f"CARILLON_{name}": value for name, value in settings.items()}


@asynccontextmanager
async def in_front(gateway: Gateway, urls: databases.Urls, **targets: str) -> AsyncIterator[str]:
    """A gateway in this process before a service in another one; its URL."""
    bind = f"127.0.0.1:{free_port()}"
    settings = GatewaySettings(**{**gateway.settings.model_dump(), "http_bind": bind, **targets})
    db, stopping = await Database.open(urls.serve), asyncio.Event()
    behind = backends.connect(settings)
    parts = app.assembled(settings, db, backends=behind, ready=db.ping, stopping=stopping)
    http = HttpServer(api.connected(settings, parts), bind=bind, stopping=stopping)
    await http.start()
    try:
        yield f"http://{bind}"
    finally:
        await http.stop()
        await behind.stop()
        await db.stop()


async def post(gateway: Gateway, url: str, path: str, body: dict[str, Any]) -> Answered:
    headers = {"Authorization": f"Bearer {gateway.account.key}", **KEY}
    async with gateway.http.post(url + path, json=body, headers=headers) as answer:
        return Answered(answer.status, answer.headers, await answer.json(content_type=None))


@pytest.mark.parametrize("service", WRITES)
async def test_a_write_is_not_made_twice_by_a_crash_before_its_answer(
    service: str,
    gateway: Gateway,
    gateway_urls: databases.Urls,
    make_database: MakeDatabase,
    broker: Broker,
    keys: Keys,
    tmp_path: Path,
) -> None:
    urls = gateway_urls if service == "gateway" else await make_database(service)
    trap = CommitTrap(urls.serve, key=KEY["Idempotency-Key"], kill=lambda: serving.kill())
    listen, ops = free_port(), free_port()
    env = environment(service, gateway, broker, keys, database=await trap.start()) | {
        "CARILLON_GRPC_BIND": f"127.0.0.1:{listen}",
        "CARILLON_HTTP_BIND": f"127.0.0.1:{listen}",
        "CARILLON_OPS_BIND": f"127.0.0.1:{ops}",
    }
    serving = Serving(service, env, ops, tmp_path / "log")
    path, body = WRITES[service]
    try:
        await serving.start(gateway)
        # The gateway is called itself where it is the one that dies.
        target = {} if service == "gateway" else {f"{service}_target": f"127.0.0.1:{listen}"}
        async with in_front(gateway, gateway_urls, **target) as url:
            url = f"http://127.0.0.1:{listen}" if service == "gateway" else url
            try:
                lost = await post(gateway, url, path, body)
                assert lost.status in {503, 504}, lost.body
            except aiohttp.ClientConnectionError:
                assert service == "gateway"
            await serving.ended()
            assert trap.sprung == 1
            trap.armed = False
            await serving.start(gateway)
            again = await post(gateway, url, path, body)
            assert (again.status, again.headers["idempotent-replayed"]) == (201, "true")
            async with gateway.http.get(url + path, headers={"X-API-Key": gateway.account.key}) as answer:
                listed = [one["id"] for one in (await answer.json())["data"]]
            assert listed.count(again.body["id"]) == 1
            assert len(listed) == 1 or service == "gateway"
    finally:
        serving.kill()
        await serving.ended()
        await trap.stop()
