"""Applies stored receipts to the ledger, in batches.

Repeated, out of order or before the send's own answer: harmless, because a state only ever climbs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from prometheus_client import Counter

from chassis import ids
from chassis.db import Database, WriteTx
from chassis.ids import AccountId
from services.campaigns import convert
from services.campaigns.domain.recipient import Reason, Receipt, Status, after_receipt
from services.campaigns.domain.stats import NOTHING, Stats, step
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import receipts as queries
from services.campaigns.work import message_events

RECEIPTS = Counter("carillon_campaigns_receipts_total", "Receipts by what became of them", ["result"])

BATCH = 1000


@dataclass(slots=True)
class Moved:
    """A recipient and where receipts take it."""

    row: asyncpg.Record
    status: Status
    reason: str
    at: datetime


class ReceiptApplier:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def step(self) -> bool:
        async with self._db.across() as tx:
            receipts = await queries.take(tx, BATCH)
            if not receipts:
                return False
            found = await queries.find(tx, receipts, [recipient_id(receipt) for receipt in receipts])
            # The send's own answer must be on record before what came of it.
            known = [row for row in found if row["status"] != Status.CLAIMED]
            places = {row["place"] for row in known}
            moved = move(receipts, known)
            await self._write(tx, moved)
            await queries.done(tx, [receipts[place] for place in sorted(places)])
            later = [receipt for place, receipt in enumerate(receipts) if place not in places]
            if later:
                await queries.later(tx, later)
        RECEIPTS.labels("applied").inc(len(moved))
        RECEIPTS.labels("no_news").inc(len(places) - len(moved))
        RECEIPTS.labels("not_found_yet").inc(len(later))
        return len(receipts) == BATCH

    async def _write(self, tx: WriteTx, moved: Sequence[Moved]) -> None:
        if not moved:
            return
        await queries.apply(
            tx,
            [
                queries.Step(
                    account=one.row["account_id"],
                    campaign=one.row["campaign_id"],
                    chunk=one.row["chunk"],
                    recipient=one.row["id"],
                    status=one.status,
                    reason=one.reason,
                    at=one.at,
                )
                for one in moved
            ],
        )
        by_campaign: dict[tuple[UUID, UUID], list[Moved]] = {}
        for one in moved:
            by_campaign.setdefault((one.row["account_id"], one.row["campaign_id"]), []).append(one)
        # In order of key, as everybody who locks several.
        for (account, campaign_id), group in sorted(by_campaign.items()):
            delta: Stats = sum((step(Status(one.row["status"]), one.status) for one in group), NOTHING)
            await campaign_queries.add_stats(tx, account, campaign_id, delta=delta)
            told: dict[str, list[object]] = {}
            for one in group:
                told.setdefault(one.status, []).append(convert.recipient(after(one)))
            tx.add_events(
                message_events.make(AccountId(account), campaign_id, group[0].row["channel"], told)  # type: ignore[arg-type]
            )


def move(receipts: Sequence[asyncpg.Record], found: Sequence[asyncpg.Record]) -> list[Moved]:
    """The recipients that the receipts take further, each once."""
    moved: dict[UUID, Moved] = {}
    for row in found:
        receipt = receipts[row["place"]]
        now = moved[row["id"]].status if row["id"] in moved else Status(row["status"])
        told = after_receipt(now, Receipt(receipt["status"]))
        if told is not None:
            reason = (receipt["reason"] or Reason.UNDELIVERED) if told is Status.FAILED else ""
            moved[row["id"]] = Moved(row, told, reason, receipt["at"])
    return list(moved.values())


def after(one: Moved) -> dict[str, object]:
    """The recipient's row as `apply` leaves it."""
    delivered_at = one.at if one.status is Status.DELIVERED else one.row["delivered_at"]
    return {
        **one.row,
        "status": one.status.value,
        "reason": one.reason,
        "sent_at": one.row["sent_at"] or one.at,
        "delivered_at": delivered_at,
        "state_revision": one.row["state_revision"] + 1,
    }


def recipient_id(receipt: asyncpg.Record) -> UUID | None:
    """Where the provider calls the message by the key that it got with it."""
    return ids.decode(convert.RECIPIENT, receipt["provider_message_id"])
