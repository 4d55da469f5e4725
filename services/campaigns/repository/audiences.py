"""Queries that say what an audience made of whom it named."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from services.campaigns.domain.funnel import Funnel, funnel

LEFT_OUT = """
SELECT reason, count(*) AS number FROM exclusions WHERE account_id = $1 AND campaign_id = $2 GROUP BY reason
"""
UPLOADED = """
SELECT excluded, no_address, invalid, opted_out, do_not_contact, duplicate FROM upload_funnels
WHERE account_id = $1 AND campaign_id = $2
"""
ADD_UPLOADED = """
INSERT INTO upload_funnels AS f (account_id, campaign_id, excluded, no_address, invalid, opted_out, do_not_contact,
  duplicate)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (account_id, campaign_id) DO UPDATE SET excluded = f.excluded + excluded.excluded,
  no_address = f.no_address + excluded.no_address, invalid = f.invalid + excluded.invalid,
  opted_out = f.opted_out + excluded.opted_out, do_not_contact = f.do_not_contact + excluded.do_not_contact,
  duplicate = f.duplicate + excluded.duplicate
"""
RECIPIENT = "SELECT * FROM recipients WHERE account_id = $1 AND campaign_id = $2 AND contact_id = $3"
RECIPIENT_AT = "SELECT * FROM recipients WHERE account_id = $1 AND campaign_id = $2 AND address = $3"
REASON = "SELECT reason FROM exclusions WHERE account_id = $1 AND campaign_id = $2 AND contact_id = $3"
REASON_AT = "SELECT reason FROM excluded_addresses WHERE account_id = $1 AND campaign_id = $2 AND address = $3"
PENDING_AT = """
SELECT address FROM recipients
WHERE account_id = $1 AND campaign_id = $2 AND address = ANY ($3::text[]) AND status = 'pending'
"""


async def of_contacts(tx: ReadTx, account: UUID, campaign_id: UUID, *, total: int) -> Funnel:
    """total: of the ledger."""
    rows = await tx.fetch(LEFT_OUT, account, campaign_id)
    return funnel({row["reason"]: row["number"] for row in rows}, final=total)


async def of_uploads(tx: ReadTx, account: UUID, campaign_id: UUID, *, total: int) -> Funnel:
    """Those that are excluded are on the ledger, as skipped."""
    row = await tx.fetchrow(UPLOADED, account, campaign_id)
    if row is None:
        return Funnel(final=total)
    return Funnel(**row, final=total - row["excluded"])


async def add_uploaded(tx: WriteTx, campaign_id: UUID, counts: Funnel) -> None:
    """Adds what became of the rows of another file; `final` is the ledger's to count."""
    values = asdict(counts)
    del values["final"]
    await tx.execute(ADD_UPLOADED, tx.account, campaign_id, *values.values())


async def recipient(tx: ReadTx, account: UUID, campaign_id: UUID, contact_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(RECIPIENT, account, campaign_id, contact_id)


async def recipient_at(tx: ReadTx, account: UUID, campaign_id: UUID, address: str) -> asyncpg.Record | None:
    return await tx.fetchrow(RECIPIENT_AT, account, campaign_id, address)


async def reason(tx: ReadTx, account: UUID, campaign_id: UUID, contact_id: UUID) -> str | None:
    """Why the contact was left out; None where it was not."""
    found = await tx.fetchval(REASON, account, campaign_id, contact_id)
    return None if found is None else str(found)


async def reason_at(tx: ReadTx, account: UUID, campaign_id: UUID, address: str) -> str | None:
    """Why the address of an uploaded file was left out; None where it was not."""
    found = await tx.fetchval(REASON_AT, account, campaign_id, address)
    return None if found is None else str(found)


async def pending_at(tx: ReadTx, account: UUID, campaign_id: UUID, addresses: Sequence[str]) -> set[str]:
    """Which of the addresses are on the ledger and pending."""
    return {row["address"] for row in await tx.fetch(PENDING_AT, account, campaign_id, addresses)}
