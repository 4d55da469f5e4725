"""Queries on senders."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from chassis.resealing import Sealed

# Two that both want to be the default follow one another.
LOCK_DEFAULT = "SELECT pg_advisory_xact_lock(hashtextextended('default sender ' || $1::uuid::text || $2, 0))"
DEFAULT = "SELECT * FROM senders WHERE account_id = $1 AND channel = $2 AND is_default"
CLEAR_DEFAULT = """
UPDATE senders SET is_default = false, version = version + 1, updated_at = now()
WHERE account_id = $1 AND channel = $2 AND is_default
"""
PROMOTE_OLDEST = """
UPDATE senders SET is_default = true, version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = (SELECT id FROM senders WHERE account_id = $1 AND channel = $2 ORDER BY id LIMIT 1)
"""
INSERT = """
INSERT INTO senders (account_id, id, name, channel, address, provider, settings, secrets, receipts_secret,
  receipts_digest, rate_limit_per_second, is_default)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING *
"""
GET = "SELECT * FROM senders WHERE account_id = $1 AND id = $2"
SOME = "SELECT * FROM senders WHERE account_id = $1 AND id = ANY ($2::uuid[])"
UPDATE = """
UPDATE senders SET name = $3, address = $4, settings = $5, secrets = $6, rate_limit_per_second = $7, is_default = $8,
  version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = $2 RETURNING *
"""
DELETE = "DELETE FROM senders WHERE account_id = $1 AND id = $2"
PAGE = "SELECT * FROM senders WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"

SEALED = Sealed("senders", "sender", ("secrets", "receipts_secret"), remedy="set its secrets again")


@dataclass(frozen=True, slots=True)
class NewSender:
    id: UUID
    name: str
    channel: str
    address: str
    provider: str
    settings: str
    secrets: bytes
    receipts_secret: bytes
    receipts_digest: bytes
    rate_limit_per_second: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What an update may write."""

    name: str
    address: str
    settings: str
    secrets: bytes
    rate_limit_per_second: int
    is_default: bool


async def lock_default(tx: WriteTx, channel: str) -> None:
    await tx.execute(LOCK_DEFAULT, tx.account, channel)


async def some(tx: ReadTx, account: UUID, sender_ids: Collection[UUID]) -> list[asyncpg.Record]:
    """Those that there are."""
    return await tx.fetch(SOME, account, list(sender_ids))


async def default(tx: ReadTx, account: UUID, channel: str) -> asyncpg.Record | None:
    return await tx.fetchrow(DEFAULT, account, channel)


async def default_for_share(tx: WriteTx, channel: str) -> asyncpg.Record | None:
    return await tx.fetchrow(DEFAULT + " FOR SHARE", tx.account, channel)


async def clear_default(tx: WriteTx, channel: str) -> None:
    await tx.execute(CLEAR_DEFAULT, tx.account, channel)


async def promote_oldest(tx: WriteTx, channel: str) -> None:
    await tx.execute(PROMOTE_OLDEST, tx.account, channel)


async def insert(tx: WriteTx, new: NewSender, *, is_default: bool) -> asyncpg.Record:
    row = await tx.fetchrow(
        INSERT,
        tx.account,
        new.id,
        new.name,
        new.channel,
        new.address,
        new.provider,
        new.settings,
        new.secrets,
        new.receipts_secret,
        new.receipts_digest,
        new.rate_limit_per_second,
        is_default,
    )
    assert row is not None
    return row


async def get(tx: ReadTx, account: UUID, sender_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(GET, account, sender_id)


async def get_for_update(tx: WriteTx, sender_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(GET + " FOR UPDATE", tx.account, sender_id)


async def get_for_share(tx: WriteTx, sender_id: UUID) -> asyncpg.Record | None:
    """Keeps it from being deleted before the transaction ends."""
    return await tx.fetchrow(GET + " FOR SHARE", tx.account, sender_id)


async def update(tx: WriteTx, sender_id: UUID, new: Changed) -> asyncpg.Record:
    row = await tx.fetchrow(
        UPDATE,
        tx.account,
        sender_id,
        new.name,
        new.address,
        new.settings,
        new.secrets,
        new.rate_limit_per_second,
        new.is_default,
    )
    assert row is not None
    return row


async def delete(tx: WriteTx, sender_id: UUID) -> None:
    await tx.execute(DELETE, tx.account, sender_id)


async def page(tx: ReadTx, account: UUID, *, below: UUID | None, size: int) -> list[asyncpg.Record]:
    return await tx.fetch(PAGE, account, below, size)
