"""Many contacts at once: COPY into a temporary table, then one statement a kind of write.

COPY into a table under row-level security is an error, hence the detour. For the work role.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from uuid import UUID

from chassis.db import WriteTx
from chassis.ids import AccountId
from services.contacts import repository
from services.contacts.domain.contact import Contact
from services.contacts.domain.identity import Key

# What no file writes: its default for a new contact, as it was for one that is there.
UNTOUCHED = {"list_ids", "preferences", "current_campaign_data", "is_chat_window_open", "is_bot_active"}
COLUMNS = tuple(name for name in repository.COLUMNS if name not in UNTOUCHED)
NAMES = ", ".join(COLUMNS)
staged_values: Callable[[Contact], tuple[object, ...]] = attrgetter(*COLUMNS)

# One a session; its rows go with the transaction.
CREATE = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS staged ON COMMIT DELETE ROWS
AS SELECT true AS fresh, account_id, {NAMES} FROM contacts WITH NO DATA
"""
# asyncpg encodes a COPY's rows without giving way to other tasks; this bounds how long.
COPY_ROWS = 500

HOLDERS = {
    "phone": """
SELECT k.value, c.id FROM unnest($2::text[]) AS k(value)
JOIN contacts AS c ON c.account_id = $1 AND c.phone = k.value
""",
    "external_id": """
SELECT k.value, c.id FROM unnest($2::text[]) AS k(value)
JOIN contacts AS c ON c.account_id = $1 AND c.external_id = k.value
""",
    "email": """
SELECT k.value, c.id FROM unnest($2::text[]) AS k(value)
JOIN contacts AS c ON c.account_id = $1 AND c.email_normal = k.value AND c.phone IS NULL
""",
}
# ON CONFLICT only for what came in since HOLDERS was asked.
INSERT = f"""
WITH added AS (
    INSERT INTO contacts (account_id, {NAMES}) SELECT account_id, {NAMES} FROM staged WHERE fresh
    ON CONFLICT DO NOTHING RETURNING account_id, id, tags
), tagged AS (
    INSERT INTO contact_tags (account_id, tag, contact_id)
    SELECT added.account_id, tag, added.id FROM added, unnest(added.tags) AS tag
)
SELECT id FROM added
"""
UPDATE = f"""
UPDATE contacts AS c SET {", ".join(f"{name} = s.{name}" for name in COLUMNS if name not in repository.KEPT_ON_UPDATE)}
FROM staged AS s WHERE NOT s.fresh AND c.account_id = $1 AND c.id = s.id
"""
UNTAG = """
DELETE FROM contact_tags AS t USING unnest($2::text[], $3::uuid[]) AS gone(tag, contact_id)
WHERE t.account_id = $1 AND t.tag = gone.tag AND t.contact_id = gone.contact_id
"""
TAG = "INSERT INTO contact_tags (account_id, tag, contact_id) SELECT $1, * FROM unnest($2::text[], $3::uuid[])"


async def holders(tx: WriteTx, account: AccountId, keys: Iterable[tuple[Key, str]]) -> dict[tuple[Key, str], UUID]:
    """Which contacts have these keys."""
    by_name: dict[Key, list[str]] = {}
    for name, value in keys:
        by_name.setdefault(name, []).append(value)
    found: dict[tuple[Key, str], UUID] = {}
    for name, wanted in by_name.items():
        rows = await tx.fetch(HOLDERS[name], account, list(dict.fromkeys(wanted)))
        found.update({(name, row[0]): row[1] for row in rows})
    return found


async def insert(tx: WriteTx, account: AccountId, new: Sequence[Contact]) -> set[UUID]:
    """The ids of those that went in; the others' keys were taken meanwhile."""
    await stage(tx, account, new, fresh=True)
    return {row[0] for row in await tx.fetch(INSERT)}


async def update(tx: WriteTx, account: AccountId, changes: Sequence[tuple[Contact, Contact]]) -> None:
    """Before and after of locked contacts. Raises asyncpg.UniqueViolationError."""
    await stage(tx, account, [after for _, after in changes], fresh=False)
    await tx.execute(UPDATE, account)
    gone = [(tag, after.id) for before, after in changes for tag in before.tags if tag not in after.tags]
    came = [(tag, after.id) for before, after in changes for tag in after.tags if tag not in before.tags]
    for sql, tagged in ((UNTAG, gone), (TAG, came)):
        if tagged:
            await tx.execute(sql, account, [tag for tag, _ in tagged], [contact_id for _, contact_id in tagged])


async def stage(tx: WriteTx, account: AccountId, contacts: Sequence[Contact], *, fresh: bool) -> None:
    await tx.execute(CREATE)
    for start in range(0, len(contacts), COPY_ROWS):
        records = [(fresh, account, *staged_values(row)) for row in contacts[start : start + COPY_ROWS]]
        await tx.copy("staged", columns=("fresh", "account_id", *COLUMNS), records=records)
        await asyncio.sleep(0)
