"""The composition roots: what each process of this service is made of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from carillon.segments.v1 import segments_pb2 as pb
from chassis import collector, schema, telemetry, tls
from chassis.db import Database
from chassis.grpc_client import Client
from chassis.grpc_server import Server
from chassis.haste import Pace
from chassis.ids import AccountId
from chassis.nats import Nats, Poker
from chassis.relay import Relay, topic
from chassis.runner import Process
from chassis.tokens import TokenSigner, TokenVerifier
from chassis.watch import Watch
from services.segments import reconciliations
from services.segments.builder import TOPIC, Builder
from services.segments.cleaner import Cleaner
from services.segments.config import ServeSettings, WorkSettings
from services.segments.consumers import behind, consumers
from services.segments.contacts_source import ContactsSource
from services.segments.evaluation import Evaluator
from services.segments.flips import Flips
from services.segments.lanes import Lanes
from services.segments.looks import LOOKS
from services.segments.reconcile import Reconciler, Step
from services.segments.reconciling import Reconciliation
from services.segments.service import Segments
from services.segments.servicer import SegmentsServicer

SERVICE = "segments"
VERSIONS = Path(__file__).parent / "migrations" / "versions"
CONNECT_SECONDS, CONNECT_LOOKS = 5.0, 50


async def serve(process: Process, settings: ServeSettings) -> None:
    telemetry.setup(SERVICE, "serve", log_level=settings.log_level)
    db, nats = await connect(process, settings)
    segments = Segments(db, wake_builder=Poker(nats, TOPIC))
    server = Server(
        settings.grpc_bind, TokenVerifier(SERVICE, settings.token_public_keys), tls=tls.opened(process, settings)
    )
    server.add(pb.DESCRIPTOR.services_by_name["SegmentsService"], SegmentsServicer(segments))
    process.add(server)


async def work(process: Process, settings: WorkSettings) -> None:
    telemetry.setup(SERVICE, "work", log_level=settings.log_level)
    process.collector = collector.BATCHES
    db, nats = await connect(process, settings)
    evaluator, lanes, pace = Evaluator(db), Lanes(), Pace(settings.bulk_share)
    await pace.listen(nats)
    for consumer in consumers(nats, evaluator, lanes, pace):
        process.loop("consumer", consumer.run)
    process.loop("flips", Flips(db, evaluator, lanes).run)
    process.loop("builder", Builder(db, nats).run)
    contacts = contacts_client(settings, tls.opened(process, settings))
    process.add(contacts)
    if settings.reconcile_hours:
        process.loop("reconciliation", reconciliation(settings, db, nats, contacts, evaluator, lanes).run)
    process.loop("cleaner", Cleaner(db, kept=settings.retention, interval=settings.cleaning_seconds).run)
    process.loop("relay", Relay(db, nats, service=SERVICE).run)
    process.loop("watch", Watch(db, LOOKS).run)


async def reconcile(settings: WorkSettings, *, account: AccountId | None) -> AsyncIterator[tuple[AccountId, Step]]:
    """Step by step, of one account or of all. Raises reconciliations.Lost and chassis.errors."""
    telemetry.setup(SERVICE, "reconcile", log_level=settings.log_level)
    async with contextlib.AsyncExitStack() as stack:
        db = await stack.enter_async_context(Database.opened(settings.database_url, pool_size=2, name=SERVICE))
        nats = Nats.of(settings, SERVICE, wait=False)
        await nats.start()
        stack.push_async_callback(nats.stop)
        await connected(nats)
        contacts = contacts_client(settings, tls.Tls(settings.tls_files) if settings.tls_files else None)
        stack.push_async_callback(contacts.stop)
        work = reconciliation(settings, db, nats, contacts, Evaluator(db), Lanes())
        await reconciliations.discover(db)
        for owner in [account] if account is not None else await reconciliations.accounts(db):
            async for step in work.whole(owner):
                yield owner, step


async def connected(nats: Nats) -> None:
    """Soon, or never: it is only asked how far the consumers are."""
    for _ in range(CONNECT_LOOKS):
        if nats.client.is_connected:
            return
        await asyncio.sleep(CONNECT_SECONDS / CONNECT_LOOKS)


def contacts_client(settings: WorkSettings, own: tls.Tls | None) -> Client[ContactsServiceStub]:
    signer = TokenSigner(SERVICE, settings.token_private_key)
    return Client(settings.contacts_target, ContactsServiceStub, audience="contacts", signer=signer, tls=own)


def reconciliation(
    settings: WorkSettings,
    db: Database,
    nats: Nats,
    contacts: Client[ContactsServiceStub],
    evaluator: Evaluator,
    lanes: Lanes,
) -> Reconciliation:
    reconciler = Reconciler(db, ContactsSource(contacts), evaluator, lanes, behind=lambda: behind(nats))
    interval = timedelta(hours=settings.reconcile_hours)
    return Reconciliation(db, reconciler, interval=interval, pause=settings.reconcile_pause_seconds)


async def connect(process: Process, settings: ServeSettings | WorkSettings) -> tuple[Database, Nats]:
    db = await Database.open(settings.database_url, pool_size=settings.database_pool, name=SERVICE)
    # Who serves needs no broker: events wait in the outbox.
    needed = isinstance(settings, WorkSettings)
    nats = Nats.of(settings, SERVICE, wait=needed)
    db.on_events = Poker(nats, topic(SERVICE))
    process.add(db)
    process.add(nats)
    process.ready_check("schema", lambda: schema.check(db, VERSIONS))
    if needed:
        process.ready_check("nats", nats.ping)
    return db, nats
