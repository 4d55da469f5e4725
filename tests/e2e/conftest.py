"""One stack for the session; see README.md."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests import throwaway_stack
from tests.e2e.client import Api, Carrier
from tests.e2e.otlp import Spans
from tests.throwaway_stack import ThrowawayStack


@pytest.fixture(scope="session")
def spans() -> Iterator[Spans]:
    receiver = Spans()
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="session")
def stack(spans: Spans) -> Iterator[ThrowawayStack]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.endpoint,
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2",
        # Milliseconds: whoever asks for a span here waits for it.
        "OTEL_BSP_SCHEDULE_DELAY": "500",
    }
    with throwaway_stack.started(f"e2e{worker}", environ=environ) as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90)) as session:
        yield session


@pytest_asyncio.fixture(scope="module")
async def api(stack: ThrowawayStack, http: aiohttp.ClientSession, request: pytest.FixtureRequest) -> Api:
    """A new account's."""
    key = await asyncio.to_thread(stack.create_account, Path(request.path).stem)
    return Api(stack.url, key, http)


@pytest_asyncio.fixture(scope="module")
async def other(stack: ThrowawayStack, http: aiohttp.ClientSession) -> Api:
    """Another account's, which must see nothing of the first's."""
    return Api(stack.url, await asyncio.to_thread(stack.create_account, "other"), http)


@pytest_asyncio.fixture
async def carrier(stack: ThrowawayStack, http: aiohttp.ClientSession) -> AsyncIterator[Carrier]:
    simulator = Carrier(stack.carrier_url, stack.home.carrier, http)
    before = await simulator.control()
    yield simulator
    await simulator.behave(**before)
    await simulator.release()


@pytest_asyncio.fixture(scope="module")
async def sender_id(api: Api, stack: ThrowawayStack) -> str:
    """An SMS sender at the carrier simulator, the account's default."""
    body = {
        "name": "Main number",
        "channel": "sms",
        "address": "CARILLON",
        "provider": "http",
        "settings": {"url": f"{stack.carrier_url}/messages"},
        "is_default": True,
    }
    return str((await api.post("/v1/senders", body)).ok(201)["id"])
