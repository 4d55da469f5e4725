"""The steps of a campaign's life that callers and the engine share, each inside the transaction of whoever takes it."""

from uuid import UUID

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.events.v1 import events_pb2 as events
from chassis.db import WriteTx
from chassis.ids import AccountId
from chassis.outbox import Event
from services.campaigns import contents, convert, errors
from services.campaigns.domain.campaign import Hold, Status
from services.campaigns.repository import campaigns as queries
from services.campaigns.repository import templates as template_queries


async def append_event(tx: WriteTx, account: UUID, campaign_id: UUID, event: str) -> pb.Campaign:
    """Adds the event with the campaign as it stands now; returns that."""
    row = await queries.get(tx, account, campaign_id)
    assert row is not None
    campaign = convert.campaign(row)
    message = events.CampaignChanged(campaign=campaign)
    tx.add_events([Event(event, AccountId(account), message.SerializeToString())])
    return campaign


def has_audience(row: asyncpg.Record) -> bool:
    return not queries.audience(row).is_uploaded or row["total"] > 0


async def start_draft(tx: WriteTx, account: UUID, row: asyncpg.Record) -> pb.Campaign:
    """Start a draft that is locked. Its text is what the template says now, whatever becomes of that later.

    Raises FailedPrecondition(AUDIENCE_MISSING).
    """
    if not has_audience(row):
        raise errors.audience_missing()
    template = await template_queries.get(tx, account, row["template_id"])
    # A draft keeps its template from being deleted.
    assert template is not None
    audience = queries.audience(row)
    freezing = not audience.is_uploaded or bool(audience.exclude_segment_ids)
    await queries.start(tx, account, row["id"], contents.of_template(template), freezing=freezing)
    return await append_event(tx, account, row["id"], "campaign.started")


async def pause(tx: WriteTx, row: asyncpg.Record, reason: Hold) -> None:
    """Pause a running campaign that is locked, until a person decides."""
    account, campaign_id = row["account_id"], row["id"]
    await queries.set_status(tx, account, campaign_id, status=Status.PAUSED, reason=reason)
    await append_event(tx, account, campaign_id, "campaign.paused")
