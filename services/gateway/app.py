"""The `serve` process: REST on HTTP_BIND."""

import asyncio
from collections.abc import Awaitable, Callable

from chassis import ids, schema, tls
from chassis.db import Database
from chassis.errors import Reason, Unavailable
from chassis.runner import Process
from services.gateway import api, backends, budgets, service
from services.gateway.auth import Authenticator, Principal
from services.gateway.config import GatewaySettings
from services.gateway.domain.budget import Grant
from services.gateway.kept_answers import KeptAnswers
from services.gateway.key_uses import KeyUses
from services.gateway.keyring import Keyring
from services.gateway.limits import RateLimiter
from services.gateway.migrations import VERSIONS
from services.gateway.server import HttpServer


async def serve(process: Process, settings: GatewaySettings) -> None:
    db = await Database.open(settings.database_url, pool_size=settings.database_pool, name="gateway")
    behind = backends.connect(settings, tls.opened(process, settings))

    async def ready() -> None:
        if process.stopping:
            raise Unavailable(Reason.UNAVAILABLE, "This replica is about to stop.")
        await schema.check(db, VERSIONS)

    stopping = asyncio.Event()
    parts = assembled(settings, db, backends=behind, ready=ready, stopping=stopping)
    server = HttpServer(api.connected(settings, parts), bind=settings.http_bind, stopping=stopping)
    process.add(db)
    process.add(behind)
    process.add(parts.key_uses)
    process.add(server)
    process.on_leaving(server.leave)
    process.loop("http", server.watch)
    process.loop("key uses", parts.key_uses.run)
    process.ready_check("database", ready)


def assembled(
    settings: GatewaySettings,
    db: Database,
    *,
    backends: backends.Backends,
    ready: Callable[[], Awaitable[None]],
    stopping: asyncio.Event,
) -> api.Parts:
    """What works on the gateway's own database, as the serving role."""

    async def lookup(digest: bytes) -> Principal | None:
        return await service.find_key(db, digest)

    async def take(principal: Principal, per_second: int, wanted: int) -> Grant:
        key_id = ids.decode("key", principal.key_id)
        assert key_id is not None
        return await budgets.take(db, principal.account, key_id, per_second=per_second, wanted=wanted)

    authenticator = Authenticator(lookup, ttl=settings.key_cache_seconds)
    keyring = Keyring(db, authenticator)
    return api.Parts(
        backends=backends,
        authenticator=authenticator,
        limiter=RateLimiter(take, per_second=settings.rate_limit_per_second),
        keyring=keyring,
        key_uses=KeyUses(keyring.add_uses),
        kept_answers=KeptAnswers(db),
        db=db,
        ready=ready,
        stopping=stopping,
    )
