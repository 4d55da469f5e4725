"""One run for all tests of this folder."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from deploy.local import ports, processes, prometheus
from tests import throwaway_stack
from tests.certificates import Authority
from tests.dashboards import faults, ordinary
from tests.dashboards.scene import Scene
from tests.e2e.client import Api, Carrier
from tests.e2e.otlp import Spans
from tests.throwaway_stack import ThrowawayStack

ENVIRONMENT = {
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2",
    # Milliseconds: whoever asks for a span here waits for it.
    "OTEL_BSP_SCHEDULE_DELAY": "500",
    # Reconciliation looks at everything as soon as its process starts.
    "CARILLON_RECONCILE_HOURS": "0.0001",
}


@dataclass(frozen=True)
class Shown:
    """What Prometheus knows of the run."""

    server: prometheus.Server
    began: float
    ended: float
    spans: Spans

    def ask(self, path: str, **parameters: str) -> Any:
        return self.server.get(path, start=str(self.began), end=str(self.ended), **parameters)

    def values(self, expression: str) -> list[float]:
        """What the query said at each second of the run, of all its series, without NaN. Raises ValueError."""
        found = self.ask("/api/v1/query_range", query=expression, step="1")
        values = [float(value) for series in found["result"] for _, value in series["values"]]
        return [value for value in values if value == value]


@pytest.fixture(scope="session")
def spans() -> Iterator[Spans]:
    receiver = Spans()
    receiver.start()
    yield receiver
    receiver.stop()


@pytest_asyncio.fixture(scope="session")
async def shown(spans: Spans, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    try:
        prometheus.tools()
    except prometheus.Missing as missing:
        pytest.skip(f"NO PANEL WAS LOOKED AT: {missing}")
    files = Authority().issue().write(tmp_path_factory.mktemp("tls"))
    environ = ENVIRONMENT | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.endpoint,
        "CARILLON_TLS_CERT": files.cert,
        "CARILLON_TLS_KEY": files.key,
        "CARILLON_TLS_CA": files.ca,
    }
    with throwaway_stack.started("dashboards", environ=environ) as stack:
        targets = {
            name: processes.address(stack.known.ports[f"{name}-ops"])
            for name in (*processes.SERVING, *processes.WORKING)
        }
        server = prometheus.start(Path(tmp_path_factory.mktemp("prometheus")), targets)
        try:
            began = time.time()
            await run(stack, server)
            # The last of what was seen is a moment old.
            yield Shown(server, began, time.time() + 1, spans)
        finally:
            server.stop()


async def run(stack: ThrowawayStack, server: prometheus.Server) -> None:
    key = await asyncio.to_thread(stack.create_account, "dashboards")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        api, carrier = Api(stack.url, key, http), Carrier(stack.carrier_url, stack.home.carrier, http)
        receiver = await ordinary.WebhookReceiver.start(ports.choose())
        try:
            scene = await Scene.make(stack, server, api=api, carrier=carrier, webhooks=receiver.url)
            await ordinary.work(scene)
            await faults.inject(scene)
        finally:
            await receiver.stop()
