"""An account's own keys, as its admin sees and changes them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import asyncpg
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.accounts.v1 import accounts_pb2 as pb
from chassis import ids, paging
from chassis.call import Call
from chassis.db import Database, WriteTx
from chassis.errors import FailedPrecondition, Reason
from chassis.ids import AccountId
from services.gateway import repository, service
from services.gateway.auth import Authenticator, Principal
from services.gateway.errors import refused_field, unknown_id
from services.gateway.key_uses import Use
from services.gateway.problem import FieldCode
from services.gateway.repository import NewKey

T = TypeVar("T")

LEAST_OWN_OVERLAP = timedelta(minutes=5)

SHOWN_CHANGES = 100
# A week by the hour.
SHOWN_USES = 168


class Keyring:
    """Every method raises Unavailable where the database cannot be asked, and NotFound for a key that is not there."""

    def __init__(self, db: Database, authenticator: Authenticator) -> None:
        """db: of the serving role. authenticator: of this replica, told at once of what ends here."""
        self._db = db
        self._authenticator = authenticator

    async def create(
        self,
        tx: WriteTx,
        actor: Principal,
        *,
        request_id: str,
        name: str,
        scopes: Sequence[str],
        mode: str,
        expires_at: datetime | None,
        rate_limit: int | None,
    ) -> pb.NewApiKey:
        """With the key in clear, this once. Raises InvalidArgument."""
        now = datetime.now(UTC)
        check_mode(actor, mode, pointer="/mode")
        if expires_at is not None and expires_at <= now:
            raise refused_field("/expires_at", FieldCode.OUT_OF_RANGE, "expires_at lies in the past.")
        key, new = service.new_key(
            name, scopes=scopes, made_at=now, mode=mode, expires_at=expires_at, rate_limit=rate_limit
        )
        return await add(tx, actor, new, key=key, request_id=request_id)

    async def rotate(
        self, tx: WriteTx, actor: Principal, key_id: UUID, *, overlap: timedelta, request_id: str
    ) -> pb.NewApiKey:
        """A key that may do what the old one may; the old one goes on for the overlap, and is to be `forget`-ed when
        that is committed. See `create`."""
        now = datetime.now(UTC)
        old = found(await repository.lock_key(tx, tx.account, key_id))
        check_mode(actor, old["mode"], pointer="/id")
        check_overlap(actor, key_id, overlap)
        check_not_expired(old["expires_at"], now)
        key, new = service.new_key(
            old["name"],
            scopes=old["scopes"],
            made_at=now,
            mode=old["mode"],
            expires_at=old["expires_at"],
            rate_limit=old["rate_limit_per_second"],
        )
        await repository.expire_key(tx, tx.account, key_id, at=now + overlap)
        return await add(tx, actor, replace(new, replaces=key_id), key=key, request_id=request_id)

    def forget(self, key_id: UUID) -> None:
        """It was changed: this replica looks it up anew."""
        self._authenticator.forget(ids.encode("key", key_id))

    async def revoke(self, call: Call, actor: Principal, key_id: UUID) -> None:
        """Raises FailedPrecondition for the key that asks: by a slip the account would be left without one."""
        if actor.key_id == ids.encode("key", key_id):
            raise FailedPrecondition(
                Reason.INVALID_STATE, "A key does not revoke itself; use another one.", metadata={"status": "in use"}
            )
        async with self._db.write(call) as tx:
            if not await repository.revoke_key(tx, call.account, key_id):
                raise unknown_id("API key")
            await repository.insert_change(
                tx,
                call.account,
                key_id,
                change_id=ids.new(),
                action="revoked",
                actor=actor.key_id,
                request_id=call.request_id,
            )
        self.forget(key_id)

    async def get(self, account: AccountId, key_id: UUID) -> pb.ApiKey:
        async with self._db.read(account) as tx:
            return shown(found(await repository.get_key(tx, account, key_id)))

    async def page(self, account: AccountId, *, limit: int, cursor: str) -> tuple[list[pb.ApiKey], str]:
        """Newest first, and the next page's cursor or an empty text. Raises InvalidArgument."""
        scope = f"api keys of {account}"
        before = UUID(paging.decode_cursor(cursor, scope, parts=1)[0]) if cursor else None
        async with self._db.read(account) as tx:
            rows = await repository.list_keys(tx, account, before=before, limit=limit + 1)
        more = paging.encode_cursor(scope, str(rows[limit - 1]["id"])) if len(rows) > limit else ""
        return [shown(row) for row in rows[:limit]], more

    async def audit(self, account: AccountId, key_id: UUID) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
        """Who made and ended the key, and how much it was used by the hour; newest first. Of a revoked key too."""
        async with self._db.read(account) as tx:
            if not await repository.key_exists(tx, account, key_id):
                raise unknown_id("API key")
            changes = await repository.list_changes(tx, account, key_id, limit=SHOWN_CHANGES)
            return changes, await repository.list_uses(tx, account, key_id, limit=SHOWN_USES)

    async def add_uses(self, account: AccountId, uses: list[Use]) -> None:
        async with self._db.write(account) as tx:
            for use in uses:
                key_id = ids.decode("key", use.key_id)
                assert key_id is not None
                await repository.add_use(
                    tx, account, key_id, hour_at=use.hour_at, requests=use.requests, refused=use.refused
                )


async def add(tx: WriteTx, actor: Principal, new: NewKey, *, key: str, request_id: str) -> pb.NewApiKey:
    await service.add_key(tx, tx.account, new, actor=actor.key_id, request_id=request_id)
    return pb.NewApiKey(api_key=shown(found(await repository.get_key(tx, tx.account, new.id))), key=key)


def found(row: T | None) -> T:
    """Raises NotFound."""
    if row is None:
        raise unknown_id("API key")
    return row


def check_mode(actor: Principal, mode: str, *, pointer: str) -> None:
    """Raises InvalidArgument: what tests must not get hold of what sends."""
    if actor.mode == "test" and mode != "test":
        raise refused_field(pointer, FieldCode.NOT_ALLOWED, "A test key makes test keys only.")


def check_overlap(actor: Principal, key_id: UUID, overlap: timedelta) -> None:
    """Raises InvalidArgument: if the answer with the new key is lost, the old one must be there to ask again."""
    if actor.key_id == ids.encode("key", key_id) and overlap < LEAST_OWN_OVERLAP:
        raise refused_field(
            "/overlap_seconds",
            FieldCode.OUT_OF_RANGE,
            f"A key that rotates itself goes on for at least {LEAST_OWN_OVERLAP.seconds} seconds.",
        )


def check_not_expired(expires_at: datetime | None, now: datetime) -> None:
    """Raises FailedPrecondition: its successor would have expired too."""
    if expires_at is not None and expires_at <= now:
        raise FailedPrecondition(Reason.INVALID_STATE, "The API key has expired.", metadata={"status": "expired"})


def shown(row: asyncpg.Record) -> pb.ApiKey:
    return pb.ApiKey(
        id=ids.encode("key", row["id"]),
        name=row["name"],
        mode=row["mode"],
        scopes=row["scopes"],
        rate_limit_per_second=row["rate_limit_per_second"],
        created_at=stamp(row["created_at"]),
        expires_at=stamp(row["expires_at"]),
        last_used_at=stamp(row["last_used_at"]),
        replaces=ids.encode("key", row["replaces"]) if row["replaces"] is not None else "",
    )


def stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment.astimezone(UTC).replace(tzinfo=None))
    return made
