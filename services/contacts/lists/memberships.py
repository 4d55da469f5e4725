"""The rows of contact_lists and the counts of lists, which change together.

Whoever writes here holds the contacts and writes their `list_ids` in the same transaction. Locks are taken in one
order everywhere, so that nobody waits in a circle: contacts by id, then lists by id.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from chassis.db import WriteTx
from chassis.ids import AccountId

LOCK = "SELECT id FROM lists WHERE account_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR UPDATE"
ADD = """
WITH added AS (
    INSERT INTO contact_lists (account_id, list_id, contact_id, added_at)
    SELECT $1, pair.list_id, pair.contact_id, $4 FROM unnest($2::uuid[], $3::uuid[]) AS pair(list_id, contact_id)
    ON CONFLICT DO NOTHING RETURNING list_id
)
UPDATE lists AS l SET member_count = l.member_count + came.members
FROM (SELECT list_id, count(*) AS members FROM added GROUP BY list_id) AS came
WHERE l.account_id = $1 AND l.id = came.list_id
"""
REMOVE = """
WITH removed AS (
    DELETE FROM contact_lists AS m USING unnest($2::uuid[], $3::uuid[]) AS pair(list_id, contact_id)
    WHERE m.account_id = $1 AND m.list_id = pair.list_id AND m.contact_id = pair.contact_id
    RETURNING m.list_id
)
UPDATE lists AS l SET member_count = l.member_count - went.members
FROM (SELECT list_id, count(*) AS members FROM removed GROUP BY list_id) AS went
WHERE l.account_id = $1 AND l.id = went.list_id
"""

# A list and one of its contacts.
Pair = tuple[UUID, UUID]


async def lock(tx: WriteTx, account: AccountId, list_ids: Iterable[UUID]) -> set[UUID]:
    """Those that are there, held until the transaction ends. Behind the lock of the contacts."""
    return {row[0] for row in await tx.fetch(LOCK, account, list(list_ids))}


async def add(tx: WriteTx, account: AccountId, pairs: Iterable[Pair], *, at: datetime) -> None:
    """Of locked lists; pairs that are there already stay as they are."""
    members = list(pairs)
    if members:
        await tx.execute(ADD, account, *columns(members), at)


async def remove(tx: WriteTx, account: AccountId, pairs: Iterable[Pair]) -> None:
    """Locks the lists itself; the contacts are locked by the caller. A list that is gone is no error."""
    members = list(pairs)
    if members:
        await lock(tx, account, {list_id for list_id, _ in members})
        await tx.execute(REMOVE, account, *columns(members))


def columns(pairs: list[Pair]) -> tuple[list[UUID], list[UUID]]:
    return [list_id for list_id, _ in pairs], [contact_id for _, contact_id in pairs]
