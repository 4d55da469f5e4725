"""What an account does with its webhooks: each function in one transaction, with its refusals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from chassis import destinations, ids
from chassis.db import ReadTx, WriteTx
from chassis.errors import Aborted, FailedPrecondition, NotFound, Reason
from chassis.ids import AccountId
from chassis.sealing import Sealer
from services.gateway.domain import event_types
from services.gateway.errors import refused_field, unknown_id
from services.gateway.problem import FieldCode
from services.gateway.webhooks import repository, signing

PREFIX, ATTEMPT_PREFIX = "whk", "wat"
MOST = 50


@dataclass(frozen=True, slots=True)
class Made:
    """secret: in clear; this is the only time that it is seen."""

    row: asyncpg.Record
    secret: str


@dataclass(frozen=True, slots=True)
class Webhooks:
    sealer: Sealer
    # Any address and http:// will do.
    private: bool

    def check_url(self, url: str) -> None:
        """Raises InvalidArgument that points at /url."""
        try:
            host = destinations.read_url(url, plain=self.private)
            if not self.private:
                destinations.check_host(host)
        except destinations.Refused as error:
            raise refused_field("/url", FieldCode.NOT_ALLOWED, f"{error}.".capitalize()) from error

    async def create(self, tx: WriteTx, *, url: str, description: str, types: Sequence[str], enabled: bool) -> Made:
        self.check_url(url)
        if await repository.count(tx) >= MOST:
            raise refused_field("", FieldCode.OUT_OF_RANGE, f"An account has at most {MOST} webhooks.")
        secret = signing.new_secret()
        row = await repository.insert(
            tx,
            ids.new(),
            url=url,
            description=description,
            event_types=list(dict.fromkeys(types)),
            enabled=enabled,
            secret=self.sealer.seal(secret),
        )
        return Made(row, secret)

    async def update(
        self, tx: WriteTx, webhook: UUID, *, changes: dict[str, Any], if_version: int | None
    ) -> asyncpg.Record:
        """changes: of url, description, event_types and enabled. Enabling makes what waits due at once."""
        row = await self._locked(tx, webhook, if_version)
        if "url" in changes:
            self.check_url(changes["url"])
        if "event_types" in changes:
            changes["event_types"] = list(dict.fromkeys(changes["event_types"]))
        kept = {name: row[name] for name in ("url", "description", "event_types", "enabled")}
        after = await repository.update(tx, webhook, **(kept | changes))
        if after["enabled"] and (not row["enabled"] or after["url"] != row["url"]):
            await repository.wake(tx, webhook, forgive=True)
        return after

    async def rotate(self, tx: WriteTx, webhook: UUID, *, overlap: timedelta) -> Made:
        await self._locked(tx, webhook, None)
        secret = signing.new_secret()
        return Made(await repository.rotate(tx, webhook, secret=self.sealer.seal(secret), overlap=overlap), secret)

    async def delete(self, tx: WriteTx, webhook: UUID, *, if_version: int | None) -> None:
        await self._locked(tx, webhook, if_version)
        await repository.delete(tx, webhook)

    async def test(self, tx: WriteTx, webhook: UUID) -> UUID:
        """The id of an event that only this endpoint gets."""
        must_be_enabled(await self._locked(tx, webhook, None))
        event_id = ids.new()
        await repository.ask(
            tx, webhook, event_id=event_id, event_type=event_types.TEST, time=datetime.now(UTC), position=0
        )
        await repository.wake(tx, webhook, forgive=False)
        return event_id

    async def replay(self, tx: WriteTx, webhook: UUID, attempt_id: UUID) -> UUID:
        """The id of the event, which is delivered once more. Raises NotFound where it is no longer kept."""
        must_be_enabled(await self._locked(tx, webhook, None))
        made = await repository.attempt(tx, tx.account, webhook, attempt_id)
        if made is None:
            raise unknown_id("attempt")
        if made["position"] and not await repository.is_kept(tx, tx.account, made["position"]):
            raise NotFound(Reason.NOT_FOUND, "The event of that attempt is no longer kept.")
        await repository.ask(
            tx,
            webhook,
            event_id=made["event_id"],
            event_type=made["type"],
            time=made["time"],
            position=made["position"],
        )
        await repository.wake(tx, webhook, forgive=False)
        event_id: UUID = made["event_id"]
        return event_id

    async def _locked(self, tx: WriteTx, webhook: UUID, if_version: int | None) -> asyncpg.Record:
        row = await repository.lock(tx, webhook)
        if row is None:
            raise unknown_id("webhook")
        if if_version is not None and row["version"] != if_version:
            raise Aborted(
                Reason.VERSION_MISMATCH,
                "The webhook was changed since.",
                metadata={"version": str(row["version"])},
            )
        return row


async def get(tx: ReadTx, account: AccountId, webhook: UUID) -> asyncpg.Record:
    """Raises NotFound."""
    row = await repository.get(tx, account, webhook)
    if row is None:
        raise unknown_id("webhook")
    return row


def must_be_enabled(row: asyncpg.Record) -> None:
    if not row["enabled"]:
        raise FailedPrecondition(
            Reason.INVALID_STATE, "The webhook is disabled; enable it first.", metadata={"status": "disabled"}
        )
