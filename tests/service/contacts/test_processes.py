"""The real processes, from environment to SIGTERM: an upload to `serve` is imported and told by `work`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as rpc
from carillon.events.v1 import events_pb2
from chassis.grpc_client import Client
from chassis.ids import encode_account
from tests.service.contacts.address_book import AddressBook
from tests.service.contacts.conftest import ERASURE_KEY
from tests.service.stack import eventually, free_port

ROOT = Path(__file__).resolve().parents[3]
# Two interpreters load everything at once, on a machine that may be busy.
START_SECONDS = 60.0


def start(command: str, ops: int, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join([str(ROOT), str(ROOT / "libs"), str(ROOT / "libs" / "protos")])
    return subprocess.Popen(
        [sys.executable, "-m", "services.contacts", command],
        env={**os.environ, "PYTHONPATH": path, "CARILLON_OPS_BIND": f"127.0.0.1:{ops}", **env},
        cwd=ROOT,
    )


@contextmanager
def process(command: str, ops: int, env: dict[str, str]):
    running = start(command, ops, env)
    try:
        yield running
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=20) == 0
    finally:
        running.kill()
        running.wait()


async def ready(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def test_an_upload_is_imported_and_told(urls, broker, keys, nats, account):
    grpc_port, serve_ops, work_ops = free_port(), free_port(), free_port()
    common = {
        "CARILLON_NATS_URL": broker.url,
        "CARILLON_TOKEN_PRIVATE_KEY": keys.private["contacts"],
        "CARILLON_TOKEN_PUBLIC_KEYS": json.dumps(keys.public),
        "CARILLON_ERASURE_KEY": ERASURE_KEY,
        "CARILLON_SEGMENTS_TARGET": "127.0.0.1:1",
        "CARILLON_CAMPAIGNS_TARGET": "127.0.0.1:1",
        "CARILLON_GRPC_BIND": f"127.0.0.1:{grpc_port}",
    }
    told: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def keep(message) -> None:
        await told.put((message.subject, message.data))

    await nats.subscribe(f"events.*.*.{encode_account(account)}.>", keep)
    await nats.subscribe(f"events.*.*.{encode_account(account)}", keep)
    gateway = Client(
        f"127.0.0.1:{grpc_port}", rpc.ContactsServiceStub, audience="contacts", signer=keys.signer("gateway")
    )
    book = AddressBook(gateway, account)
    with (
        process("serve", serve_ops, {**common, "CARILLON_DATABASE_URL": urls.serve}),
        process("work", work_ops, {**common, "CARILLON_DATABASE_URL": urls.work}),
    ):
        await eventually(lambda: ready(serve_ops), seconds=START_SECONDS)
        await eventually(lambda: ready(work_ops), seconds=START_SECONDS)
        job = await book.upload(b"phone,name\n+14155552671,Ada\n+14155552672,Bob\n12ab,X\n")

        async def done() -> pb.Import | None:
            found = await book.progress(job.id)
            return found if found.status == pb.IMPORT_STATUS_COMPLETED else None

        finished = await eventually(done)
        assert finished is not None
        assert (finished.rows, finished.imported, finished.failed) == (3, 2, 1)
        received = dict([await asyncio.wait_for(told.get(), 15) for _ in range(2)])
        await gateway.stop()
    changed = events_pb2.ContactsChanged.FromString(received[f"events.contact.created.{encode_account(account)}.bulk"])
    assert [change.contact.name for change in changed.changes] == ["Ada", "Bob"]
    assert f"events.import.completed.{encode_account(account)}" in received
