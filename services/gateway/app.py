"""Composition: what the gateway's processes are made of."""

import asyncio
from pathlib import Path

from chassis import idempotency, migrations, outbox
from chassis.db import Database
from chassis.nats import Nats
from chassis.relay import Relay
from chassis.runner import Process
from services.gateway import api, backends, service
from services.gateway.auth import Authenticator, Principal
from services.gateway.config import GatewaySettings
from services.gateway.edge import Edge
from services.gateway.server import HttpServer

VERSIONS = Path(__file__).parent / "migrations" / "versions"
CLEAN_SECONDS = 600.0


async def serve(process: Process, settings: GatewaySettings) -> None:
    """REST on HTTP_BIND."""
    db = await Database.open(settings.database_url, pool_size=settings.database_pool, name="gateway")
    behind = backends.connect(settings)

    async def lookup(digest: bytes) -> Principal | None:
        return await service.find_key(db, digest)

    async def ready() -> None:
        await migrations.check_head(db, VERSIONS)

    authenticator = Authenticator(lookup, ttl=settings.key_cache_seconds)
    app = api.connected(settings, backends=behind, authenticator=authenticator, ready=ready)
    server = HttpServer(Edge(app), bind=settings.http_bind)
    process.add(db)
    process.add(behind)
    process.add(server)
    process.loop("http", server.watch)
    process.ready_check("database", ready)


async def work(process: Process, settings: GatewaySettings) -> None:
    """Tells the world of accounts, and forgets what has been told."""
    db = await Database.open(settings.database_url, pool_size=settings.database_pool, name="gateway-work")
    nats = await Nats.connect(settings.nats_url, "gateway-work")

    async def ready() -> None:
        await migrations.check_head(db, VERSIONS)

    async def clean() -> None:
        while True:
            async with db.across() as tx:
                await outbox.clean(tx.connection)
                await idempotency.clean(tx.connection)
            await asyncio.sleep(CLEAN_SECONDS)

    process.add(db)
    process.add(nats)
    process.loop("relay", Relay(db, nats, service="gateway").run)
    process.loop("clean", clean)
    process.ready_check("database", ready)
    process.ready_check("nats", nats.ping)
