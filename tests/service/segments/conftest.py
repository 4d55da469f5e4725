"""Segments against a real Postgres and a real NATS, with the `work` process's parts in this one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from carillon.segments.v1 import segments_pb2 as pb
from carillon.segments.v1 import segments_pb2_grpc as rpc
from chassis.db import Database
from chassis.grpc_client import Client
from chassis.grpc_server import Server
from chassis.haste import Pace
from chassis.nats import Poker
from chassis.relay import Relay, topic
from services.segments.builder import TOPIC, Builder
from services.segments.consumers import consumers
from services.segments.evaluation import Evaluator
from services.segments.flips import Flips
from services.segments.lanes import Lanes
from services.segments.service import Segments
from services.segments.servicer import SegmentsServicer
from tests.service.segments.clockwork import MONTH, NOW, Clock
from tests.service.segments.world import Api, Contacts


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def urls(make_database):
    return await make_database("segments")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def serve_db(urls) -> AsyncIterator[Database]:
    db = await Database.open(urls.serve, pool_size=5, name="segments")
    yield db
    await db.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def work_db(urls) -> AsyncIterator[Database]:
    db = await Database.open(urls.work, pool_size=10, name="segments-work")
    yield db
    await db.stop()


@pytest_asyncio.fixture
async def nothing_left_to_build(work_db) -> None:
    """Builds are claimed across accounts: those of other tests would come first."""
    async with work_db.across() as tx:
        await tx.execute("DELETE FROM builds WHERE account_id IS NOT NULL")


@pytest_asyncio.fixture
async def clock(work_db, nothing_left_to_build) -> Clock:
    """Flips go over all accounts: those of other tests would come between."""
    async with work_db.across() as tx:
        await tx.execute("DELETE FROM due WHERE account_id IS NOT NULL")
    return Clock(work_db, NOW)


@pytest_asyncio.fixture
async def segment(api, clock) -> Callable[..., Awaitable[str]]:
    """What makes a segment that is built and empty."""

    async def make(written=MONTH):
        made = await api.create(written)
        await clock.build()
        return made.id

    return make


@pytest_asyncio.fixture
async def contacts(nats, account) -> Contacts:
    """The contacts service, as far as its events tell of it."""
    return Contacts(nats, account)


@pytest_asyncio.fixture
async def api(nats, serve_db, keys, account) -> AsyncIterator[Api]:
    """The service over gRPC, for `account`."""
    serve_db.on_events = Poker(nats, topic("segments"))
    server = Server("127.0.0.1:0", keys.verifier("segments"))
    segments = Segments(serve_db, wake_builder=Poker(nats, TOPIC))
    server.add(pb.DESCRIPTOR.services_by_name["SegmentsService"], SegmentsServicer(segments))
    await server.start()
    target = f"127.0.0.1:{server.port}"
    gateway, campaigns = (
        Client(target, rpc.SegmentsServiceStub, audience="segments", signer=keys.signer(name))
        for name in ("gateway", "campaigns")
    )
    yield Api(gateway, campaigns, account)
    await gateway.stop()
    await campaigns.stop()
    await server.stop()


@pytest_asyncio.fixture
async def builder(nats, work_db) -> AsyncIterator[Builder]:
    running = Builder(work_db, nats)
    async with background(running.run()):
        yield running


@pytest_asyncio.fixture
async def worker(nats, work_db, builder) -> AsyncIterator[Evaluator]:
    """All that `carillon segments work` runs."""
    work_db.on_events = Poker(nats, topic("segments"))
    evaluator, lanes = Evaluator(work_db), Lanes()
    async with contextlib.AsyncExitStack() as stack:
        for consumer in consumers(nats, evaluator, lanes, Pace(1)):
            await stack.enter_async_context(background(consumer.run()))
        await stack.enter_async_context(background(Flips(work_db, evaluator, lanes).run()))
        await stack.enter_async_context(background(Relay(work_db, nats, service="segments").run()))
        yield evaluator


@contextlib.asynccontextmanager
async def background(coroutine) -> AsyncIterator[None]:
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        if task.done():
            task.result()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
