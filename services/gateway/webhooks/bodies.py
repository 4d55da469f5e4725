"""What is sent: the event as JSON, made once for all endpoints that want it."""

import asyncio
from collections import OrderedDict

import orjson

from chassis.db import Database
from chassis.ids import AccountId
from services.gateway.convert.events import envelope
from services.gateway.domain import event_types
from services.gateway.webhooks import queue
from services.gateway.webhooks.queue import Delivery

CACHE_BYTES = 32 << 20
# Longer ones take milliseconds to write, in which nothing else should stand still.
ASIDE_BYTES = 32 * 1024

Name = tuple[AccountId, int]


class Bodies:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._kept: OrderedDict[Name, bytes] = OrderedDict()
        self._size = 0
        self._under_way: dict[Name, asyncio.Task[bytes | None]] = {}

    async def get(self, account: AccountId, delivery: Delivery) -> bytes | None:
        """None where the event is no longer kept. Raises Unavailable."""
        if delivery.type == event_types.TEST:
            return trial_body(delivery)
        name = (account, delivery.position)
        kept = self._kept.get(name)
        if kept is not None:
            self._kept.move_to_end(name)
            return kept
        task = self._under_way.get(name)
        if task is None:
            task = self._under_way[name] = asyncio.create_task(self._make(name, delivery))
            task.add_done_callback(lambda _: self._under_way.pop(name))
        return await asyncio.shield(task)

    async def _make(self, name: Name, delivery: Delivery) -> bytes | None:
        account, position = name
        async with self._db.across() as tx:
            data = await queue.body(tx, account, position)
        if data is None:
            return None
        body = await asyncio.to_thread(write, delivery, data) if len(data) > ASIDE_BYTES else write(delivery, data)
        self._keep(name, body)
        return body

    def _keep(self, name: Name, body: bytes) -> None:
        self._kept[name] = body
        self._size += len(body)
        while self._size > CACHE_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)


def write(delivery: Delivery, data: bytes) -> bytes:
    return orjson.dumps(
        envelope(
            event_id=str(delivery.event_id),
            event_type=delivery.type,
            time=delivery.time,
            position=delivery.position,
            data=data,
        )
    )


def trial_body(delivery: Delivery) -> bytes:
    shown = envelope(
        event_id=str(delivery.event_id), event_type=delivery.type, time=delivery.time, position=None, data=b""
    )
    shown.pop("data_base64")
    return orjson.dumps(shown | {"data": {}})
