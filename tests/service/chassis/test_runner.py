"""A process of its own, with the signals and the broker that it will have."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from chassis.nats import Nats
from deploy.local import nats as local_nats
from tests.service.stack import eventually, free_port

# It ends, as a process does of which a loop ends, when it is woken through the broker.
CHILD = """
import asyncio, sys
from chassis import runner
from chassis.nats import Nats

async def build(process):
    nats, wake = Nats(sys.argv[2], "test"), asyncio.Event()
    await nats.on_poke("test", wake)
    process.add(nats)
    process.ready_check("nats", nats.ping)
    process.loop("woken", wake.wait)

runner.run("test", build, ops_bind=sys.argv[1])
"""


class Child:
    def __init__(self, process: asyncio.subprocess.Process, ops: str, http: aiohttp.ClientSession) -> None:
        self.process = process
        self._ops = ops
        self._http = http

    async def asked(self, path: str) -> tuple[int, Any]:
        """Status and answer; (0, None) while nobody answers."""
        try:
            async with self._http.get(f"http://{self._ops}{path}") as answer:
                return answer.status, await answer.json()
        except aiohttp.ClientConnectionError:
            return 0, None

    async def metrics(self, accept: str) -> tuple[str, str]:
        """Content type and text."""
        async with self._http.get(f"http://{self._ops}/metrics", headers={"Accept": accept}) as answer:
            return answer.headers["Content-Type"], await answer.text()

    async def answers(self, path: str, status: int) -> Any:
        async def probe() -> list[Any]:
            found, answer = await self.asked(path)
            return [answer] if found == status else []

        return (await eventually(probe))[0]


@pytest.fixture
def broker_folder(tmp_path: Path) -> local_nats.Installation:
    """Of a broker that does not run yet."""
    return local_nats.prepare(tmp_path, port=free_port(), monitor_port=free_port())


@pytest_asyncio.fixture
async def child(broker_folder: local_nats.Installation) -> AsyncIterator[Child]:
    async with running(broker_folder) as started:
        yield started


@asynccontextmanager
async def running(broker_folder: local_nats.Installation, **environ: str) -> AsyncIterator[Child]:
    ops = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, ops, broker_folder.url, env=os.environ | environ
    )
    async with aiohttp.ClientSession() as http:
        yield Child(process, ops, http)
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_who_waits_for_the_broker_is_alive_and_says_so(
    child: Child, broker_folder: local_nats.Installation
) -> None:
    assert await child.answers("/healthz", 200) == {"status": "ok"}
    problems = {"process": "starting", "nats": "ConnectionError"}
    assert await child.asked("/readyz") == (503, {"ready": False, "problems": problems})
    server = local_nats.start(broker_folder.folder, port=broker_folder.port)
    try:
        assert await child.answers("/readyz", 200) == {"ready": True, "problems": {}}
    finally:
        server.stop()


async def test_metrics_are_told_in_the_form_that_is_asked_for(child: Child) -> None:
    await child.answers("/healthz", 200)
    for accept, kind in (("application/openmetrics-text;version=1.0.0", "openmetrics"), ("text/plain", "plain")):
        content_type, text = await child.metrics(accept)
        assert kind in content_type
        assert text.endswith("# EOF\n") == (kind == "openmetrics")
        assert 'carillon_nats_connected{client="test"} 0.0' in text
        # When a series began is in neither: a third more of everything.
        assert "_created" not in text


async def test_who_waits_for_the_broker_stops_when_told(child: Child) -> None:
    await child.answers("/healthz", 200)
    child.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(15):
        assert await child.process.wait() == 0


async def test_what_was_to_be_listened_to_before_the_broker_came_is(
    child: Child, broker_folder: local_nats.Installation
) -> None:
    server = local_nats.start(broker_folder.folder, port=broker_folder.port)
    try:
        await child.answers("/readyz", 200)
        teller = Nats(server.url, "teller")
        await teller.start()
        await teller.poke("test")
        async with asyncio.timeout(15):
            assert await child.process.wait() == 1
        await teller.stop()
    finally:
        server.stop()


async def test_who_is_told_to_stop_says_so_and_goes_on_until_everybody_has_heard(
    broker_folder: local_nats.Installation,
) -> None:
    server = local_nats.start(broker_folder.folder, port=broker_folder.port)
    try:
        # For longer than this test; it is killed.
        async with running(broker_folder, CARILLON_DRAIN_SECONDS="600") as draining:
            await draining.answers("/readyz", 200)
            draining.process.send_signal(signal.SIGTERM)
            answer = await draining.answers("/readyz", 503)
            assert answer == {"ready": False, "problems": {"process": "stopping"}}
            assert await draining.asked("/healthz") == (200, {"status": "ok"})
    finally:
        server.stop()
