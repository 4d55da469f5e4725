"""Queries on what recipients send: stored when it comes, told to contacts afterwards.

What is open is claimed by pushing its due_at ahead: whoever dies with it leaves it to be claimed again. Of one address
the later ones wait for the earlier, so that STOP and then START end as they were said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx

# Stored before: nothing. Returned in any case, so that a message that is told again is acknowledged as the first was.
STORE = """
INSERT INTO inbound (account_id, sender_id, provider_message_id, id, channel, address, to_address, text, word, source,
  at)
SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
  $9::text[], $10::text[], $11::timestamptz[])
ON CONFLICT DO NOTHING
"""
# A link to unsubscribe, followed again after it was done: the recipient may have opted in since.
STORE_LINK = """
WITH line AS (
  SELECT r.account_id, c.sender_id, r.id, c.channel, r.address, r.campaign_id
  FROM recipients AS r JOIN campaigns AS c ON c.account_id = r.account_id AND c.id = r.campaign_id
  WHERE r.account_id = $1 AND r.id = $2 AND NOT starts_with(r.address, 'erased:')
), stored AS (
INSERT INTO inbound AS i (account_id, sender_id, provider_message_id, id, channel, address, to_address, text, word,
  source, at, campaign_id, recipient_id)
SELECT account_id, sender_id, 'unsubscribe:' || id, $3, channel, address, '', '', 'opt_out', 'unsubscribe_link', now(),
  campaign_id, id
FROM line
ON CONFLICT (account_id, sender_id, provider_message_id) DO UPDATE SET done_at = NULL, due_at = now(), tries = 0,
  id = excluded.id, at = excluded.at
WHERE i.done_at IS NOT NULL
)
SELECT channel, address FROM line
"""
# $1: seconds for which they are ours. $3 to $5: of one account and those addresses alone; null: of any.
CLAIM = """
UPDATE inbound AS i SET due_at = now() + $1 * interval '1 s', tries = tries + 1
FROM (
  SELECT account_id, sender_id, provider_message_id FROM inbound AS o
  WHERE done_at IS NULL AND due_at <= now()
    AND ($3::uuid IS NULL OR (account_id = $3 AND (channel, address) IN (
      SELECT * FROM unnest($4::text[], $5::text[]))))
    AND NOT EXISTS (SELECT FROM inbound AS e WHERE e.account_id = o.account_id AND e.channel = o.channel
      AND e.address = o.address AND e.id < o.id AND e.done_at IS NULL)
  ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
) AS due
WHERE i.account_id = due.account_id AND i.sender_id = due.sender_id AND i.provider_message_id = due.provider_message_id
RETURNING i.*
"""
# The last message from this sender to the address, if it still is there.
ANSWERED = """
SELECT k.place, r.* FROM unnest($1::integer[], $2::uuid[], $3::uuid[], $4::text[])
  AS k (place, account_id, sender_id, address)
JOIN LATERAL (
  SELECT r.* FROM recipients AS r
  JOIN campaigns AS c ON c.account_id = r.account_id AND c.id = r.campaign_id
  WHERE r.account_id = k.account_id AND r.address = k.address AND c.sender_id = k.sender_id AND c.deleted_at IS NULL
    AND coalesce(r.sent_at, r.unanswered_since) IS NOT NULL AND r.status <> 'skipped'
  ORDER BY coalesce(r.sent_at, r.unanswered_since) DESC LIMIT 1
) AS r ON true
"""
# Fenced by the number of tries: whoever lost the claim writes nothing, and tells of nothing.
DONE = """
UPDATE inbound AS i SET done_at = now(), campaign_id = k.campaign_id, recipient_id = k.recipient_id
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::uuid[], $6::uuid[])
  AS k (account_id, sender_id, provider_message_id, tries, campaign_id, recipient_id)
WHERE i.account_id = k.account_id AND i.sender_id = k.sender_id AND i.provider_message_id = k.provider_message_id
  AND i.tries = k.tries AND i.done_at IS NULL
RETURNING i.id
"""
RELEASE = """
UPDATE inbound AS i SET due_at = now() + $5 * interval '1 s'
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[]) AS k (account_id, sender_id, provider_message_id, tries)
WHERE i.account_id = k.account_id AND i.sender_id = k.sender_id AND i.provider_message_id = k.provider_message_id
  AND i.tries = k.tries AND i.done_at IS NULL
"""
OPEN = """
SELECT EXISTS (SELECT FROM inbound WHERE account_id = $1 AND done_at IS NULL AND word <> ''
  AND (channel, address) IN (SELECT * FROM unnest($2::text[], $3::text[])))
"""
CLEAN = "DELETE FROM inbound WHERE received_at < now() - $1::interval AND done_at IS NOT NULL"


@dataclass(frozen=True, slots=True, order=True)
class NewMessage:
    sender_id: UUID
    provider_message_id: str
    id: UUID
    channel: str
    address: str
    to_address: str
    text: str
    word: str
    source: str
    at: datetime


# A channel, and an address on it.
Place = tuple[str, str]


async def store(tx: WriteTx, messages: Sequence[NewMessage]) -> None:
    """In one order, so that no two transactions wait for one another."""
    messages = sorted(messages)
    columns = ("sender_id", "provider_message_id", "id", "channel", "address", "to_address", "text", "word", "source")
    await tx.execute(
        STORE,
        tx.account,
        *([getattr(message, column) for message in messages] for column in columns),
        [message.at for message in messages],
    )


async def store_link(tx: WriteTx, recipient: UUID, new_id: UUID) -> Place | None:
    """An opt-out by the link of a recipient's message: of whom; None where the recipient is not there any more."""
    row = await tx.fetchrow(STORE_LINK, tx.account, recipient, new_id)
    return None if row is None else (row["channel"], row["address"])


async def claim(
    tx: WriteTx, *, seconds: float, limit: int, account: UUID | None = None, places: Sequence[Place] = ()
) -> list[asyncpg.Record]:
    """Open ones that are due, ours for so many seconds, at most one an address. account and places: of those alone."""
    channels, addresses = [place[0] for place in places], [place[1] for place in places]
    return await tx.fetch(CLAIM, seconds, limit, account, channels, addresses)


async def answered(tx: ReadTx, rows: Sequence[asyncpg.Record]) -> dict[int, asyncpg.Record]:
    """The lines that the messages answer, by place."""
    found = await tx.fetch(
        ANSWERED,
        list(range(len(rows))),
        [row["account_id"] for row in rows],
        [row["sender_id"] for row in rows],
        [row["address"] for row in rows],
    )
    return {row["place"]: row for row in found}


async def done(
    tx: WriteTx, rows: Sequence[asyncpg.Record], lines: Sequence[tuple[UUID | None, UUID | None]]
) -> set[UUID]:
    """lines: campaign and recipient of each. The ids of those that were still ours."""
    campaigns, recipients = [line[0] for line in lines], [line[1] for line in lines]
    return {row["id"] for row in await tx.fetch(DONE, *keys_of(rows), campaigns, recipients)}


async def release(tx: WriteTx, rows: Sequence[asyncpg.Record], *, seconds: float) -> None:
    """To be claimed again after so many seconds."""
    await tx.execute(RELEASE, *keys_of(rows), seconds)


async def has_open_word(tx: ReadTx, account: UUID, places: Sequence[Place]) -> bool:
    """Whether contacts does not know yet of an opt-out or opt-in of one of these."""
    return bool(await tx.fetchval(OPEN, account, [place[0] for place in places], [place[1] for place in places]))


async def clean(tx: WriteTx, kept: timedelta) -> None:
    await tx.execute(CLEAN, kept)


def keys_of(rows: Sequence[asyncpg.Record]) -> list[list[object]]:
    columns = ("account_id", "sender_id", "provider_message_id", "tries")
    return [[row[column] for row in rows] for column in columns]
