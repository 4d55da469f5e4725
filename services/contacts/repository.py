"""The queries on contacts, their tags and tombstones. Each names the account, also where the policy would."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from uuid import UUID

import asyncpg
import orjson

from chassis import alone
from chassis.db import Database, ReadTx, WriteTx
from chassis.ids import AccountId
from formats import contact_json
from services.contacts.domain.contact import Contact
from services.contacts.domain.identity import Holder, Keys
from services.contacts.lists import memberships
from services.contacts.search import entries

# In the order of the dataclass, so that a row is a contact: Contact(*row).
COLUMNS = tuple(field.name for field in fields(Contact))
SELECTED = ", ".join(f"c.{name}" for name in COLUMNS)
KEPT_ON_UPDATE = ("id", "created_at")
WRITTEN = tuple(name for name in COLUMNS if name not in KEPT_ON_UPDATE)

# JSON, as text.
OBJECTS = (*contact_json.OBJECTS, "preferences")

inserted_values: Callable[[Contact], tuple[object, ...]] = attrgetter(*COLUMNS)
updated_values: Callable[[Contact], tuple[object, ...]] = attrgetter(*WRITTEN)

# The row, unless a key is taken, and its tags.
INSERT = alone.inserting(f"""
added AS (
    INSERT INTO contacts (account_id, {", ".join(COLUMNS)})
    SELECT free.account, {", ".join(f"made.{name}" for name in COLUMNS)}
    FROM free CROSS JOIN LATERAL json_populate_record(NULL::contacts, free.body::json) AS made
    ON CONFLICT DO NOTHING
    RETURNING account_id, id, tags
), tagged AS (
    INSERT INTO contact_tags (account_id, tag, contact_id)
    SELECT added.account_id, tag, added.id FROM added, unnest(added.tags) AS tag
)
""")

# The row is locked by the caller; $3 and $4 are the tags that went and came.
UPDATE = f"""
WITH written AS (
    UPDATE contacts SET {", ".join(f"{name} = ${n}" for n, name in enumerate(WRITTEN, 5))}
    WHERE account_id = $1 AND id = $2
    RETURNING account_id, id
), untagged AS (
    DELETE FROM contact_tags AS t USING written, unnest($3::text[]) AS gone
    WHERE t.account_id = $1 AND t.tag = gone AND t.contact_id = written.id
), tagged AS (
    INSERT INTO contact_tags (account_id, tag, contact_id)
    SELECT written.account_id, came, written.id FROM written, unnest($4::text[]) AS came
)
SELECT id FROM written
"""

GET = f"SELECT {SELECTED} FROM contacts AS c WHERE c.account_id = $1 AND c.id = $2"
LOCK = GET + " FOR UPDATE"
# One by one, in the order given. By `id = ANY` the planner, without statistics of so large an account, skips through an
# index that has something else before the id, and reads all of the account's contacts.
LOCK_MANY = f"""
SELECT held.* FROM unnest($2::uuid[]) AS k (id) CROSS JOIN LATERAL (
    SELECT {SELECTED} FROM contacts AS c WHERE c.account_id = $1 AND c.id = k.id OFFSET 0 FOR UPDATE
) AS held
"""

LOOKUPS = {
    "phone": f"SELECT {SELECTED}, 1 AS matches FROM contacts AS c WHERE c.account_id = $1 AND c.phone = $2",
    "external_id": f"SELECT {SELECTED}, 1 AS matches FROM contacts AS c WHERE c.account_id = $1 AND c.external_id = $2",
    "email": f"""
SELECT {SELECTED}, count(*) OVER () AS matches FROM contacts AS c WHERE c.account_id = $1 AND c.email_normal = $2
ORDER BY c.updated_at DESC, c.id DESC LIMIT 1
""",
}

HOLDERS = """
SELECT id, 'phone' AS key FROM contacts WHERE account_id = $1 AND phone = $2
UNION ALL
SELECT id, 'external_id' FROM contacts WHERE account_id = $1 AND external_id = $3
UNION ALL
SELECT id, 'email' FROM contacts WHERE account_id = $1 AND email_normal = $4 AND phone IS NULL
"""

# $3: the version demanded, null for any.
DOOM = """
SELECT id, list_ids FROM contacts
WHERE account_id = $1 AND id = ANY($2::uuid[]) AND ($3::bigint IS NULL OR version = $3)
ORDER BY id FOR UPDATE
"""
# A statement by itself, behind the lock: it sees the tags that whoever held the contact before has added.
DELETE = """
WITH gone AS (
    DELETE FROM contacts AS c WHERE c.account_id = $1 AND c.id = ANY($2::uuid[])
    RETURNING c.id, c.version + 1 AS version, c.tags
), untagged AS (
    DELETE FROM contact_tags AS t USING (SELECT id, unnest(tags) AS tag FROM gone) AS had
    WHERE t.account_id = $1 AND t.tag = had.tag AND t.contact_id = had.id
), buried AS (
    INSERT INTO tombstones (account_id, contact_id, version, deleted_at) SELECT $1, id, version, $3 FROM gone
)
SELECT id, version FROM gone
"""


def contact(row: asyncpg.Record) -> Contact:
    return Contact(*tuple(row)[: len(COLUMNS)])


def body(new: Contact) -> bytes:
    """As INSERT reads it."""
    values = dict(zip(COLUMNS, inserted_values(new), strict=True))
    objects = {name: orjson.Fragment(text) for name in OBJECTS if isinstance(text := values[name], str)}
    # asyncpg has a UUID of its own.
    return orjson.dumps(values | objects, default=str)


async def update(tx: WriteTx, account: AccountId, *, before: Contact, after: Contact) -> None:
    """Write a locked contact. Raises asyncpg.UniqueViolationError where another has one of the keys."""
    gone = [tag for tag in before.tags if tag not in after.tags]
    came = [tag for tag in after.tags if tag not in before.tags]
    await tx.execute(UPDATE, account, after.id, gone, came, *updated_values(after))


async def find(db: Database, account: AccountId, contact_id: UUID) -> Contact | None:
    """`get` in a transaction of its own."""
    row = await db.one(account, GET, contact_id)
    return None if row is None else contact(row)


async def get(tx: ReadTx, account: AccountId, contact_id: UUID) -> Contact | None:
    row = await tx.fetchrow(GET, account, contact_id)
    return None if row is None else contact(row)


async def lock(tx: WriteTx, account: AccountId, contact_id: UUID) -> Contact | None:
    """The contact, held until the transaction ends."""
    row = await tx.fetchrow(LOCK, account, contact_id)
    return None if row is None else contact(row)


async def lock_many(tx: WriteTx, account: AccountId, ids: Iterable[UUID]) -> list[Contact]:
    """Those that are there, held until the transaction ends; in the order of ids, as everybody locks who locks
    several."""
    return [contact(row) for row in await tx.fetch(LOCK_MANY, account, sorted(set(ids)))]


async def look_up(db: Database, account: AccountId, key: str, value: str) -> tuple[Contact, int] | None:
    """The contact with the key, and how many have it. key: one of LOOKUPS."""
    row = await db.one(account, LOOKUPS[key], value)
    return None if row is None else (contact(row), row["matches"])


async def holders(tx: ReadTx, account: AccountId, keys: Keys) -> list[Holder]:
    """Which contacts have these keys."""
    rows = await tx.fetch(HOLDERS, account, keys.phone, keys.external_id, keys.email_normal)
    return [Holder(row["id"], row["key"]) for row in rows]


async def delete(
    tx: WriteTx, account: AccountId, ids: Iterable[UUID], *, if_version: int | None, at: datetime
) -> list[tuple[UUID, int]]:
    """Remove contacts and leave tombstones; the ids removed, each with the version of its tombstone."""
    doomed = await tx.fetch(DOOM, account, list(ids), if_version)
    if not doomed:
        return []
    await memberships.remove(tx, account, [(list_id, row["id"]) for row in doomed for list_id in row["list_ids"]])
    rows = await tx.fetch(DELETE, account, [row["id"] for row in doomed], at)
    gone = [(row["id"], row["version"]) for row in rows]
    await entries.forget(tx, account, gone)
    return gone
