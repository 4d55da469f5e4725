"""Queries of the job that writes a started campaign's audience to the ledger.

The job is leased with a generation; whoever holds an older one writes nothing. Pages may be written again after a
crash: the unique keys of the ledger leave out what is there.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from chassis.db import WriteTx

CLAIM = """
UPDATE runs AS r SET freeze_lease_until = now() + $1 * interval '1 s', freeze_generation = freeze_generation + 1
FROM campaigns AS c
WHERE c.account_id = r.account_id AND c.id = r.campaign_id AND (r.account_id, r.campaign_id) = (
  SELECT r.account_id, r.campaign_id FROM campaigns AS c
  JOIN runs AS r ON r.account_id = c.account_id AND r.campaign_id = c.id
  WHERE c.status = 'running' AND c.freezing AND c.deleted_at IS NULL AND r.freeze_lease_until < now()
  ORDER BY c.started_at LIMIT 1 FOR UPDATE OF r SKIP LOCKED)
RETURNING r.account_id, r.campaign_id, r.freeze_generation, r.erasures, c.segment_id, c.list_id, c.contact_ids,
  c.exclude_segment_ids, c.channel, c.started_body, c.started_subject, c.started_html, c.started_whatsapp
"""
# Who pauses or cancels waits for the page that is being written, so that none is written afterwards.
RUNS = """
SELECT 1 FROM campaigns WHERE account_id = $1 AND id = $2 AND status = 'running' AND freezing AND deleted_at IS NULL
FOR SHARE
"""
# The fence: no row when the lease is another's by now, and nobody takes it before the commit.
FENCE = """
SELECT erasures FROM runs WHERE account_id = $1 AND campaign_id = $2 AND freeze_generation = $3 FOR UPDATE
"""
RENEW = """
UPDATE runs SET freeze_lease_until = now() + $4 * interval '1 s'
WHERE account_id = $1 AND campaign_id = $2 AND freeze_generation = $3
"""
# Let go, to be taken up again after some seconds.
RELEASE = """
UPDATE runs SET freeze_lease_until = now() + $4 * interval '1 s'
WHERE account_id = $1 AND campaign_id = $2 AND freeze_generation = $3
"""
NEXT_CHUNK = "SELECT coalesce(max(chunk) + 1, 0) FROM chunks WHERE account_id = $1 AND campaign_id = $2"
ADD = """
INSERT INTO recipients (account_id, campaign_id, chunk, id, contact_id, address, variables, timezone)
SELECT $1, $2, $3::integer + (place - 1) / $4, id, contact_id, address, variables, timezone
FROM unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[]) WITH ORDINALITY
  AS row (id, contact_id, address, variables, timezone, place)
ON CONFLICT DO NOTHING RETURNING chunk, contact_id
"""
# Due from now on: the last one tells of the last page, see work.looks.
ADD_CHUNKS = """
INSERT INTO chunks (account_id, campaign_id, chunk, size, due_at)
SELECT $1, $2, chunk, size, now() FROM unnest($3::integer[], $4::integer[]) AS new (chunk, size)
"""
EXCLUDE = """
INSERT INTO exclusions (account_id, campaign_id, contact_id, reason)
SELECT $1, $2, * FROM unnest($3::uuid[], $4::text[]) ON CONFLICT DO NOTHING
"""
# Those that an earlier run of the job wrote to the ledger.
WRITTEN = """
SELECT contact_id FROM recipients WHERE account_id = $1 AND campaign_id = $2 AND contact_id = ANY ($3::uuid[])
"""
# Left out by an earlier run of the job, and found fit by this one.
INCLUDE = "DELETE FROM exclusions WHERE account_id = $1 AND campaign_id = $2 AND contact_id = ANY ($3::uuid[])"
# Nobody sends yet: the campaign says that it is being frozen.
SKIP_EXCLUDED = """
WITH skipped AS (
  UPDATE recipients SET status = 'skipped', reason = 'excluded', state_revision = state_revision + 1
  WHERE account_id = $1 AND campaign_id = $2 AND address = ANY ($3::text[]) AND status = 'pending'
  RETURNING 1
), counted AS (
  INSERT INTO upload_funnels AS f (account_id, campaign_id, excluded) SELECT $1, $2, count(*) FROM skipped
  ON CONFLICT (account_id, campaign_id) DO UPDATE SET excluded = f.excluded + excluded.excluded
)
SELECT count(*) FROM skipped
"""
FINISH = """
UPDATE campaigns SET freezing = false, frozen_at = now(), updated_at = now() WHERE account_id = $1 AND id = $2
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contact that may be sent to."""

    id: UUID
    contact_id: UUID
    address: str
    variables: str
    timezone: str


async def claim(tx: WriteTx, *, lease_seconds: float) -> asyncpg.Record | None:
    return await tx.fetchrow(CLAIM, lease_seconds)


async def hold(tx: WriteTx, job: asyncpg.Record) -> int | None:
    """None where the lease is another's by now, or the campaign does not run; otherwise it stays so until the commit.

    Returns how often the ledger heard of deletions: see repository.erasure.
    """
    account, campaign_id = job["account_id"], job["campaign_id"]
    if await tx.fetchval(RUNS, account, campaign_id) is None:
        return None
    erasures: int | None = await tx.fetchval(FENCE, account, campaign_id, job["freeze_generation"])
    return erasures


async def renew(tx: WriteTx, job: asyncpg.Record, *, lease_seconds: float) -> bool:
    """Whether it is ours, as in `hold`; and renews the lease."""
    if await hold(tx, job) is None:
        return False
    await tx.execute(RENEW, job["account_id"], job["campaign_id"], job["freeze_generation"], lease_seconds)
    return True


async def release(tx: WriteTx, job: asyncpg.Record, *, seconds: float) -> None:
    await tx.execute(RELEASE, job["account_id"], job["campaign_id"], job["freeze_generation"], seconds)


async def add(
    tx: WriteTx, account: UUID, campaign_id: UUID, candidates: Sequence[Candidate], *, chunk_size: int
) -> set[UUID]:
    """The contacts that are on the ledger now and were not, cut into chunks."""
    first = await tx.fetchval(NEXT_CHUNK, account, campaign_id)
    rows = await tx.fetch(
        ADD,
        account,
        campaign_id,
        first,
        chunk_size,
        [candidate.id for candidate in candidates],
        [candidate.contact_id for candidate in candidates],
        [candidate.address for candidate in candidates],
        [candidate.variables for candidate in candidates],
        [candidate.timezone for candidate in candidates],
    )
    sizes: dict[int, int] = {}
    for row in rows:
        sizes[row["chunk"]] = sizes.get(row["chunk"], 0) + 1
    if sizes:
        await tx.execute(ADD_CHUNKS, account, campaign_id, list(sizes), list(sizes.values()))
    return {row["contact_id"] for row in rows}


async def exclude(tx: WriteTx, account: UUID, campaign_id: UUID, reasons: dict[UUID, str]) -> None:
    """reasons: why, by contact."""
    if reasons:
        await tx.execute(EXCLUDE, account, campaign_id, list(reasons), list(reasons.values()))


async def written(tx: WriteTx, account: UUID, campaign_id: UUID, contact_ids: Collection[UUID]) -> set[UUID]:
    """Those of the contacts that are on the ledger. For a job that was begun before: a first one has written none."""
    # The ledger grows under the statement: a plan that was good while it was small would read all of it for each page.
    await tx.plan_each()
    return {row["contact_id"] for row in await tx.fetch(WRITTEN, account, campaign_id, list(contact_ids))}


async def include(tx: WriteTx, account: UUID, campaign_id: UUID, contact_ids: set[UUID]) -> None:
    await tx.execute(INCLUDE, account, campaign_id, list(contact_ids))


async def finish(tx: WriteTx, account: UUID, campaign_id: UUID) -> None:
    await tx.execute(FINISH, account, campaign_id)


async def skip_excluded(tx: WriteTx, account: UUID, campaign_id: UUID, addresses: Sequence[str]) -> int:
    """Skip the uploaded recipients with these addresses; how many it were."""
    return int(await tx.fetchval(SKIP_EXCLUDED, account, campaign_id, addresses))
