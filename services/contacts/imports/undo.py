"""Undoing an import: contacts that it made and nobody touched since are deleted; the others stay, and are listed.

Those that it made carry its id, and lie between the first and the last id that it made: public ids rise with time. One
is untouched while its version is the one that the import wrote last, and nobody added to its timeline.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from chassis import ids
from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from formats.records import FAILED_ON_OUR_SIDE
from services.contacts import events
from services.contacts.erasure.hashing import AddressHash
from services.contacts.erasure.repository import erase

# Of one step, without progress.
ATTEMPTS = 5
# A clock that is set back while an import runs makes ids that are out of order.
SLACK_MS = 5 * 60 * 1000

BEGIN = """
UPDATE imports
SET status = 'undoing', queued_at = now(), lease_until = NULL, attempts = 0, error = ''
WHERE account_id = $1 AND id = $2 AND status IN ('completed', 'failed', 'cancelled')
AND NOT coalesce((plan ->> 'dry_run')::boolean, false)
"""
SPAN = "SELECT first_contact_id, last_contact_id FROM imports WHERE account_id = $1 AND id = $2"
# Over all accounts; held by the transaction that does the step. The one comes first that waits longest.
CLAIM = """
SELECT account_id, id, undo_position, attempts FROM imports
WHERE status = 'undoing' AND account_id IS NOT NULL AND (lease_until IS NULL OR lease_until < now())
ORDER BY queued_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
# In the order of ids, as everybody locks who locks several.
MADE = """
SELECT c.id, c.version = coalesce(u.version, 1)
       AND NOT EXISTS (SELECT FROM activity AS a WHERE a.account_id = $1 AND a.contact_id = c.id) AS untouched
FROM contacts AS c
LEFT JOIN import_updates AS u ON u.account_id = $1 AND u.import_id = $2 AND u.contact_id = c.id
WHERE c.account_id = $1 AND c.import_id = $2 AND c.id > $3 AND c.id <= $4
ORDER BY c.id LIMIT $5 FOR UPDATE OF c
"""
PROGRESS = """
UPDATE imports
SET undo_position = $3, undo_deleted = undo_deleted + $4, undo_kept = undo_kept + $5, attempts = 0, queued_at = now()
WHERE account_id = $1 AND id = $2
"""
FINISH = """
UPDATE imports
SET status = 'undone', attempts = 0, undo_kept = undo_kept + (
    SELECT count(*) FROM import_updates AS u
    JOIN contacts AS c ON c.account_id = $1 AND c.id = u.contact_id AND c.import_id IS DISTINCT FROM $2
    WHERE u.account_id = $1 AND u.import_id = $2
)
WHERE account_id = $1 AND id = $2
"""
# Where it fails again and again it ends as failed, and can be undone once more.
PUT_BACK = """
UPDATE imports
SET attempts = attempts + 1, lease_until = now() + interval '2 seconds', queued_at = now(),
    status = CASE WHEN attempts >= $3 THEN 'failed' ELSE status END,
    error = CASE WHEN attempts >= $3 THEN $4 ELSE error END
WHERE account_id = $1 AND id = $2 AND status = 'undoing'
"""
# $3: behind this one; $4 and $5: where those lie that the import made.
LEFT = """
(
    SELECT c.id, 'changed_since' AS reason FROM contacts AS c
    WHERE c.account_id = $1 AND c.import_id = $2 AND c.id > greatest($3::uuid, $4::uuid) AND c.id <= $5
    ORDER BY c.id LIMIT $6
)
UNION ALL
(
    SELECT c.id, 'updated' FROM import_updates AS u
    JOIN contacts AS c ON c.account_id = $1 AND c.id = u.contact_id AND c.import_id IS DISTINCT FROM $2
    WHERE u.account_id = $1 AND u.import_id = $2 AND u.contact_id > $3 ORDER BY u.contact_id LIMIT $6
)
ORDER BY id LIMIT $6
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """An import that is being undone, held by the transaction."""

    account: AccountId
    import_id: UUID
    # Up to which contact it is done; None at the beginning.
    position: UUID | None


@dataclass(frozen=True, slots=True)
class Left:
    """A contact that the undo left as it is."""

    contact_id: UUID
    reason: Literal["changed_since", "updated"]


async def begin(tx: WriteTx, account: AccountId, import_id: UUID) -> None:
    """Nothing where it has not ended, was a dry run, or was undone before."""
    await tx.execute(BEGIN, account, import_id)


async def claim(tx: WriteTx) -> Claim | None:
    """The import whose turn it is."""
    row = await tx.fetchrow(CLAIM)
    return None if row is None else Claim(AccountId(row["account_id"]), row["id"], row["undo_position"])


async def step(tx: WriteTx, held: Claim, *, hashes: AddressHash, limit: int) -> None:
    """Some contacts on, or to the end where there are none left."""
    first, last = await span(tx, held.account, held.import_id)
    made = await tx.fetch(MADE, held.account, held.import_id, held.position or first, last, limit)
    if not made:
        await tx.execute(FINISH, held.account, held.import_id)
        return
    now = datetime.now(UTC)
    untouched = [row["id"] for row in made if row["untouched"]]
    gone = await erase(tx, held.account, untouched, hashes=hashes, if_version=None, at=now)
    tx.add_events(events.contacts_deleted(held.account, gone, at=now, bulk=True))
    kept = len(made) - len(gone)
    await tx.execute(PROGRESS, held.account, held.import_id, made[-1]["id"], len(gone), kept)


async def put_back(tx: WriteTx, held: Claim) -> None:
    """After a step that failed: later again, or given up."""
    await tx.execute(PUT_BACK, held.account, held.import_id, ATTEMPTS, FAILED_ON_OUR_SIDE)


async def left(tx: ReadTx, account: AccountId, import_id: UUID, *, after: UUID | None, limit: int) -> list[Left]:
    """In the order of ids, behind the id `after`."""
    first, last = await span(tx, account, import_id)
    rows = await tx.fetch(LEFT, account, import_id, after or ids.LOWEST, first, last, limit)
    return [Left(row["id"], row["reason"]) for row in rows]


async def span(tx: ReadTx, account: AccountId, import_id: UUID) -> tuple[UUID, UUID]:
    """Between which ids the contacts lie that the import made."""
    row = await tx.fetchrow(SPAN, account, import_id)
    if row is None or row["first_contact_id"] is None:
        return ids.LOWEST, ids.LOWEST
    first, last = milliseconds(row["first_contact_id"]), milliseconds(row["last_contact_id"])
    return UUID(int=max(first - SLACK_MS, 0) << 80), UUID(int=((last + SLACK_MS + 1) << 80) - 1)


def milliseconds(uuid7: UUID) -> int:
    return uuid7.int >> 80
