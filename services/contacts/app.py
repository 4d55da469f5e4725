"""The composition roots: what each process of this service is made of."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import structlog

from carillon.campaigns.v1.campaigns_pb2_grpc import CampaignsServiceStub
from carillon.contacts.v1 import (
    activity_pb2,
    audiences_pb2,
    bulk_pb2,
    consent_pb2,
    exports_pb2,
    imports_pb2,
    lists_pb2,
    replies_pb2,
    suppression_uploads_pb2,
)
from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.segments.v1.segments_pb2_grpc import SegmentsServiceStub
from chassis import collector, haste, schema, telemetry, tls
from chassis.db import Database
from chassis.grpc_client import Client
from chassis.grpc_server import Server
from chassis.ids import AccountId
from chassis.nats import Nats, Poker
from chassis.relay import Relay, topic
from chassis.runner import Process
from chassis.tokens import TokenSigner, TokenVerifier
from chassis.watch import Watch
from services.contacts import replay as replaying
from services.contacts.activity.consumers import consumers
from services.contacts.activity.service import ActivityService
from services.contacts.activity.servicer import ActivityServicer
from services.contacts.audiences.service import AudienceService
from services.contacts.audiences.servicer import AudiencesServicer
from services.contacts.batch.service import BatchService
from services.contacts.bulk.service import POKE as BULK_POKE
from services.contacts.bulk.service import BulkService
from services.contacts.bulk.servicer import BulkServicer
from services.contacts.bulk.work import BulkWorker
from services.contacts.cleaner import Cleaner
from services.contacts.config import ServeSettings, WorkSettings
from services.contacts.consent.service import ConsentService
from services.contacts.consent.servicer import ConsentServicer
from services.contacts.erasure.hashing import AddressHash
from services.contacts.exports.contents import Contents
from services.contacts.exports.job import ExportWorker
from services.contacts.exports.peers import Campaigns, Segments
from services.contacts.exports.service import POKE as EXPORTS_POKE
from services.contacts.exports.service import ExportService
from services.contacts.exports.servicer import ExportsServicer
from services.contacts.imports.job import ImportWorker
from services.contacts.imports.lifecycle import ImportLifecycle
from services.contacts.imports.service import POKE, ImportService
from services.contacts.imports.servicer import ImportsServicer
from services.contacts.imports.undo_job import UndoWorker
from services.contacts.listing.requests import read_filter
from services.contacts.listing.service import ListingService
from services.contacts.lists.service import ListService
from services.contacts.lists.servicer import ListsServicer
from services.contacts.looks import LOOKS
from services.contacts.replies.service import ReplyService
from services.contacts.replies.servicer import RepliesServicer
from services.contacts.search.consumers import consumers as search_consumers
from services.contacts.search.rebuild import rebuild
from services.contacts.service import ContactService
from services.contacts.servicer import ContactsServicer
from services.contacts.streaming import StreamService
from services.contacts.suppressions.service import SuppressionService
from services.contacts.suppressions.servicer import SuppressionUploadsServicer
from services.contacts.suppressions.upload import SuppressionUploads

log = structlog.get_logger()

SERVICE = "contacts"
VERSIONS = Path(__file__).parent / "migrations" / "versions"


async def serve(process: Process, settings: ServeSettings) -> None:
    telemetry.setup(SERVICE, "serve", log_level=settings.log_level)
    db, nats = await connect(process, settings)
    wake_importers = Poker(nats, POKE)
    imports = ImportService(db, wake_importers, limit_bytes=settings.upload_limit_bytes)
    hashes = AddressHash(settings.erasure_key.get_secret_value())
    servicer = ContactsServicer(
        ContactService(db, hashes),
        imports,
        listing=ListingService(db),
        suppressions=SuppressionService(db, hashes),
        streams=StreamService(db),
    )
    server = Server(
        settings.grpc_bind, TokenVerifier(SERVICE, settings.token_public_keys), tls=tls.opened(process, settings)
    )
    server.add(pb.DESCRIPTOR.services_by_name["ContactsService"], servicer)
    wake_bulk = Poker(nats, BULK_POKE)
    server.add(lists_pb2.DESCRIPTOR.services_by_name["ListsService"], ListsServicer(ListService(db, wake_bulk)))
    bulk = BulkServicer(BulkService(db, wake_bulk), BatchService(db), read_filter=read_filter)
    server.add(bulk_pb2.DESCRIPTOR.services_by_name["BulkService"], bulk)
    activity = ActivityServicer(ActivityService(db))
    server.add(activity_pb2.DESCRIPTOR.services_by_name["ActivityService"], activity)
    server.add(audiences_pb2.DESCRIPTOR.services_by_name["AudiencesService"], AudiencesServicer(AudienceService(db)))
    consent = ConsentService(db, hashes)
    server.add(consent_pb2.DESCRIPTOR.services_by_name["ConsentService"], ConsentServicer(consent))
    replies = RepliesServicer(ReplyService(db, consent, hashes))
    server.add(replies_pb2.DESCRIPTOR.services_by_name["RepliesService"], replies)
    server.add(
        imports_pb2.DESCRIPTOR.services_by_name["ImportsService"], ImportsServicer(ImportLifecycle(db, wake_importers))
    )
    exports = ExportsServicer(ExportService(db, Poker(nats, EXPORTS_POKE), read_filter=read_filter))
    server.add(exports_pb2.DESCRIPTOR.services_by_name["ExportsService"], exports)
    uploads = SuppressionUploadsServicer(SuppressionUploads(db, limit_bytes=settings.upload_limit_bytes))
    server.add(suppression_uploads_pb2.DESCRIPTOR.services_by_name["SuppressionUploadsService"], uploads)
    process.add(server)


async def work(process: Process, settings: WorkSettings) -> None:
    telemetry.setup(SERVICE, "work", log_level=settings.log_level)
    process.collector = collector.BATCHES
    db, nats = await connect(process, settings)
    for slot in range(1, settings.import_slots + 1):
        wake = asyncio.Event()
        await nats.on_poke(POKE, wake)
        process.loop(f"imports-{slot}", ImportWorker(db, wake, hasten=Poker(nats, haste.TOPIC)).run)
    wake = asyncio.Event()
    await nats.on_poke(BULK_POKE, wake)
    process.loop("bulk", BulkWorker(db, wake, read_filter=read_filter).run)
    for consumer in (*consumers(nats, db), *search_consumers(nats, db)):
        process.loop("consumer", consumer.run)
    segments, campaigns = exported_peers(process, settings)
    contents = Contents(db, read_filter=read_filter, segments=segments, campaigns=campaigns)
    for slot in range(1, settings.export_slots + 1):
        wake = asyncio.Event()
        await nats.on_poke(EXPORTS_POKE, wake)
        process.loop(f"exports-{slot}", ExportWorker(db, wake, contents=contents, kept=settings.retention).run)
    wake = asyncio.Event()
    await nats.on_poke(POKE, wake)
    process.loop("undo", UndoWorker(db, wake, AddressHash(settings.erasure_key.get_secret_value())).run)
    process.loop("cleaner", Cleaner(db, kept=settings.retention, interval=settings.cleaning_seconds).run)
    process.loop("relay", Relay(db, nats, service=SERVICE).run)
    process.loop("watch", Watch(db, LOOKS).run)


async def reindex(settings: WorkSettings) -> None:
    telemetry.setup(SERVICE, "reindex", log_level=settings.log_level)
    done = 0
    async with Database.opened(settings.database_url, name=SERVICE) as db:
        async for done in rebuild(db):
            log.info("search.rebuilding", contacts=done)
    log.info("search.rebuilt", contacts=done)


async def replay(settings: WorkSettings, *, account: AccountId | None, since: datetime | None) -> AsyncIterator[int]:
    """How many contacts and tombstones were told of so far."""
    telemetry.setup(SERVICE, "replay", log_level=settings.log_level)
    async with Database.opened(settings.database_url, name=SERVICE) as db:
        async for told in replaying.replay(db, account=account, since=since):
            yield told


def exported_peers(process: Process, settings: WorkSettings) -> tuple[Segments, Campaigns]:
    signer, own = TokenSigner(SERVICE, settings.token_private_key), tls.opened(process, settings)
    segments = Client(settings.segments_target, SegmentsServiceStub, audience="segments", signer=signer, tls=own)
    campaigns = Client(settings.campaigns_target, CampaignsServiceStub, audience="campaigns", signer=signer, tls=own)
    process.add(segments)
    process.add(campaigns)
    return Segments(segments), Campaigns(campaigns)


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
