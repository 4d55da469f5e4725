"""The queries of those who deliver. Of the work role, over all accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from chassis.resealing import Sealed

# A queue belongs to whoever holds it until its time is over. Those that are down are counted apart: they are many
# when something breaks, and wait longest.
CLAIM = """
UPDATE webhook_queues AS q SET holder = $1, held_until = now() + $2::interval
FROM (
    SELECT account_id, webhook_id FROM webhook_queues
    WHERE account_id IS NOT NULL AND due_at <= now() AND held_until < now() AND (failures >= $3) = $4
    ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED
) AS due JOIN webhooks AS w ON w.account_id = due.account_id AND w.id = due.webhook_id
WHERE q.account_id = due.account_id AND q.webhook_id = due.webhook_id
RETURNING q.account_id, q.webhook_id, q.failures, w.url, w.secret, w.enabled,
    CASE WHEN w.old_secret_until > now() THEN w.old_secret END AS old_secret
"""
# What is held stays held, and is looked at anew: it may have been edited, disabled or deleted. Locked in the order in
# which fan_out.ENDPOINTS locks an account's, fifty times a second: in another one, the two would wait for each other.
RENEW = """
WITH mine AS MATERIALIZED (
    SELECT account_id, webhook_id FROM webhook_queues WHERE holder = $1
    ORDER BY account_id, webhook_id FOR NO KEY UPDATE
)
UPDATE webhook_queues AS q SET held_until = now() + $2::interval FROM mine, webhooks AS w
WHERE q.account_id = mine.account_id AND q.webhook_id = mine.webhook_id
    AND w.account_id = q.account_id AND w.id = q.webhook_id
RETURNING q.account_id, q.webhook_id, q.failures, w.url, w.secret, w.enabled,
    CASE WHEN w.old_secret_until > now() THEN w.old_secret END AS old_secret
"""
LOCK = "SELECT 1 FROM webhook_queues WHERE account_id = $1 AND webhook_id = $2 AND holder = $3 FOR UPDATE"
# After LOCK, in a statement of its own, so that it sees what was enqueued before the lock was had.
LET_GO = """
UPDATE webhook_queues AS q SET holder = NULL, held_until = '-infinity', failures = $3,
    due_at = (
        SELECT greatest(next.at, now() + $4::interval)
        FROM (SELECT least(
            (SELECT next_at FROM webhook_deliveries
             WHERE account_id = $1 AND webhook_id = $2 AND tries = 0 AND NOT manual ORDER BY position LIMIT 1),
            (SELECT next_at FROM webhook_deliveries
             WHERE account_id = $1 AND webhook_id = $2 AND (tries > 0 OR manual) ORDER BY next_at LIMIT 1)
        ) AS at) AS next
        JOIN webhooks AS w ON w.account_id = $1 AND w.id = $2 AND w.enabled
        WHERE next.at IS NOT NULL
    )
WHERE q.account_id = $1 AND q.webhook_id = $2
"""
FRESH = """
SELECT event_id, type, time, position, objects, tries, true AS due FROM webhook_deliveries
WHERE account_id = $1 AND webhook_id = $2 AND tries = 0 AND NOT manual AND position > $3 AND next_at <= now()
ORDER BY position LIMIT $4
"""
AGAIN = """
SELECT event_id, type, time, position, objects, tries, next_at <= now() AS due FROM webhook_deliveries
WHERE account_id = $1 AND webhook_id = $2 AND (tries > 0 OR manual) ORDER BY next_at LIMIT $3
"""
# It answers again: what waits need wait no longer.
BRING_FORWARD = """
UPDATE webhook_deliveries SET next_at = now()
WHERE account_id = $1 AND webhook_id = $2 AND (tries > 0 OR manual) AND next_at > now()
"""
DONE = """
DELETE FROM webhook_deliveries AS d
USING unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS done (account_id, webhook_id, id)
WHERE d.account_id = done.account_id AND d.webhook_id = done.webhook_id AND d.event_id = done.id
"""
LATER = """
UPDATE webhook_deliveries AS d SET tries = late.tries, next_at = late.next_at
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::timestamptz[])
    AS late (account_id, webhook_id, id, tries, next_at)
WHERE d.account_id = late.account_id AND d.webhook_id = late.webhook_id AND d.event_id = late.id
"""
LOG = """
INSERT INTO webhook_attempts (account_id, webhook_id, id, event_id, type, time, position, number, outcome, status,
    error, started_at, duration_ms, next_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::bigint[],
    $8::integer[], $9::text[], $10::integer[], $11::text[], $12::timestamptz[], $13::integer[], $14::timestamptz[])
"""
GONE = """
UPDATE webhooks SET enabled = false, disabled_reason = 'gone', version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = $2 AND enabled AND url = $3
"""
BODY = "SELECT data FROM feed_events WHERE account_id = $1 AND position = $2"
SEALED = Sealed("webhooks", "whk", ("secret", "old_secret"), remedy="rotate its secret")
CLEAN_DELIVERIES = "DELETE FROM webhook_deliveries WHERE created_at < now() - $1::interval"
CLEAN_ATTEMPTS = "DELETE FROM webhook_attempts WHERE started_at < now() - $1::interval"

Key = tuple[AccountId, UUID]


@dataclass(frozen=True, slots=True)
class Held:
    """An endpoint as it is now, of a queue that we hold."""

    account: AccountId
    webhook: UUID
    url: str
    enabled: bool
    # Attempts that failed since the last that did not.
    failures: int
    # Sealed; the second one is of a rotation that is under way.
    secrets: tuple[bytes, ...]

    @property
    def key(self) -> Key:
        return self.account, self.webhook


@dataclass(frozen=True, slots=True)
class Delivery:
    event_id: UUID
    type: str
    time: datetime
    # 0: it is not in the feed.
    position: int
    # See fan_out.unpack.
    objects: bytes
    # Attempts made.
    tries: int
    due: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that was made, and what follows from it."""

    id: UUID
    endpoint: Held
    delivery: Delivery
    outcome: str
    status: int | None
    error: str | None
    started_at: datetime
    duration_ms: int
    # None where it was the last.
    next_at: datetime | None


def held(row: asyncpg.Record) -> Held:
    secrets = tuple(one for one in (row["secret"], row["old_secret"]) if one is not None)
    return Held(AccountId(row["account_id"]), row["webhook_id"], row["url"], row["enabled"], row["failures"], secrets)


async def claim(tx: WriteTx, holder: UUID, *, lease: timedelta, down_after: int, down: bool, limit: int) -> list[Held]:
    """down: those that have failed so often, or the others."""
    return [held(row) for row in await tx.fetch(CLAIM, holder, lease, down_after, down, limit)]


async def renew(tx: WriteTx, holder: UUID, *, lease: timedelta) -> list[Held]:
    """All that the holder still holds."""
    return [held(row) for row in await tx.fetch(RENEW, holder, lease)]


async def let_go(tx: WriteTx, holder: UUID, key: Key, *, failures: int, rest: timedelta) -> None:
    """rest: how long it is left alone at least."""
    if await tx.fetchval(LOCK, *key, holder) is not None:
        await tx.execute(LET_GO, *key, failures, rest)


async def fresh(tx: ReadTx, key: Key, *, after: int, limit: int) -> list[Delivery]:
    """Never tried, due, and behind the position; in the order of the feed, in which they become due."""
    return [Delivery(**row) for row in await tx.fetch(FRESH, *key, after, limit)]


async def again(tx: ReadTx, key: Key, *, limit: int) -> list[Delivery]:
    """Tried before, or asked for by hand, due or not; the next first."""
    return [Delivery(**row) for row in await tx.fetch(AGAIN, *key, limit)]


async def record(tx: WriteTx, attempts: Sequence[Attempt]) -> None:
    done = [one for one in attempts if one.next_at is None]
    late = [one for one in attempts if one.next_at is not None]
    if done:
        await tx.execute(DONE, *columns(done))
    if late:
        await tx.execute(LATER, *columns(late), [one.delivery.tries + 1 for one in late], [one.next_at for one in late])
    await tx.execute(
        LOG,
        [one.endpoint.account for one in attempts],
        [one.endpoint.webhook for one in attempts],
        [one.id for one in attempts],
        [one.delivery.event_id for one in attempts],
        [one.delivery.type for one in attempts],
        [one.delivery.time for one in attempts],
        [one.delivery.position for one in attempts],
        [one.delivery.tries + 1 for one in attempts],
        [one.outcome for one in attempts],
        [one.status for one in attempts],
        [one.error for one in attempts],
        [one.started_at for one in attempts],
        [one.duration_ms for one in attempts],
        [one.next_at for one in attempts],
    )


def columns(attempts: Sequence[Attempt]) -> tuple[list[AccountId], list[UUID], list[UUID]]:
    return (
        [one.endpoint.account for one in attempts],
        [one.endpoint.webhook for one in attempts],
        [one.delivery.event_id for one in attempts],
    )


async def disable_gone(tx: WriteTx, endpoint: Held) -> None:
    """The endpoint said 410. One whose URL was changed meanwhile is another."""
    await tx.execute(GONE, *endpoint.key, endpoint.url)


async def bring_forward(tx: WriteTx, key: Key) -> None:
    await tx.execute(BRING_FORWARD, *key)


async def body(tx: ReadTx, account: AccountId, position: int) -> bytes | None:
    """None where the event is no longer kept."""
    found: bytes | None = await tx.fetchval(BODY, account, position)
    return found
