"""The contacts service as segments sees it: events on NATS, here made by a benchmark."""

import asyncio
import os
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import nats
from nats.aio.client import Client
from nats.js import JetStreamContext

from carillon.contacts.v1 import contacts_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.nats import EVENTS
from deploy.local import ports, processes
from deploy.local.demo.rest import Rest
from deploy.local.home import REPOSITORY
from services.segments.consumers import BULK, LIVE
from tests.bench import segment_load
from tests.throwaway_stack import ThrowawayStack

# The contacts service has none of the contacts: nobody is to find that out.
ALONE = {"CARILLON_RECONCILE_HOURS": "0"}
# Events on their way to the broker at a time.
IN_FLIGHT = 256
DRAINED_SECONDS = 600.0
CREATORS = 8


class Feed:
    """Publishes the events of one account's contacts."""

    def __init__(self, jetstream: JetStreamContext, account: str) -> None:
        """account: `acct_…`."""
        self._jetstream = jetstream
        self._account = account
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def publish(
        self, contacts: Sequence[contacts_pb2.Contact], *, fields: Sequence[str] = (), bulk: bool = False
    ) -> None:
        """One event with all of them. Without fields it tells of new contacts."""
        await self.publish_data(event(contacts, fields=fields), created=not fields, bulk=bulk)

    async def publish_data(self, data: bytes, *, created: bool, bulk: bool) -> None:
        kind = "contact.created" if created else "contact.updated"
        headers = {"ce-id": str(uuid4()), "ce-type": kind, "ce-time": datetime.now(UTC).isoformat()}
        subject = f"events.{kind}.{self._account}" + (".bulk" if bulk else "")
        async with self._slots:
            await self._jetstream.publish(subject, data, headers=headers)

    async def drained(self, *, bulk: bool) -> None:
        """Until segments has acknowledged all that there is."""
        async with asyncio.timeout(DRAINED_SECONDS):
            while True:
                info = await self._jetstream.consumer_info(EVENTS, BULK if bulk else LIVE)
                if not (info.num_pending or 0) + (info.num_ack_pending or 0):
                    return
                await asyncio.sleep(0.02)


def event(contacts: Sequence[contacts_pb2.Contact], *, fields: Sequence[str] = ()) -> bytes:
    changes = [events_pb2.ContactChange(contact=one, changed_fields=fields) for one in contacts]
    return events_pb2.ContactsChanged(changes=changes).SerializeToString()


async def connect(stack: ThrowawayStack) -> Client:
    return await nats.connect(stack.nats_url)


async def account_of(stack: ThrowawayStack, segment_id: str) -> str:
    """`acct_…` of a segment's account."""
    connection = await asyncpg.connect(stack.database_url("segments"))
    try:
        found = await connection.fetchval(
            "SELECT account_id FROM segments WHERE id = $1", ids.decode("seg", segment_id)
        )
    finally:
        await connection.close()
    return ids.encode("acct", found)


@contextmanager
def another_worker(stack: ThrowawayStack) -> Iterator[None]:
    """A second `segments work`, which shares the work with the stack's own."""
    settings = processes.service_settings(stack.known, "segments", mode="work", nats_url=stack.nats_url)
    settings |= {**ALONE, "CARILLON_OPS_BIND": f"{ports.HOST}:{ports.choose()}"}
    environ = processes.environment(stack.home, os.environ) | settings
    with (stack.home.folder / "second-worker.log").open("wb") as log:
        worker = subprocess.Popen(
            processes.carillon("segments", "work"), env=environ, cwd=REPOSITORY, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            worker.terminate()
            worker.wait(30)


async def told(stack: ThrowawayStack) -> None:
    """Until segments has published all of its own events."""
    connection = await asyncpg.connect(stack.database_url("segments"))
    try:
        async with asyncio.timeout(DRAINED_SECONDS):
            while True:
                if not await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL"):
                    return
                await asyncio.sleep(0.2)
    finally:
        await connection.close()


async def create_segments(rest: Rest, count: int) -> list[str]:
    """Of segment_load's rules; their ids, when all are ready."""
    made: list[str] = []
    numbers = iter(range(count))

    async def create() -> None:
        for number in numbers:
            body = {"name": f"Segment {number}", **segment_load.written(number)}
            made.append((await rest.post("/v1/segments", body))["id"])

    async with asyncio.TaskGroup() as group:
        for _ in range(CREATORS):
            group.create_task(create())
    for segment_id in made:
        await ready(rest, segment_id)
    return made


async def ready(rest: Rest, segment_id: str) -> int:
    """Its members, when it is built."""
    while True:
        segment = await rest.get(f"/v1/segments/{segment_id}")
        if segment["status"] == "ready":
            return int(segment["member_count"])
        await asyncio.sleep(0.01)


def people(count: int, *, seed: int) -> list[contacts_pb2.Contact]:
    dice = random.Random(seed)
    return [segment_load.contact(dice) for _ in range(count)]


def changed(contacts: list[contacts_pb2.Contact], *, seed: int) -> list[contacts_pb2.Contact]:
    """Their next versions, each with one of its tags replaced; contacts is changed to them."""
    dice = random.Random(seed)
    for place, one in enumerate(contacts):
        after = contacts_pb2.Contact()
        after.CopyFrom(one)
        after.version += 1
        after.tags[0] = f"tag-{dice.randrange(segment_load.TAGS)}"
        contacts[place] = after
    return contacts


def since(began: float) -> float:
    return time.perf_counter() - began
