"""The composition roots: what each process of this service is made of."""

import gc
from pathlib import Path

from carillon.segments.v1 import segments_pb2 as pb
from chassis import schema, telemetry
from chassis.db import Database
from chassis.grpc_server import Server
from chassis.nats import Nats, Poker
from chassis.relay import Relay, topic
from chassis.runner import Process
from chassis.tokens import TokenVerifier
from services.segments.builder import TOPIC, Builder
from services.segments.cleaner import Cleaner
from services.segments.config import ServeSettings, WorkSettings
from services.segments.consumers import consumers
from services.segments.evaluation import Evaluator
from services.segments.flips import Flips
from services.segments.lanes import Lanes
from services.segments.service import Segments
from services.segments.servicer import SegmentsServicer

SERVICE = "segments"
VERSIONS = Path(__file__).parent / "migrations" / "versions"


async def serve(process: Process, settings: ServeSettings) -> None:
    telemetry.setup(SERVICE, "serve", log_level=settings.log_level)
    db, nats = await connect(process, settings)
    segments = Segments(db, wake_builder=Poker(nats, TOPIC))
    server = Server(settings.grpc_bind, TokenVerifier(SERVICE, settings.token_public_keys))
    server.add(pb.DESCRIPTOR.services_by_name["SegmentsService"], SegmentsServicer(segments))
    process.add(server)


async def work(process: Process, settings: WorkSettings) -> None:
    telemetry.setup(SERVICE, "work", log_level=settings.log_level)
    spare_collector()
    db, nats = await connect(process, settings)
    evaluator, lanes = Evaluator(db), Lanes()
    for consumer in consumers(nats, evaluator, lanes):
        process.loop("consumer", consumer.run)
    process.loop("flips", Flips(db, evaluator, lanes).run)
    process.loop("builder", Builder(db, nats).run)
    process.loop("cleaner", Cleaner(db, kept=settings.retention, interval=settings.cleaning_seconds).run)
    process.loop("relay", Relay(db, nats, service=SERVICE).run)


def spare_collector() -> None:
    """A batch makes thousands of short-lived objects and no cycles: looking for some would hold up live changes."""
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


async def connect(process: Process, settings: ServeSettings | WorkSettings) -> tuple[Database, Nats]:
    db = await Database.open(settings.database_url, pool_size=settings.database_pool, name=SERVICE)
    nats = await Nats.connect(
        settings.nats_url, SERVICE, kept=settings.retention, wait=isinstance(settings, WorkSettings)
    )
    db.on_events = Poker(nats, topic(SERVICE))
    process.add(db)
    process.add(nats)
    process.ready_check("schema", lambda: schema.check(db, VERSIONS))
    if isinstance(settings, WorkSettings):
        # Who serves needs no broker: events wait in the outbox.
        process.ready_check("nats", nats.ping)
    return db, nats
