"""The gateway's queries."""

from datetime import datetime
from uuid import UUID

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId, encode
from services.gateway.auth import Principal

INSERT_ACCOUNT = "INSERT INTO accounts (account_id, name, created_at) VALUES ($1, $2, $3)"

INSERT_KEY = """
INSERT INTO api_keys (account_id, id, name, mode, hash, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

# The only way in which the serving role sees a key whose account it does not know yet; see migration 0001.
FIND_KEY = "SELECT account_id, id, scopes, expires_at FROM find_api_key($1)"


async def insert_account(tx: WriteTx, account: AccountId, *, name: str, created_at: datetime) -> None:
    await tx.execute(INSERT_ACCOUNT, account, name, created_at)


async def insert_key(
    tx: WriteTx,
    account: AccountId,
    *,
    key_id: UUID,
    name: str,
    mode: str,
    digest: bytes,
    scopes: list[str],
    expires_at: datetime | None,
) -> None:
    await tx.execute(INSERT_KEY, account, key_id, name, mode, digest, scopes, expires_at)


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
    )
