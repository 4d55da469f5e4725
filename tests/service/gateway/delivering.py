"""The part of the `work` process that delivers, in the test's own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chassis import ids
from chassis.db import Database
from chassis.ids import AccountId
from chassis.nats import Nats
from chassis.sealing import Sealer
from services.gateway.feed.writer import TOPIC, FeedWriter
from services.gateway.webhooks.bodies import Bodies
from services.gateway.webhooks.dispatcher import Dispatcher
from services.gateway.webhooks.recorder import Recorder
from services.gateway.webhooks.runner import Means
from services.gateway.webhooks.transport import Transport
from tests.service.gateway.conftest import SECRETS_KEY, Gateway
from tests.service.stack import eventually

LEASE = timedelta(seconds=2)


@asynccontextmanager
async def delivering(
    db: Database, nats: Nats, *, timeout: float = 5.0, places: int = 16, secrets_key: str = SECRETS_KEY
) -> AsyncIterator[Dispatcher]:
    transport = Transport(timeout=timeout, private=True)
    await transport.start()
    means = Means(db=db, transport=transport, bodies=Bodies(db), recorder=Recorder(db), sealer=Sealer(secrets_key))
    dispatcher = Dispatcher(means, nats, topic=TOPIC, places=places, lease=LEASE)
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await transport.stop()


@dataclass
class Subscriber:
    """An account with webhooks."""

    gateway: Gateway
    account: AccountId
    key: str
    writer: FeedWriter

    async def call(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.gateway.call(method, path, key=self.key, **more)
        assert answer.status == status, answer.body
        return answer.body

    async def webhook(self, url: str, **more: Any) -> dict[str, Any]:
        return dict(await self.call("POST", "/v1/webhooks", 201, json={"url": url, **more}))

    async def attempts(self, webhook: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
        """Newest first."""
        return list((await self.call("GET", f"/v1/webhooks/{webhook['id']}/attempts?limit=100{query}"))["data"])

    async def ended(self, webhook: dict[str, Any], count: int) -> list[dict[str, Any]]:
        """The attempts, oldest first, once there are so many."""

        async def enough() -> list[dict[str, Any]]:
            found = await self.attempts(webhook)
            return found if len(found) >= count else []

        return (await eventually(enough, seconds=30))[::-1]

    async def hurry(self) -> None:
        """What waits for its next attempt need wait no longer: time passes."""
        async with self.gateway.work.across() as tx:
            await tx.execute("UPDATE webhook_deliveries SET next_at = now() WHERE account_id = $1", self.account)
            await tx.execute("UPDATE webhook_queues SET due_at = now() WHERE account_id = $1", self.account)

    async def waiting(self) -> int:
        async with self.gateway.work.across() as tx:
            return int(await tx.fetchval("SELECT count(*) FROM webhook_deliveries WHERE account_id = $1", self.account))


async def subscriber(gateway: Gateway, nats: Nats) -> Subscriber:
    from services.gateway import service

    made = await service.create_account(gateway.work, "Subscriber", scopes=["admin"])
    account = ids.decode_account(made.account_id)
    assert account is not None
    return Subscriber(gateway, account, made.key, FeedWriter(gateway.work, nats))
