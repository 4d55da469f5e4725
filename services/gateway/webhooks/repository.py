"""The queries of those who keep webhooks. Under the account of the transaction."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId

# So that two who both make the last one that is allowed follow one another.
LOCK_COUNT = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || $1::uuid::text, 0))"
COUNT = "SELECT count(*) FROM webhooks WHERE account_id = $1"
INSERT = """
INSERT INTO webhooks (account_id, id, url, description, event_types, enabled, secret)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *
"""
INSERT_QUEUE = "INSERT INTO webhook_queues (account_id, webhook_id) VALUES ($1, $2)"
GET = "SELECT * FROM webhooks WHERE account_id = $1 AND id = $2"
PAGE = "SELECT * FROM webhooks WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"
UPDATE = """
UPDATE webhooks SET url = $3, description = $4, event_types = $5, enabled = $6,
    disabled_reason = CASE WHEN $6 OR enabled THEN NULL ELSE disabled_reason END,
    version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = $2 RETURNING *
"""
# Not at once what is held: whoever holds it sees the endpoint anew by itself, and lets go of what is disabled.
WAKE = """
UPDATE webhook_queues SET due_at = now(), failures = CASE WHEN $3 THEN 0 ELSE failures END
WHERE account_id = $1 AND webhook_id = $2
"""
ROTATE = """
UPDATE webhooks SET secret = $3, old_secret = CASE WHEN $4::interval > '0' THEN secret END,
    old_secret_until = CASE WHEN $4::interval > '0' THEN now() + $4::interval END,
    version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = $2 RETURNING *
"""
DELETE = "DELETE FROM webhooks WHERE account_id = $1 AND id = $2"
DELETE_QUEUE = "DELETE FROM webhook_queues WHERE account_id = $1 AND webhook_id = $2"
DELETE_DELIVERIES = "DELETE FROM webhook_deliveries WHERE account_id = $1 AND webhook_id = $2"
DELETE_ATTEMPTS = "DELETE FROM webhook_attempts WHERE account_id = $1 AND webhook_id = $2"
# A second request for the same event, or one for an event that waits for its next attempt, makes one delivery.
ASK = """
INSERT INTO webhook_deliveries (account_id, webhook_id, event_id, type, time, position, objects, manual, next_at)
VALUES ($1, $2, $3, $4, $5, $6, '', true, now())
ON CONFLICT (account_id, webhook_id, event_id) DO UPDATE SET manual = true, tries = 0, next_at = now()
"""
ATTEMPT = "SELECT * FROM webhook_attempts WHERE account_id = $1 AND webhook_id = $2 AND id = $3"
ATTEMPTS = """
SELECT * FROM webhook_attempts
WHERE account_id = $1 AND webhook_id = $2 AND ($3::uuid IS NULL OR id < $3) AND ($4::text IS NULL OR outcome = $4)
    AND ($5::uuid IS NULL OR event_id = $5)
ORDER BY id DESC LIMIT $6
"""
KEPT = "SELECT 1 FROM feed_events WHERE account_id = $1 AND position = $2"


async def count(tx: WriteTx) -> int:
    """Nobody else makes one in the account until this transaction ends."""
    await tx.execute(LOCK_COUNT, tx.account)
    number: int = await tx.fetchval(COUNT, tx.account)
    return number


async def insert(
    tx: WriteTx, webhook: UUID, *, url: str, description: str, event_types: Sequence[str], enabled: bool, secret: bytes
) -> asyncpg.Record:
    row = await tx.fetchrow(INSERT, tx.account, webhook, url, description, list(event_types), enabled, secret)
    await tx.execute(INSERT_QUEUE, tx.account, webhook)
    assert row is not None
    return row


async def get(tx: ReadTx, account: AccountId, webhook: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(GET, account, webhook)


async def lock(tx: WriteTx, webhook: UUID) -> asyncpg.Record | None:
    """Until the transaction ends nobody else changes it."""
    return await tx.fetchrow(GET + " FOR UPDATE", tx.account, webhook)


async def page(tx: ReadTx, account: AccountId, *, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """The newest first."""
    return await tx.fetch(PAGE, account, before, limit)


async def update(
    tx: WriteTx, webhook: UUID, *, url: str, description: str, event_types: Sequence[str], enabled: bool
) -> asyncpg.Record:
    row = await tx.fetchrow(UPDATE, tx.account, webhook, url, description, list(event_types), enabled)
    assert row is not None
    return row


async def wake(tx: WriteTx, webhook: UUID, *, forgive: bool) -> None:
    """Somebody looks at its queue at once. forgive: it no longer counts as down."""
    await tx.execute(WAKE, tx.account, webhook, forgive)


async def rotate(tx: WriteTx, webhook: UUID, *, secret: bytes, overlap: timedelta) -> asyncpg.Record:
    row = await tx.fetchrow(ROTATE, tx.account, webhook, secret, overlap)
    assert row is not None
    return row


async def delete(tx: WriteTx, webhook: UUID) -> None:
    for statement in (DELETE, DELETE_QUEUE, DELETE_DELIVERIES, DELETE_ATTEMPTS):
        await tx.execute(statement, tx.account, webhook)


async def ask(tx: WriteTx, webhook: UUID, *, event_id: UUID, event_type: str, time: object, position: int) -> None:
    """For a delivery now, in nobody's order."""
    await tx.execute(ASK, tx.account, webhook, event_id, event_type, time, position)


async def attempt(tx: ReadTx, account: AccountId, webhook: UUID, attempt_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(ATTEMPT, account, webhook, attempt_id)


async def attempts(
    tx: ReadTx,
    account: AccountId,
    webhook: UUID,
    *,
    before: UUID | None,
    outcome: str | None,
    event_id: UUID | None,
    limit: int,
) -> list[asyncpg.Record]:
    """The newest first."""
    return await tx.fetch(ATTEMPTS, account, webhook, before, outcome, event_id, limit)


async def is_kept(tx: ReadTx, account: AccountId, position: int) -> bool:
    """Whether the feed still has the event there."""
    return await tx.fetchval(KEPT, account, position) is not None
