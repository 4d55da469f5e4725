"""The queries on an import that is a dry run. Its counts are written whole, because it begins anew after a kill."""

import json

from chassis.db import WriteTx
from services.contacts.imports.rehearsal import Counts
from services.contacts.imports.repository import FORGET_ERRORS, LEASE_SECONDS, Lease, LeaseLost

COUNT = f"""
UPDATE imports
SET rows = $4, imported = $5, updated = $6, duplicates = $7, failed = $8, bytes_done = $9, changes = $10,
    queued_at = now(), lease_until = now() + interval '{LEASE_SECONDS} seconds'
WHERE account_id = $1 AND id = $2 AND lease_generation = $3 AND status = 'running' RETURNING true
"""


async def restart(tx: WriteTx, held: Lease) -> None:
    """Raises LeaseLost."""
    await count(tx, held, Counts(), bytes_done=0)
    await tx.execute(FORGET_ERRORS, held.account, held.import_id)


async def count(tx: WriteTx, held: Lease, counts: Counts, *, bytes_done: int) -> None:
    """Raises LeaseLost."""
    changes = json.dumps([change.to_json() for change in (*counts.created_shown, *counts.updated_shown)])
    figures = (counts.rows, counts.imported, counts.updated, counts.duplicates, counts.failed)
    if not await tx.fetchval(COUNT, *held.key, *figures, bytes_done, changes):
        raise LeaseLost
