"""Accounts and their keys: what is decided and written in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from carillon.accounts.v1 import accounts_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.db import Database, WriteTx
from chassis.ids import AccountId
from chassis.outbox import Event
from services.gateway import repository
from services.gateway.auth import Principal
from services.gateway.domain import keys
from services.gateway.repository import NewKey

# Who makes, rotates and revokes keys on the command line.
OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class NewAccount:
    account_id: str
    key_id: str
    # In clear; this is the only time that it is seen.
    key: str


async def create_account(
    db: Database, name: str, *, scopes: Sequence[str], rate_limit: int | None = None
) -> NewAccount:
    """An account with its first key, and the event that tells of it. For the work role. Raises ValueError."""
    account, now = AccountId(ids.new()), datetime.now(UTC)
    key, new = new_key("first key", scopes=scopes, made_at=now, rate_limit=rate_limit)
    async with db.across() as tx:
        await repository.insert_account(tx, account, name=checked_name(name, "an account"), created_at=now)
        await add_key(tx, account, new, actor=OPERATOR)
        tx.add_events([Event("account.created", account, account_created(account, name.strip(), now))])
    return NewAccount(account_id=ids.encode_account(account), key_id=ids.encode("key", new.id), key=key)


async def create_key(
    db: Database,
    account_id: str,
    name: str,
    *,
    scopes: Sequence[str],
    mode: str = "live",
    rate_limit: int | None = None,
) -> NewAccount:
    """One more key of an account. For the work role. Raises ValueError."""
    account = known_account(account_id)
    key, new = new_key(
        checked_name(name, "a key"), scopes=scopes, made_at=datetime.now(UTC), mode=mode, rate_limit=rate_limit
    )
    async with db.across() as tx:
        if not await repository.account_exists(tx, account):
            raise ValueError(f"there is no account {account_id}")
        await add_key(tx, account, new, actor=OPERATOR)
    return NewAccount(account_id=account_id, key_id=ids.encode("key", new.id), key=key)


async def revoke_key(db: Database, account_id: str, key_id: str) -> None:
    """For the work role. Raises ValueError where the account has no such key."""
    account, wanted = known_account(account_id), ids.decode("key", key_id)
    async with db.across() as tx:
        if wanted is None or not await repository.revoke_key(tx, account, wanted):
            raise ValueError(f"{account_id} has no key {key_id}")
        await repository.insert_change(
            tx, account, wanted, change_id=ids.new(), action="revoked", actor=OPERATOR, request_id=""
        )


async def list_accounts(db: Database) -> list[asyncpg.Record]:
    """For the work role: account_id, name, created_at, keys, last_used_at."""
    async with db.across() as tx:
        return await repository.list_accounts(tx)


async def list_keys(db: Database, account_id: str) -> list[asyncpg.Record]:
    """For the work role. Raises ValueError."""
    account = known_account(account_id)
    async with db.across() as tx:
        return await repository.list_keys(tx, account, before=None, limit=1000)


def new_key(
    name: str,
    *,
    scopes: Sequence[str],
    made_at: datetime,
    mode: str = "live",
    expires_at: datetime | None = None,
    rate_limit: int | None = None,
) -> tuple[str, NewKey]:
    """A key in clear and what is stored of it. Raises ValueError."""
    unknown = keys.unknown_scopes(scopes)
    if unknown or not scopes:
        raise ValueError(
            f"unknown scopes: {', '.join(unknown) or 'none given'}; known: {', '.join(sorted(keys.SCOPES))}"
        )
    key = keys.new_key(mode)
    stored = NewKey(
        id=ids.new(),
        name=name,
        mode=mode,
        digest=keys.digest(key),
        scopes=tuple(dict.fromkeys(scopes)),
        created_at=made_at,
        expires_at=expires_at,
        rate_limit=rate_limit,
    )
    return key, stored


async def add_key(tx: WriteTx, account: AccountId, new: NewKey, *, actor: str, request_id: str = "") -> None:
    """The key, and who made it."""
    await repository.insert_key(tx, account, new)
    await repository.insert_change(
        tx, account, new.id, change_id=ids.new(), action="created", actor=actor, request_id=request_id
    )
    if new.replaces is not None:
        await repository.insert_change(
            tx, account, new.replaces, change_id=ids.new(), action="rotated", actor=actor, request_id=request_id
        )


def checked_name(name: str, whose: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 200:
        raise ValueError(f"{whose}'s name has 1 to 200 characters")
    return name


def known_account(account_id: str) -> AccountId:
    account = ids.decode_account(account_id)
    if account is None:
        raise ValueError(f"{account_id!r} is no account id: acct_ and 26 characters")
    return account


def account_created(account: AccountId, name: str, now: datetime) -> bytes:
    message = accounts_pb2.Account(id=ids.encode_account(account), name=name)
    message.created_at.FromDatetime(now)
    return events_pb2.AccountChanged(account=message).SerializeToString()


async def find_key(db: Database, digest: bytes) -> Principal | None:
    """See repository.find_key. In a transaction of no account, because whose key it is is the question."""
    async with db.across() as tx:
        return await repository.find_key(tx, digest)
