"""When to look at a contact again because time goes by: one row each, the earliest of all rules.

A row may be early (the look then finds nothing and sets the next one), never late. Rows are written in order of contact
id, after the contact's row is locked and before any build's is.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import asyncpg

from chassis import copytext
from chassis.db import ReadTx, WriteTx

# Later than any moment: of a row that is about to go. So all rows of a statement are taken in one order, also by
# builds, which hold only those who join.
NEVER = 2**63 - 1
PUT = f"""
INSERT INTO due (account_id, contact_id, due_at)
SELECT $1, d.contact_id, coalesce(d.due_at, {NEVER}) FROM unnest($2::uuid[], $3::bigint[]) AS d (contact_id, due_at)
WHERE d.due_at IS NOT NULL OR EXISTS (SELECT FROM due k WHERE k.account_id = $1 AND k.contact_id = d.contact_id)
ORDER BY d.contact_id
ON CONFLICT (account_id, contact_id) DO UPDATE SET due_at = excluded.due_at
WHERE due.due_at <> excluded.due_at AND due.due_at > $4
RETURNING contact_id, due_at
"""
# For a rule that is added to those that are watched already. Rows that are soon enough are passed by: a conflict would
# lock them, which writes their pages. Looked up one by one, for an anti-join would read all of the account's each time.
# What is looked up stays so: whoever writes here holds the contacts, or keeps evaluations away.
SOONER = f"""
INSERT INTO due (account_id, contact_id, due_at)
SELECT $1, d.contact_id, d.due_at FROM unnest($2::text::uuid[], $3::text::bigint[]) AS d (contact_id, due_at)
WHERE coalesce((SELECT k.due_at FROM due k WHERE k.account_id = $1 AND k.contact_id = d.contact_id), {NEVER}) > d.due_at
ORDER BY d.contact_id
ON CONFLICT (account_id, contact_id) DO UPDATE SET due_at = excluded.due_at
"""
FORGET = "DELETE FROM due WHERE account_id = $1 AND contact_id = ANY ($2::uuid[])"
STILL = "SELECT contact_id FROM due WHERE account_id = $1 AND contact_id = ANY ($2::uuid[]) AND due_at <= $3"
OF = "SELECT contact_id, due_at FROM due WHERE account_id = $1 AND contact_id = ANY ($2::uuid[])"
# Over all accounts, for the work role.
NEXT = """
SELECT account_id, contact_id FROM due WHERE due_at <= $1 AND account_id <> ALL ($3::uuid[]) ORDER BY due_at LIMIT $2
"""


async def put(tx: WriteTx, moments: Mapping[UUID, int | None], *, unless_due_by: int = 0) -> None:
    """Replace what is known of these contacts, but not of those that are due by then; None: never."""
    written = await tx.fetch(PUT, tx.account, list(moments), list(moments.values()), unless_due_by)
    if gone := [row["contact_id"] for row in written if row["due_at"] == NEVER]:
        await forget(tx, gone)


async def put_sooner(tx: WriteTx, moments: Mapping[UUID, int]) -> None:
    await put_all_sooner(tx, copytext.array([str(contact) for contact in moments]), copytext.numbers(moments.values()))


async def put_all_sooner(tx: WriteTx, contacts: str, moments: str) -> None:
    """contacts, moments: arrays of the same length in their text form."""
    await tx.execute(SOONER, tx.account, contacts, moments)


async def forget(tx: WriteTx, contacts: Sequence[UUID]) -> None:
    await tx.execute(FORGET, tx.account, contacts)


async def still(tx: WriteTx, contacts: Sequence[UUID], *, now: int) -> Collection[UUID]:
    """Those of the contacts, whose rows the caller holds, that are due and were not seen to meanwhile."""
    return {row["contact_id"] for row in await tx.fetch(STILL, tx.account, contacts, now)}


async def of(tx: ReadTx, account: UUID, contacts: Sequence[UUID]) -> dict[UUID, int]:
    """When the contacts are due; those that are not watched are left out."""
    return dict(await tx.fetch(OF, account, contacts))  # type: ignore[arg-type]  # rows of two columns


async def next_ones(tx: ReadTx, *, now: int, limit: int, without: Collection[UUID]) -> list[asyncpg.Record]:
    """(account_id, contact_id) of what is due, the oldest first. without: accounts that are left out."""
    return await tx.fetch(NEXT, now, limit, without)
