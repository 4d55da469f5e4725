"""Queries of the dispatchers: chunks are leased, intents written before calls and outcomes after them.

A lease has a generation. Whoever holds an older one writes nothing: intents are fenced by the chunk's row, outcomes by
the generation under which the recipient was attempted.

Recipients are locked in the order of chunk and id by everybody, and before the counts of their chunk, which a trigger
keeps: a transaction that has moved one recipient locks no other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from services.campaigns.domain.sending import Outcome

# The first of each account before the second of any.
READY = """
SELECT c.account_id, c.id, s.rate_limit_per_second AS sender_rate, c.rate_limit_per_second AS rate, r.failed_rounds
FROM campaigns AS c
JOIN runs AS r ON r.account_id = c.account_id AND r.campaign_id = c.id
JOIN senders AS s ON s.account_id = c.account_id AND s.id = c.sender_id
WHERE c.status = 'running' AND NOT c.freezing AND c.deleted_at IS NULL AND r.due_at <= now() AND EXISTS (
  SELECT FROM chunks AS k WHERE k.account_id = c.account_id AND k.campaign_id = c.id AND NOT k.done
    AND k.due_at <= now() AND k.lease_until < now())
ORDER BY row_number() OVER (PARTITION BY c.account_id ORDER BY c.id), c.id LIMIT 1000
"""
LEASE = """
UPDATE chunks SET lease_until = now() + $3 * interval '1 s', lease_generation = lease_generation + 1
WHERE (account_id, campaign_id, chunk) = (
  SELECT account_id, campaign_id, chunk FROM chunks
  WHERE account_id = $1 AND campaign_id = $2 AND NOT done AND due_at <= now() AND lease_until < now()
  ORDER BY chunk LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING account_id, campaign_id, chunk, lease_generation, idle_passes
"""
# Not what was released in the meantime.
RENEW = """
UPDATE chunks AS k SET lease_until = now() + $5 * interval '1 s'
FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::bigint[]) AS mine (account_id, campaign_id, chunk, generation)
WHERE k.account_id = mine.account_id AND k.campaign_id = mine.campaign_id AND k.chunk = mine.chunk
  AND k.lease_generation = mine.generation AND k.lease_until > 'epoch'
RETURNING k.account_id, k.campaign_id, k.chunk, k.lease_generation
"""
CONTEXT = """
SELECT c.account_id, c.id, c.channel, c.sender_id, c.variables, c.started_body, c.started_subject, c.started_html,
  c.started_whatsapp, c.is_test, r.failed_rounds, c.sending_windows,
  q.start_minute AS quiet_start, q.end_minute AS quiet_end, q.timezone AS quiet_timezone,
  s.version AS sender_version, s.address, s.provider, s.settings, s.secrets, s.receipts_secret
FROM campaigns AS c
JOIN senders AS s ON s.account_id = c.account_id AND s.id = c.sender_id
JOIN runs AS r ON r.account_id = c.account_id AND r.campaign_id = c.id
LEFT JOIN quiet_hours AS q ON q.account_id = c.account_id
WHERE c.account_id = $1 AND c.id = $2
"""
# Whoever failed before comes last, so that they do not stand in the way of the rest.
OPEN = """
SELECT id, contact_id, address, variables, timezone, status, reason, attempts, unanswered_since, state_revision
FROM recipients
WHERE account_id = $1 AND campaign_id = $2 AND chunk = $3 AND status IN ('pending', 'claimed') ORDER BY attempts, id
"""
# One statement: the campaign runs, the lease is ours, it is renewed, and the intent is on record. Whoever takes the
# chunk over waits for this row, and then sees the intents. The ids are joined, never `= ANY`: counting a descent for
# each, a planner without statistics would rather read the whole campaign by its addresses.
INTEND = """
WITH fence AS (
  UPDATE chunks AS k SET lease_until = now() + $5 * interval '1 s'
  FROM campaigns AS c
  WHERE k.account_id = $1 AND k.campaign_id = $2 AND k.chunk = $3 AND k.lease_generation = $4
    AND c.account_id = $1 AND c.id = $2 AND c.status = 'running' AND c.deleted_at IS NULL
  RETURNING 1
)
UPDATE recipients AS r SET status = 'claimed', attempts = r.attempts + 1, generation = $4,
  unanswered_since = coalesce(r.unanswered_since, now()), state_revision = r.state_revision + 1
FROM unnest($6::uuid[]) AS t (id)
WHERE r.account_id = $1 AND r.campaign_id = $2 AND r.chunk = $3 AND r.id = t.id
  AND r.status IN ('pending', 'claimed') AND EXISTS (SELECT FROM fence)
RETURNING r.id, r.attempts
"""
# The provider's names of messages are kept beside, for the receipts. Looking whether one is there before it is written
# takes as long as writing it.
SETTLE = """
WITH settled AS (
UPDATE recipients AS r SET status = t.status, reason = t.reason, state_revision = r.state_revision + 1,
  provider_message_id = coalesce(nullif(t.message_id, ''), r.provider_message_id),
  sent_at = CASE WHEN t.status IN ('sent', 'failed') THEN now() ELSE r.sent_at END,
  unanswered_since = CASE WHEN t.answered THEN NULL ELSE r.unanswered_since END,
  attempts = r.attempts - CASE WHEN t.counts THEN 0 ELSE 1 END
FROM unnest($5::uuid[], $6::text[], $7::text[], $8::text[], $9::boolean[], $10::boolean[])
  AS t (id, status, reason, message_id, answered, counts)
WHERE r.account_id = $1 AND r.campaign_id = $2 AND r.chunk = $3 AND r.generation = $4 AND r.id = t.id AND {which}
RETURNING r.id, r.status, r.sent_at, r.state_revision, t.message_id
), named AS (
INSERT INTO provider_messages (account_id, sender_id, provider_message_id, campaign_id, chunk, recipient_id)
SELECT $1, $11, message_id, $2, $3, id FROM settled WHERE message_id <> ''{unless_taken}
)
SELECT id, status, sent_at, state_revision FROM settled
"""
UNLESS_TAKEN = " ON CONFLICT DO NOTHING"
CLAIMED = "r.status = 'claimed'"
FROM_CLAIMED = SETTLE.format(which=CLAIMED, unless_taken="")
FROM_CLAIMED_WITH_TAKEN = SETTLE.format(which=CLAIMED, unless_taken=UNLESS_TAKEN)
# An answer that came when its recipient had been given up already: a fact, as long as nobody has tried again since.
FROM_UNCERTAIN = SETTLE.format(
    which="r.status = 'uncertain' AND t.status IN ('sent', 'failed')", unless_taken=UNLESS_TAKEN
)
# Before any call, so under the lease only.
LEAVE_OUT = """
WITH fence AS (
  SELECT FROM chunks WHERE account_id = $1 AND campaign_id = $2 AND chunk = $3 AND lease_generation = $4 FOR SHARE
)
UPDATE recipients AS r SET status = t.status, reason = t.reason, state_revision = r.state_revision + 1
FROM unnest($5::uuid[], $6::text[], $7::text[]) AS t (id, status, reason)
WHERE r.account_id = $1 AND r.campaign_id = $2 AND r.chunk = $3 AND r.id = t.id AND r.status IN ('pending', 'claimed')
  AND EXISTS (SELECT FROM fence)
RETURNING r.status
"""
RELEASE = """
UPDATE chunks SET lease_until = 'epoch', due_at = now() + $5 * interval '1 s', idle_passes = $6,
  done = NOT EXISTS (SELECT FROM recipients WHERE account_id = $1 AND campaign_id = $2 AND chunk = $3
    AND status IN ('pending', 'claimed'))
WHERE account_id = $1 AND campaign_id = $2 AND chunk = $3 AND lease_generation = $4
RETURNING done
"""
LOCK_RUN = """
SELECT failed_rounds, breaks, due_at > now() AS waiting FROM runs WHERE account_id = $1 AND campaign_id = $2 FOR UPDATE
"""
FAILED_ROUND = """
UPDATE runs SET failed_rounds = failed_rounds + 1, due_at = now() + $3 * interval '1 s'
WHERE account_id = $1 AND campaign_id = $2
"""
# The failed rounds stay: when the break is over, one more is enough for the next.
BREAK = """
UPDATE runs SET breaks = breaks + 1, resume_at = now() + $3 * interval '1 s'
WHERE account_id = $1 AND campaign_id = $2
"""
WENT_THROUGH = """
UPDATE runs SET failed_rounds = 0, breaks = 0 WHERE account_id = $1 AND campaign_id = $2 AND failed_rounds > 0
"""


# Account, campaign, chunk, generation.
Key = tuple[UUID, UUID, int, int]


@dataclass(frozen=True, slots=True)
class Lease:
    """A chunk that is ours until somebody else's generation is on it."""

    account: UUID
    campaign: UUID
    chunk: int
    generation: int
    # Passes before this one that settled nobody.
    idle_passes: int

    @property
    def key(self) -> Key:
        return self.account, self.campaign, self.chunk, self.generation


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an attempt.

    answered: whether no attempt is open any more; counts: towards the number of attempts that a recipient has.
    """

    id: UUID
    outcome: Outcome
    answered: bool
    counts: bool = True


async def ready(tx: ReadTx) -> list[asyncpg.Record]:
    """The campaigns, of every account, that have a chunk to be worked on now."""
    return await tx.fetch(READY)


async def lease(tx: WriteTx, account: UUID, campaign_id: UUID, *, seconds: float) -> Lease | None:
    row = await tx.fetchrow(LEASE, account, campaign_id, seconds)
    return None if row is None else Lease(*row.values())


async def renew(tx: WriteTx, leases: Sequence[Lease], *, seconds: float) -> set[Key]:
    """The keys of those that are still ours."""
    columns = list(zip(*(lease.key for lease in leases), strict=True))
    rows = await tx.fetch(RENEW, *columns, seconds)
    return {tuple(row.values()) for row in rows}


async def context(tx: ReadTx, account: UUID, campaign_id: UUID) -> asyncpg.Record | None:
    """The campaign, its sender and its run."""
    return await tx.fetchrow(CONTEXT, account, campaign_id)


async def open_recipients(tx: ReadTx, lease: Lease) -> list[asyncpg.Record]:
    return await tx.fetch(OPEN, lease.account, lease.campaign, lease.chunk)


async def intend(tx: WriteTx, lease: Lease, ids: Iterable[UUID], *, seconds: float) -> dict[UUID, int]:
    """The number of attempts by recipient, this one included; empty where the fence let nobody through."""
    rows = await tx.fetch(INTEND, *lease.key, seconds, sorted(ids))
    return {row["id"]: row["attempts"] for row in rows}


async def settle(
    tx: WriteTx, lease: Lease, sender_id: UUID, settled: Sequence[Settled], *, taken: bool = False
) -> list[asyncpg.Record]:
    """Outcomes of attempts made under this lease, of recipients that are still `claimed`.

    Raises asyncpg.UniqueViolationError where the provider gave a name that a message has already. taken: that message
    keeps it.
    """
    statement = FROM_CLAIMED_WITH_TAKEN if taken else FROM_CLAIMED
    return await tx.fetch(statement, *lease.key, *columns(settled), sender_id)


async def settle_late(tx: WriteTx, lease: Lease, sender_id: UUID, settled: Sequence[Settled]) -> list[asyncpg.Record]:
    """The same of recipients that are `uncertain`, in a transaction of its own."""
    return await tx.fetch(FROM_UNCERTAIN, *lease.key, *columns(settled), sender_id)


def columns(settled: Sequence[Settled]) -> list[list[object]]:
    settled = sorted(settled, key=lambda one: one.id)
    return [
        [one.id for one in settled],
        [one.outcome.status.value for one in settled],
        [str(one.outcome.reason) for one in settled],
        [one.outcome.provider_message_id for one in settled],
        [one.answered for one in settled],
        [one.counts for one in settled],
    ]


async def leave_out(tx: WriteTx, lease: Lease, outcomes: dict[UUID, Outcome]) -> list[str]:
    """Recipients that are not called; the states that they are in now."""
    ids = sorted(outcomes)
    statuses = [outcomes[one].status.value for one in ids]
    reasons = [str(outcomes[one].reason) for one in ids]
    rows = await tx.fetch(LEAVE_OUT, *lease.key, ids, statuses, reasons)
    return [row["status"] for row in rows]


async def release(tx: WriteTx, lease: Lease, *, seconds: float, idle_passes: int) -> bool:
    """Give the chunk back, to be looked at again in so many seconds; whether it is done."""
    return bool(await tx.fetchval(RELEASE, *lease.key, seconds, idle_passes))


async def lock_run(tx: WriteTx, account: UUID, campaign_id: UUID) -> asyncpg.Record:
    row = await tx.fetchrow(LOCK_RUN, account, campaign_id)
    assert row is not None
    return row


async def failed_round(tx: WriteTx, account: UUID, campaign_id: UUID, *, seconds: float) -> None:
    await tx.execute(FAILED_ROUND, account, campaign_id, seconds)


async def take_a_break(tx: WriteTx, account: UUID, campaign_id: UUID, *, seconds: float) -> None:
    await tx.execute(BREAK, account, campaign_id, seconds)


async def went_through(tx: WriteTx, account: UUID, campaign_id: UUID) -> None:
    await tx.execute(WENT_THROUGH, account, campaign_id)
