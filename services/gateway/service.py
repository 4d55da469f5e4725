"""Accounts and keys: what is decided and written in one transaction."""

from dataclasses import dataclass
from datetime import UTC, datetime

from carillon.accounts.v1 import accounts_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.db import Database
from chassis.ids import AccountId
from chassis.outbox import Event
from services.gateway import repository
from services.gateway.auth import Principal
from services.gateway.domain import keys


@dataclass(frozen=True, slots=True)
class NewAccount:
    account_id: str
    key_id: str
    # In clear; this is the only time that it is seen.
    key: str


async def create_account(db: Database, name: str, *, scopes: list[str]) -> NewAccount:
    """An account with its first key, and the event that tells of it. For the work role. Raises ValueError."""
    name = name.strip()
    if not 1 <= len(name) <= 200:
        raise ValueError("an account's name has 1 to 200 characters")
    unknown = keys.unknown_scopes(scopes)
    if unknown or not scopes:
        raise ValueError(
            f"unknown scopes: {', '.join(unknown) or 'none given'}; known: {', '.join(sorted(keys.SCOPES))}"
        )
    account, key_id, key, now = AccountId(ids.new()), ids.new(), keys.new_key(), datetime.now(UTC)
    async with db.across() as tx:
        await repository.insert_account(tx, account, name=name, created_at=now)
        await repository.insert_key(
            tx,
            account,
            key_id=key_id,
            name="first key",
            mode="live",
            digest=keys.digest(key),
            scopes=scopes,
            expires_at=None,
        )
        tx.add_events([Event("account.created", account, account_created(account, name, now))])
    return NewAccount(account_id=ids.encode_account(account), key_id=ids.encode("key", key_id), key=key)


def account_created(account: AccountId, name: str, now: datetime) -> bytes:
    message = accounts_pb2.Account(id=ids.encode_account(account), name=name)
    message.created_at.FromDatetime(now)
    return events_pb2.AccountChanged(account=message).SerializeToString()


async def find_key(db: Database, digest: bytes) -> Principal | None:
    """See repository.find_key. In a transaction of no account, because whose key it is is the question."""
    async with db.across() as tx:
        return await repository.find_key(tx, digest)
