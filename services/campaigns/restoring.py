"""What campaigns does after a restore: revisions leap, and nothing goes out before somebody has looked.

What was sent after the moment that was restored is not on the ledger. So every campaign that could send is held, with
the reason `restored`, and whoever was open on its ledger counts as attempted without an answer: when it is resumed,
they are repeated under their keys where the provider still knows these, and `uncertain` where not.
A campaign whose audience was being frozen is cancelled: its ledger, and the keys with it, would be made anew. A draft
that is due is held, for it may have been sent as well.
"""

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from chassis.db import Database, WriteTx
from chassis.restoring import leap
from services.campaigns import lifecycle
from services.campaigns.domain.campaign import Hold, Status
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import finishing
from services.campaigns.repository import restoring as queries


@dataclass(slots=True)
class Held:
    """How many campaigns nobody sends before a person has decided about them."""

    paused: int = 0
    cancelled: int = 0
    drafts: int = 0


async def after_restore(db: Database, *, moment: datetime) -> Held:
    """moment: what was sent until then is on the ledger. db: of the owner. May be repeated."""
    held = Held()
    async with db.across() as tx:
        for table in ("campaigns", "templates", "senders"):
            await leap(tx, table, "version")
        for row in await queries.every(tx):
            await queries.leap_ledger(tx, row)
            if Status(row["status"]) in (Status.RUNNING, Status.PAUSED):
                await hold(tx, row, moment, held)
        for row in await finishing.due(tx):
            await finishing.hold(tx, row["account_id"], row["id"], reason=Hold.RESTORED)
            await lifecycle.append_event(tx, row["account_id"], row["id"], "campaign.updated")
            held.drafts += 1
    return held


async def hold(tx: WriteTx, row: asyncpg.Record, moment: datetime, held: Held) -> None:
    account, campaign_id = row["account_id"], row["id"]
    await queries.doubt(tx, row, moment)
    if row["freezing"]:
        await campaign_queries.set_status(tx, account, campaign_id, status=Status.CANCELLED, reason=Hold.RESTORED)
        await lifecycle.append_event(tx, account, campaign_id, "campaign.cancelled")
        held.cancelled += 1
    else:
        await lifecycle.pause(tx, row, Hold.RESTORED)
        held.paused += 1
