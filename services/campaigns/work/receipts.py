"""Applies stored receipts to the ledger, in batches.

Repeated, out of order or before the send's own answer: harmless, because a state only ever climbs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from carillon.events.v1 import events_pb2 as events
from chassis import ids
from chassis.db import Database, WriteTx
from chassis.ids import AccountId
from services.campaigns import convert, metrics
from services.campaigns.domain.recipient import Reason, Receipt, Status, after_receipt
from services.campaigns.domain.stats import NOTHING, step
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import receipts as queries
from services.campaigns.work import message_events

BATCH = 1000
# Whose time is kept with the line.
TIMED = (Status.DELIVERED, Status.OPENED, Status.CLICKED)
# Account and campaign.
Key = tuple[UUID, UUID]


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
            found, campaigns = await self._find(tx, receipts)
            # Of a campaign that is gone: nothing to move.
            gone = {row["place"] for row in found if key_of(row) not in campaigns}
            known = [row for row in found if row["place"] not in gone and is_settled(row)]
            places = gone | {row["place"] for row in known}
            moved = move(receipts, known)
            await self._write(tx, moved, campaigns)
            await queries.done(tx, [receipts[place] for place in sorted(places)])
            later = [receipt for place, receipt in enumerate(receipts) if place not in places]
            if later:
                await queries.later(tx, later)
        metrics.RECEIPTS.labels("applied").inc(len(moved))
        metrics.RECEIPTS.labels("no_news").inc(len(places) - len(moved))
        metrics.RECEIPTS.labels("not_found_yet").inc(len(later))
        return len(receipts) == BATCH

    async def _find(
        self, tx: WriteTx, receipts: Sequence[asyncpg.Record]
    ) -> tuple[list[asyncpg.Record], dict[Key, asyncpg.Record]]:
        """The recipients that the receipts are of, locked, and their campaigns.

        A message is also known by its recipient's id, which the provider got as its idempotency key: the way back for
        a send whose answer was lost.
        """
        by_key = {place: ids.decode(convert.RECIPIENT, r["provider_message_id"]) for place, r in enumerate(receipts)}
        recipients = {place: one for place, one in by_key.items() if one is not None}
        recipients |= await queries.named(tx, receipts)
        rows = await queries.lock(tx, receipts, recipients)
        campaigns = await queries.campaigns(tx, {(row["account_id"], row["campaign_id"]) for row in rows})
        # A sender speaks for its own messages only.
        own = [
            row
            for row in rows
            if key_of(row) not in campaigns
            or campaigns[key_of(row)]["sender_id"] == receipts[row["place"]]["sender_id"]
        ]
        return own, campaigns

    async def _write(self, tx: WriteTx, moved: Sequence[Moved], campaigns: Mapping[Key, asyncpg.Record]) -> None:
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
        by_campaign: dict[Key, list[Moved]] = {}
        for one in moved:
            by_campaign.setdefault(key_of(one.row), []).append(one)
        # In order of key, as everybody who locks several.
        for (account, campaign_id), group in sorted(by_campaign.items()):
            taken = Counter((one.row["status"], one.status) for one in group)
            delta = sum((step(Status(was), now) * times for (was, now), times in taken.items()), NOTHING)
            await campaign_queries.add_stats(tx, account, campaign_id, delta=delta)
            channel = campaigns[account, campaign_id]["channel"]
            told: dict[str, events.MessagesChanged] = {}
            for one in group:
                if one.status not in told:
                    told[one.status] = message_events.of_campaign(campaign_id, channel)
                told[one.status].recipients.append(convert.recipient(after(one)))
            tx.add_events(message_events.make(AccountId(account), told))


def is_settled(row: asyncpg.Record) -> bool:
    """Whether the send's own answer is on record; it must be, before what came of it."""
    return row["status"] != Status.CLAIMED and not (
        row["status"] == Status.PENDING and row["unanswered_since"] is not None
    )


def key_of(row: asyncpg.Record) -> Key:
    return row["account_id"], row["campaign_id"]


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
    told = {f"{one.status}_at": one.at} if one.status in TIMED else {}
    return {
        **one.row,
        "status": one.status.value,
        "reason": one.reason,
        "sent_at": one.row["sent_at"] or one.at,
        "state_revision": one.row["state_revision"] + 1,
        **told,
    }
