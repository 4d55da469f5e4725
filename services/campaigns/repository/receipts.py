"""Queries on receipts: stored when they come, in one commit with others; applied by the workers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from chassis.db import WriteTx

STORE = """
INSERT INTO receipts (account_id, sender_id, provider_message_id, status, reason, at)
SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
ON CONFLICT DO NOTHING
"""
# Of our own links, whose recipients are known: in the name of the campaign's sender. $3: as RECIPIENT ids are written.
STORE_FOLLOWED = """
INSERT INTO receipts (account_id, sender_id, provider_message_id, status, reason, at)
SELECT $1, c.sender_id, k.name, k.status, '', k.at
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) AS k (id, name, status, at)
JOIN recipients AS r ON r.account_id = $1 AND r.id = k.id
JOIN campaigns AS c ON c.account_id = $1 AND c.id = r.campaign_id
ORDER BY 2, 3, 4
ON CONFLICT DO NOTHING
"""
TAKE = """
SELECT account_id, sender_id, provider_message_id, status, reason, at FROM receipts
WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
"""
NAMED = """
SELECT k.place, p.recipient_id
FROM unnest($1::integer[], $2::uuid[], $3::uuid[], $4::text[]) AS k (place, account_id, sender_id, message_id)
JOIN provider_messages AS p ON p.account_id = k.account_id AND p.sender_id = k.sender_id
  AND p.provider_message_id = k.message_id
"""
# Locked in the order in which everybody locks recipients, so that no two transactions wait for one another.
LOCK = """
SELECT k.place, r.* FROM unnest($1::integer[], $2::uuid[], $3::uuid[]) AS k (place, account_id, id)
JOIN recipients AS r ON r.account_id = k.account_id AND r.id = k.id
ORDER BY r.account_id, r.campaign_id, r.chunk, r.id FOR UPDATE OF r
"""
CAMPAIGNS = """
SELECT c.account_id, c.id, c.channel, c.sender_id FROM unnest($1::uuid[], $2::uuid[]) AS k (account_id, id)
JOIN campaigns AS c ON c.account_id = k.account_id AND c.id = k.id
"""
APPLY = """
UPDATE recipients AS r SET status = k.status, reason = k.reason, state_revision = r.state_revision + 1,
  sent_at = coalesce(r.sent_at, k.at), unanswered_since = NULL,
  delivered_at = CASE WHEN k.status = 'delivered' THEN k.at ELSE r.delivered_at END,
  opened_at = CASE WHEN k.status = 'opened' THEN k.at ELSE r.opened_at END,
  clicked_at = CASE WHEN k.status = 'clicked' THEN k.at ELSE r.clicked_at END
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[])
  AS k (account_id, campaign_id, chunk, id, status, reason, at)
WHERE r.account_id = k.account_id AND r.campaign_id = k.campaign_id AND r.chunk = k.chunk AND r.id = k.id
"""
DONE = """
DELETE FROM receipts AS r USING unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
  AS k (account_id, sender_id, provider_message_id, status)
WHERE r.account_id = k.account_id AND r.sender_id = k.sender_id AND r.provider_message_id = k.provider_message_id
  AND r.status = k.status
"""
# Looked at again after as long as it has waited already, and given up when they have been kept for long enough.
LATER = """
UPDATE receipts AS r SET due_at = now() + least(greatest(now() - r.received_at, interval '0.5 s'), interval '1 h')
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS k (account_id, sender_id, provider_message_id, status)
WHERE r.account_id = k.account_id AND r.sender_id = k.sender_id AND r.provider_message_id = k.provider_message_id
  AND r.status = k.status
"""
CLEAN = "DELETE FROM receipts WHERE received_at < now() - $1::interval AND due_at > now()"


@dataclass(frozen=True, slots=True, order=True)
class NewReceipt:
    sender_id: UUID
    provider_message_id: str
    status: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """A recipient's next state, by a receipt."""

    account: UUID
    campaign: UUID
    chunk: int
    recipient: UUID
    status: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, order=True)
class Followed:
    """A link of an email that somebody followed."""

    recipient: UUID
    # As the receipt's provider_message_id.
    name: str
    status: str
    at: datetime


async def store(tx: WriteTx, receipts: Sequence[NewReceipt]) -> None:
    """A receipt that waits already is kept once. In one order, so that no two transactions wait for one another."""
    receipts = sorted(receipts)
    await tx.execute(
        STORE,
        tx.account,
        [receipt.sender_id for receipt in receipts],
        [receipt.provider_message_id for receipt in receipts],
        [receipt.status for receipt in receipts],
        [receipt.reason for receipt in receipts],
        [receipt.at for receipt in receipts],
    )


async def store_followed(tx: WriteTx, followed: Sequence[Followed]) -> None:
    """Of recipients that there are."""
    await tx.execute(
        STORE_FOLLOWED,
        tx.account,
        [one.recipient for one in followed],
        [one.name for one in followed],
        [one.status for one in followed],
        [one.at for one in followed],
    )


async def take(tx: WriteTx, limit: int) -> list[asyncpg.Record]:
    """Due receipts of every account, held until the commit."""
    return await tx.fetch(TAKE, limit)


async def named(tx: WriteTx, receipts: Sequence[asyncpg.Record]) -> dict[int, UUID]:
    """The recipient by the receipt's place in the list, of those whose message's name is known."""
    rows = await tx.fetch(
        NAMED,
        list(range(len(receipts))),
        [receipt["account_id"] for receipt in receipts],
        [receipt["sender_id"] for receipt in receipts],
        [receipt["provider_message_id"] for receipt in receipts],
    )
    return {row["place"]: row["recipient_id"] for row in rows}


async def lock(tx: WriteTx, receipts: Sequence[asyncpg.Record], recipients: Mapping[int, UUID]) -> list[asyncpg.Record]:
    """The recipients, each with the `place` of its receipt; held until the commit."""
    accounts = [receipts[place]["account_id"] for place in recipients]
    return await tx.fetch(LOCK, list(recipients), accounts, list(recipients.values()))


async def campaigns(tx: WriteTx, keys: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], asyncpg.Record]:
    """Channel and sender, by account and campaign."""
    rows = await tx.fetch(CAMPAIGNS, [account for account, _ in keys], [campaign for _, campaign in keys])
    return {(row["account_id"], row["id"]): row for row in rows}


async def apply(tx: WriteTx, steps: Sequence[Step]) -> None:
    await tx.execute(
        APPLY,
        [step.account for step in steps],
        [step.campaign for step in steps],
        [step.chunk for step in steps],
        [step.recipient for step in steps],
        [step.status for step in steps],
        [step.reason for step in steps],
        [step.at for step in steps],
    )


async def done(tx: WriteTx, receipts: Sequence[asyncpg.Record]) -> None:
    await tx.execute(DONE, *keys(receipts))


async def later(tx: WriteTx, receipts: Sequence[asyncpg.Record]) -> None:
    await tx.execute(LATER, *keys(receipts))


async def clean(tx: WriteTx, kept: timedelta) -> None:
    await tx.execute(CLEAN, kept)


def keys(receipts: Sequence[asyncpg.Record]) -> list[list[object]]:
    return [
        [receipt[column] for receipt in receipts]
        for column in ("account_id", "sender_id", "provider_message_id", "status")
    ]
