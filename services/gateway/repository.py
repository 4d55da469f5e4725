"""The gateway's queries about accounts and keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId, encode
from services.gateway.auth import Principal

INSERT_ACCOUNT = "INSERT INTO accounts (account_id, name, created_at) VALUES ($1, $2, $3)"
LIST_ACCOUNTS = """
SELECT a.account_id, a.name, a.created_at, count(k.id) AS keys, max(k.last_used_at) AS last_used_at
FROM accounts AS a LEFT JOIN api_keys AS k ON k.account_id = a.account_id AND k.revoked_at IS NULL
GROUP BY a.account_id ORDER BY a.account_id
"""
FIND_ACCOUNT = "SELECT name FROM accounts WHERE account_id = $1"

INSERT_KEY = """
INSERT INTO api_keys
    (account_id, id, name, mode, hash, scopes, created_at, expires_at, rate_limit_per_second, replaces)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""

# The only way in which the serving role sees a key whose account it does not know yet; see migration 0001.
FIND_KEY = "SELECT account_id, id, scopes, expires_at, mode, rate_limit_per_second FROM find_api_key($1)"

COLUMNS = "id, name, mode, scopes, rate_limit_per_second, created_at, expires_at, last_used_at, replaces"
LIST_KEYS = f"""
SELECT {COLUMNS} FROM api_keys
WHERE account_id = $1 AND revoked_at IS NULL AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""
GET_KEY = f"SELECT {COLUMNS} FROM api_keys WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL"
LOCK_KEY = f"{GET_KEY} FOR UPDATE"
REVOKE_KEY = """
UPDATE api_keys SET revoked_at = now() WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL RETURNING id
"""
# An overlap never makes a key live longer than it would have.
EXPIRE_KEY = "UPDATE api_keys SET expires_at = least(expires_at, $3) WHERE account_id = $1 AND id = $2"
# Of a revoked key too.
KEY_EXISTS = "SELECT true FROM api_keys WHERE account_id = $1 AND id = $2"

INSERT_CHANGE = """
INSERT INTO api_key_changes (account_id, key_id, id, action, actor, request_id) VALUES ($1, $2, $3, $4, $5, $6)
"""
LIST_CHANGES = """
SELECT id, action, actor, request_id, made_at FROM api_key_changes
WHERE account_id = $1 AND key_id = $2 ORDER BY id DESC LIMIT $3
"""
LIST_USES = """
SELECT hour_at, requests, refused FROM api_key_uses
WHERE account_id = $1 AND key_id = $2 ORDER BY hour_at DESC LIMIT $3
"""
# Of a key that went with its account nothing is kept.
ADD_USE = """
INSERT INTO api_key_uses AS known (account_id, key_id, hour_at, requests, refused)
SELECT account_id, id, $3, $4, $5 FROM api_keys WHERE account_id = $1 AND id = $2 FOR KEY SHARE
ON CONFLICT (account_id, key_id, hour_at) DO UPDATE
SET requests = known.requests + excluded.requests, refused = known.refused + excluded.refused
"""
CLEAN_USES = "DELETE FROM api_key_uses WHERE hour_at < now() - interval '90 days'"


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is stored of a key that is made now."""

    id: UUID
    name: str
    mode: str
    digest: bytes
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime | None = None
    rate_limit: int | None = None
    replaces: UUID | None = None


async def insert_account(tx: WriteTx, account: AccountId, *, name: str, created_at: datetime) -> None:
    await tx.execute(INSERT_ACCOUNT, account, name, created_at)


async def list_accounts(tx: ReadTx) -> list[asyncpg.Record]:
    return await tx.fetch(LIST_ACCOUNTS)


async def account_exists(tx: ReadTx, account: AccountId) -> bool:
    return await tx.fetchrow(FIND_ACCOUNT, account) is not None


async def insert_key(tx: WriteTx, account: AccountId, key: NewKey) -> None:
    await tx.execute(
        INSERT_KEY,
        account,
        key.id,
        key.name,
        key.mode,
        key.digest,
        list(key.scopes),
        key.created_at,
        key.expires_at,
        key.rate_limit,
        key.replaces,
    )


async def find_key(tx: ReadTx, digest: bytes) -> Principal | None:
    """None where the key is unknown, revoked or expired."""
    row = await tx.fetchrow(FIND_KEY, digest)
    if row is None:
        return None
    return Principal(
        account=AccountId(row["account_id"]),
        key_id=encode("key", row["id"]),
        scopes=frozenset(row["scopes"]),
        expires_at=row["expires_at"],
        mode=row["mode"],
        rate_limit=row["rate_limit_per_second"],
    )


async def list_keys(tx: ReadTx, account: AccountId, *, before: UUID | None, limit: int) -> list[asyncpg.Record]:
    """Newest first, without the revoked."""
    return await tx.fetch(LIST_KEYS, account, before, limit)


async def get_key(tx: ReadTx, account: AccountId, key_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(GET_KEY, account, key_id)


async def lock_key(tx: WriteTx, account: AccountId, key_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(LOCK_KEY, account, key_id)


async def revoke_key(tx: WriteTx, account: AccountId, key_id: UUID) -> bool:
    return await tx.fetchval(REVOKE_KEY, account, key_id) is not None


async def expire_key(tx: WriteTx, account: AccountId, key_id: UUID, *, at: datetime) -> None:
    await tx.execute(EXPIRE_KEY, account, key_id, at)


async def key_exists(tx: ReadTx, account: AccountId, key_id: UUID) -> bool:
    return await tx.fetchval(KEY_EXISTS, account, key_id) is not None


async def insert_change(
    tx: WriteTx, account: AccountId, key_id: UUID, *, change_id: UUID, action: str, actor: str, request_id: str
) -> None:
    await tx.execute(INSERT_CHANGE, account, key_id, change_id, action, actor, request_id)


async def list_changes(tx: ReadTx, account: AccountId, key_id: UUID, *, limit: int) -> list[asyncpg.Record]:
    return await tx.fetch(LIST_CHANGES, account, key_id, limit)


async def list_uses(tx: ReadTx, account: AccountId, key_id: UUID, *, limit: int) -> list[asyncpg.Record]:
    return await tx.fetch(LIST_USES, account, key_id, limit)


async def add_use(
    tx: WriteTx, account: AccountId, key_id: UUID, *, hour_at: datetime, requests: int, refused: int
) -> None:
    await tx.execute(ADD_USE, account, key_id, hour_at, requests, refused)


async def clean_uses(tx: WriteTx) -> None:
    """Of every account, for the work role."""
    await tx.execute(CLEAN_USES)
