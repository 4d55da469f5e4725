"""The real processes, from environment to SIGTERM: a segment made through `serve` is kept by `work`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import aiohttp

from carillon.segments.v1 import segments_pb2_grpc as rpc
from chassis.grpc_client import Client
from tests.service.segments.world import Api, contact
from tests.service.stack import eventually, free_port

ROOT = Path(__file__).resolve().parents[3]
# Interpreters load everything at once, on a machine that may be busy.
START_SECONDS = 60.0


@contextmanager
def process(command: str, ops: int, env: dict[str, str]):
    path = os.pathsep.join([str(ROOT), str(ROOT / "libs"), str(ROOT / "libs" / "protos")])
    running = subprocess.Popen(
        [sys.executable, "-m", "services.segments", command],
        env={**os.environ, "PYTHONPATH": path, "CARILLON_OPS_BIND": f"127.0.0.1:{ops}", **env},
        cwd=ROOT,
    )
    try:
        yield running
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=20) == 0
    finally:
        running.kill()
        running.wait()


async def ops(port: int, path: str) -> tuple[int, str]:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientError:
        return 0, ""


async def test_a_segment_is_kept_while_workers_come_and_go(urls, broker, keys, account, contacts):
    grpc_port, serve_ops, first_ops, second_ops = (free_port() for _ in range(4))
    common = {
        "CARILLON_NATS_URL": broker.url,
        "CARILLON_TOKEN_PRIVATE_KEY": keys.private["segments"],
        "CARILLON_TOKEN_PUBLIC_KEYS": json.dumps(keys.public),
        "CARILLON_CONTACTS_TARGET": "127.0.0.1:1",
        "CARILLON_GRPC_BIND": f"127.0.0.1:{grpc_port}",
    }
    serving = {**common, "CARILLON_DATABASE_URL": urls.serve}
    working = {**common, "CARILLON_DATABASE_URL": urls.work}
    target = f"127.0.0.1:{grpc_port}"
    gateway, campaigns = (
        Client(target, rpc.SegmentsServiceStub, audience="segments", signer=keys.signer(name))
        for name in ("gateway", "campaigns")
    )
    api = Api(gateway, campaigns, account)

    async def up(port: int) -> bool:
        return (await ops(port, "/readyz"))[0] == 200

    async def has(segment_id: str, *expected) -> bool:
        return await api.member_ids(segment_id) == {one.id for one in expected}

    ana, ben = contact(tags=["premium"]), contact(tags=["premium"])
    with process("serve", serve_ops, serving):
        with process("work", first_ops, working):
            await asyncio.gather(
                *(eventually(partial(up, port), seconds=START_SECONDS) for port in (serve_ops, first_ops))
            )
            segment = await api.create()
            await contacts.created(ana)
            await eventually(lambda: has(segment.id, ana), seconds=30)
            metrics = (await ops(first_ops, "/metrics"))[1]
            assert 'carillon_segments_freshness_seconds_count{lane="live"} 1.0' in metrics
        # Told while nobody works.
        await contacts.created(ben)
        with process("work", second_ops, working):
            await eventually(lambda: has(segment.id, ana, ben), seconds=START_SECONDS)
    await gateway.stop()
    await campaigns.stop()
