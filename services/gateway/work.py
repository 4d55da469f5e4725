"""The `work` process: tells the world of accounts, writes the feed of events, delivers to webhooks, and forgets."""

import asyncio
import functools
from datetime import timedelta

import asyncpg
import structlog

from chassis import idempotency, outbox, schema, tls
from chassis.db import Database
from chassis.errors import CarillonError
from chassis.haste import Pace
from chassis.nats import Nats
from chassis.relay import OUTBOX, Relay
from chassis.runner import Process
from chassis.sealing import Sealer
from chassis.watch import Watch
from services.gateway import repository
from services.gateway.config import WorkSettings
from services.gateway.feed import repository as feed
from services.gateway.feed.writer import TOPIC, FeedWriter
from services.gateway.migrations import VERSIONS
from services.gateway.webhooks import queue
from services.gateway.webhooks.bodies import Bodies
from services.gateway.webhooks.dispatcher import Dispatcher
from services.gateway.webhooks.recorder import Recorder
from services.gateway.webhooks.runner import Means
from services.gateway.webhooks.transport import Transport

log = structlog.get_logger()


async def work(process: Process, settings: WorkSettings) -> None:
    db = await Database.open(settings.database_url, pool_size=settings.database_pool, name="gateway-work")
    tls.opened(process, settings)
    nats = Nats.of(settings, "gateway-work")
    transport = Transport(timeout=settings.webhook_timeout_seconds, private=settings.webhook_private_addresses)

    async def ready() -> None:
        await schema.check(db, VERSIONS)

    process.add(db)
    process.add(nats)
    process.add(transport)
    process.loop("relay", Relay(db, nats, service="gateway").run)
    process.loop("watch", Watch(db, OUTBOX).run)
    pace = Pace(settings.bulk_share)
    await pace.listen(nats)
    for durable, consumer in FeedWriter(db, nats).consumers(pace).items():
        process.loop(durable, consumer.run)
    process.loop("webhooks", dispatcher(settings, db, nats, transport).run)
    process.loop("cleaner", functools.partial(clean, db, kept=settings.retention, interval=settings.cleaning_seconds))
    process.ready_check("database", ready)
    process.ready_check("nats", nats.ping)


def dispatcher(settings: WorkSettings, db: Database, nats: Nats, transport: Transport) -> Dispatcher:
    means = Means(
        db=db,
        transport=transport,
        bodies=Bodies(db),
        recorder=Recorder(db),
        sealer=Sealer(settings.secrets_keys.get_secret_value()),
    )
    return Dispatcher(
        means,
        nats,
        topic=TOPIC,
        places=settings.webhook_endpoints,
        lease=timedelta(seconds=settings.webhook_lease_seconds),
    )


async def clean(db: Database, *, kept: timedelta, interval: float) -> None:
    """Drops what has been told, and keys nobody repeats a request under any more. Until cancelled."""
    while True:
        try:
            async with db.across() as tx:
                await outbox.clean(tx.connection, kept)
                await idempotency.clean(tx.connection, kept)
                await repository.clean_uses(tx)
                for statement in (feed.CLEAN, queue.CLEAN_DELIVERIES, queue.CLEAN_ATTEMPTS):
                    await tx.execute(statement, kept)
        except (CarillonError, asyncpg.PostgresError) as error:
            log.warning("cleaner.failed", error=type(error).__name__)
        await asyncio.sleep(interval)
