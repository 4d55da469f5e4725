"""From the feed to the endpoints: what is to be delivered to whom."""

from array import array
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from chassis.db import WriteTx
from chassis.ids import AccountId
from services.gateway.convert import events as convert
from services.gateway.domain import event_types, retries
from services.gateway.feed.repository import Event

# Two events of one object may come over NATS in the wrong order when they are made together. Within this time they are
# put right; later, the newer one is gone already.
SETTLE = timedelta(milliseconds=200)

# The lock is against a worker that lets go of the queue just now, because it has not seen what comes here.
ENDPOINTS = """
SELECT w.id, w.event_types FROM webhooks AS w
JOIN webhook_queues AS q ON q.account_id = w.account_id AND q.webhook_id = w.id
WHERE w.account_id = $1 AND w.enabled ORDER BY w.id FOR NO KEY UPDATE OF q
"""
# By the clock, not by the begin of the transaction: what is later in the feed is not due earlier.
ENQUEUE = """
INSERT INTO webhook_deliveries (account_id, webhook_id, event_id, type, time, position, objects, next_at)
SELECT $1, new.webhook_id, new.event_id, new.type, new.time, new.position, new.objects,
    clock_timestamp() + $8::interval
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bytea[])
    AS new (webhook_id, event_id, type, time, position, objects)
ON CONFLICT (account_id, webhook_id, event_id) DO NOTHING
"""
# One that is down rests for as long as was found.
WAKE = """
UPDATE webhook_queues SET due_at = now() + $3::interval
WHERE account_id = $1 AND webhook_id = ANY($2::uuid[])
    AND (due_at IS NULL OR (due_at > now() + $3::interval AND failures < $4))
"""


async def enqueue(tx: WriteTx, account: AccountId, events: Sequence[Event]) -> bool:
    """Whether anybody wants any of them."""
    endpoints = {row["id"]: row["event_types"] for row in await tx.fetch(ENDPOINTS, account)}
    wanted = [
        (webhook, event)
        for event in events
        for webhook, types in endpoints.items()
        if event_types.matches(types, event.type)
    ]
    if not wanted:
        return False
    objects = packed_objects({event.id: event for _, event in wanted})
    await tx.execute(
        ENQUEUE,
        account,
        [webhook for webhook, _ in wanted],
        [event.id for _, event in wanted],
        [event.type for _, event in wanted],
        [event.time for _, event in wanted],
        [event.position for _, event in wanted],
        [objects[event.id] for _, event in wanted],
        SETTLE,
    )
    await tx.execute(WAKE, account, list({webhook for webhook, _ in wanted}), SETTLE, retries.DOWN_AFTER)
    return True


def packed_objects(events: Mapping[UUID, Event]) -> dict[UUID, bytes]:
    return {name: pack(convert.objects(event.type, event.data)) for name, event in events.items()}


# An object and its revision.
PAIR_BYTES = 16


def pack(objects: Mapping[int, int]) -> bytes:
    """Eight bytes for the object and eight for its revision, over and over."""
    return array("q", [number for pair in objects.items() for number in pair]).tobytes()


def unpack(packed: bytes) -> list[tuple[int, int]]:
    numbers = array("q")
    numbers.frombytes(packed)
    return list(zip(numbers[::2], numbers[1::2], strict=True))
