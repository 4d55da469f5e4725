"""Queries on uploads: rows are staged as they stream in, and taken into the ledger in one transaction at the end."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from chassis.db import WriteTx

# Returns those that were not staged before.
STAGE = """
INSERT INTO upload_rows (account_id, upload_id, address, row_number, recipient_id, variables, timezone, suppressed)
SELECT $1, $2, address, row_number, recipient_id, variables, timezone, false
FROM unnest($3::text[], $4::bigint[], $5::uuid[], $6::text[], $7::text[])
  AS row (address, row_number, recipient_id, variables, timezone)
ON CONFLICT DO NOTHING RETURNING address
"""
SUPPRESS = """
UPDATE upload_rows AS u SET suppressed = true, reason = k.reason
FROM unnest($3::text[], $4::text[]) AS k (address, reason)
WHERE u.account_id = $1 AND u.upload_id = $2 AND u.address = k.address
"""
# The last file says why.
KEEP_SUPPRESSED = """
INSERT INTO excluded_addresses (account_id, campaign_id, address, reason)
SELECT $1, $3, address, reason FROM upload_rows WHERE account_id = $1 AND upload_id = $2 AND suppressed
ON CONFLICT (account_id, address, campaign_id) DO UPDATE SET reason = excluded.reason
"""
# The campaign is locked: nobody else adds recipients to it meanwhile.
TAKE = """
WITH fresh AS (
  SELECT recipient_id, address, variables, timezone, row_number() OVER (ORDER BY row_number) - 1 AS place
  FROM upload_rows AS u
  WHERE u.account_id = $1 AND u.upload_id = $2 AND NOT u.suppressed AND NOT EXISTS (
    SELECT FROM recipients AS r WHERE r.account_id = $1 AND r.campaign_id = $3 AND r.address = u.address)
), taken AS (
  INSERT INTO recipients (account_id, campaign_id, chunk, id, address, variables, timezone)
  SELECT $1, $3, $4 + place / $5, recipient_id, address, variables, timezone FROM fresh RETURNING chunk
), cut AS (
  INSERT INTO chunks (account_id, campaign_id, chunk, size) SELECT $1, $3, chunk, count(*) FROM taken GROUP BY chunk
)
SELECT count(*) FROM taken
"""
NEXT_CHUNK = "SELECT coalesce(max(chunk) + 1, 0) FROM chunks WHERE account_id = $1 AND campaign_id = $2"
STAGED = "SELECT count(*) FROM upload_rows WHERE account_id = $1 AND upload_id = $2 AND NOT suppressed"
DROP = "DELETE FROM upload_rows WHERE account_id = $1 AND upload_id = $2"
# Of processes that were killed; an upload that still runs after a day has lost its caller long ago.
CLEAN = "DELETE FROM upload_rows WHERE created_at < now() - least($1::interval, interval '1 day')"


async def stage(
    tx: WriteTx,
    upload_id: UUID,
    *,
    addresses: Sequence[str],
    row_numbers: Sequence[int],
    recipient_ids: Sequence[UUID],
    variables: Sequence[str],
    timezones: Sequence[str],
) -> set[str]:
    """The addresses that this upload did not have before."""
    rows = await tx.fetch(STAGE, tx.account, upload_id, addresses, row_numbers, recipient_ids, variables, timezones)
    return {row["address"] for row in rows}


async def suppress(tx: WriteTx, upload_id: UUID, refused: Mapping[str, str]) -> None:
    """refused: why, by address."""
    await tx.execute(SUPPRESS, tx.account, upload_id, list(refused), list(refused.values()))


async def staged(tx: WriteTx, upload_id: UUID) -> int:
    return int(await tx.fetchval(STAGED, tx.account, upload_id))


async def take(tx: WriteTx, upload_id: UUID, campaign_id: UUID, *, chunk_size: int) -> int:
    """Adds what was staged to the ledger, but for addresses that are on it; how many it were.

    Addresses that must not be messaged are kept with the reason.
    """
    await tx.execute(KEEP_SUPPRESSED, tx.account, upload_id, campaign_id)
    first = await tx.fetchval(NEXT_CHUNK, tx.account, campaign_id)
    return int(await tx.fetchval(TAKE, tx.account, upload_id, campaign_id, first, chunk_size))


async def drop(tx: WriteTx, upload_id: UUID) -> None:
    await tx.execute(DROP, tx.account, upload_id)


async def clean(tx: WriteTx, kept: timedelta) -> None:
    await tx.execute(CLEAN, kept)
