"""The `work` process as it is run, killed where it hurts most: between an endpoint's answer and its record."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from chassis.nats import Nats
from deploy.local import databases
from deploy.local import nats as local_nats
from tests.service.gateway.conftest import SECRETS_KEY, Gateway
from tests.service.gateway.delivering import subscriber
from tests.service.gateway.receiver import listening
from tests.service.gateway.telling import contact, publish, versions
from tests.service.stack import Keys, eventually


@pytest.fixture
def environment(gateway_urls: databases.Urls, broker: local_nats.Server, keys: Keys) -> dict[str, str]:
    settings = {
        "DATABASE_URL": gateway_urls.work,
        "NATS_URL": broker.url,
        "TOKEN_PRIVATE_KEY": keys.private["gateway"],
        "TOKEN_PUBLIC_KEYS": json.dumps(keys.public),
        "SECRETS_KEYS": SECRETS_KEY,
        "WEBHOOK_PRIVATE_ADDRESSES": "true",
        "WEBHOOK_LEASE_SECONDS": "1",
    }
    return os.environ | {f"CARILLON_{name}": value for name, value in settings.items()}


@asynccontextmanager
async def worker(environment: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", "gateway", "work", env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_what_was_delivered_and_not_recorded_is_delivered_again(
    gateway: Gateway, nats: Nats, environment: dict[str, str], tmp_path: Path
) -> None:
    sub = await subscriber(gateway, nats)
    async with listening() as receiver:
        # The worker tells of the account too.
        webhook = await sub.webhook(receiver.url, event_types=["contact.*"])
        async with worker(environment, tmp_path / "first.log") as first:

            async def kill_first(_: dict[str, Any]) -> web.StreamResponse:
                """The request was received whole; whoever sent it does not live to hear so."""
                receiver.behave = None
                os.kill(first.pid, signal.SIGKILL)
                await first.wait()
                return web.Response()

            receiver.behave = kill_first
            told = [await publish(nats, sub.account, contact("a", version)) for version in (1, 2, 3)]

            async def dead() -> bool:
                return first.returncode is not None

            await eventually(dead, seconds=60)
        async with worker(environment, tmp_path / "second.log") as second:
            await sub.ended(webhook, 3)
            second.terminate()
            async with asyncio.timeout(30):
                assert await second.wait() == 0, (tmp_path / "second.log").read_text()
    assert receiver.ids == [told[0], *told]
    assert versions([one.body for one in receiver.got], "a") == [1, 1, 2, 3]
    assert await sub.waiting() == 0
