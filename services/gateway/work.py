"""The `work` process: tells the world of accounts, and forgets what has been told."""

import asyncio
import functools
from datetime import timedelta

import asyncpg
import structlog

from chassis import idempotency, outbox, schema
from chassis.config import BrokerSettings
from chassis.db import Database
from chassis.errors import CarillonError
from chassis.nats import Nats
from chassis.relay import Relay
from chassis.runner import Process
from services.gateway import repository
from services.gateway.migrations import VERSIONS

log = structlog.get_logger()


async def work(process: Process, settings: BrokerSettings) -> None:
    db = await Database.open(settings.database_url, pool_size=settings.database_pool, name="gateway-work")
    nats = Nats(settings.nats_url, "gateway-work", kept=settings.retention)

    async def ready() -> None:
        await schema.check(db, VERSIONS)

    process.add(db)
    process.add(nats)
    process.loop("relay", Relay(db, nats, service="gateway").run)
    process.loop("cleaner", functools.partial(clean, db, kept=settings.retention, interval=settings.cleaning_seconds))
    process.ready_check("database", ready)
    process.ready_check("nats", nats.ping)


async def clean(db: Database, *, kept: timedelta, interval: float) -> None:
    """Drops what has been told, and keys nobody repeats a request under any more. Until cancelled."""
    while True:
        try:
            async with db.across() as tx:
                await outbox.clean(tx.connection, kept)
                await idempotency.clean(tx.connection, kept)
                await repository.clean_uses(tx)
        except (CarillonError, asyncpg.PostgresError) as error:
            log.warning("cleaner.failed", error=type(error).__name__)
        await asyncio.sleep(interval)
