"""The `serve` process: REST on HTTP_BIND."""

import asyncio

from chassis import schema
from chassis.db import Database
from chassis.runner import Process
from services.gateway import api, backends, service
from services.gateway.auth import Authenticator, Principal
from services.gateway.config import GatewaySettings
from services.gateway.edge import Edge
from services.gateway.migrations import VERSIONS
from services.gateway.server import HttpServer


async def serve(process: Process, settings: GatewaySettings) -> None:
    db = await Database.open(settings.database_url, pool_size=settings.database_pool, name="gateway")
    behind = backends.connect(settings)

    async def lookup(digest: bytes) -> Principal | None:
        return await service.find_key(db, digest)

    async def ready() -> None:
        await schema.check(db, VERSIONS)

    authenticator = Authenticator(lookup, ttl=settings.key_cache_seconds)
    stopping = asyncio.Event()
    app = api.connected(settings, backends=behind, authenticator=authenticator, db=db, ready=ready, stopping=stopping)
    server = HttpServer(Edge(app), bind=settings.http_bind, stopping=stopping)
    process.add(db)
    process.add(behind)
    process.add(server)
    process.loop("http", server.watch)
    process.ready_check("database", ready)
