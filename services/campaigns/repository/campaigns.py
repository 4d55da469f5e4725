"""Queries on campaigns, their numbers and their runs."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from services.campaigns import contents, metrics
from services.campaigns.domain.audience import Audience
from services.campaigns.domain.content import Content
from services.campaigns.domain.stats import NOTHING, Stats, in_time

WITH_STATS = """
SELECT c.*, s.total, s.sent, s.delivered, s.failed, s.pending, s.skipped, s.uncertain, s.opened, s.clicked
FROM campaigns AS c JOIN campaign_stats AS s ON s.account_id = c.account_id AND s.campaign_id = c.id
"""
GET = WITH_STATS + "WHERE c.account_id = $1 AND c.id = $2 AND c.deleted_at IS NULL"
LOCK = "SELECT status FROM campaigns WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL FOR UPDATE"
PAGE = (
    WITH_STATS
    + """
WHERE c.account_id = $1 AND c.deleted_at IS NULL AND ($2::text IS NULL OR c.status = $2)
  AND ($3::uuid IS NULL OR c.id < $3)
ORDER BY c.id DESC LIMIT $4
"""
)
INSERT = """
INSERT INTO campaigns (account_id, id, name, template_id, sender_id, channel, segment_id, list_id, contact_ids,
  exclude_segment_ids, schedule_at, rate_limit_per_second, variables, schedule_max_late_seconds,
  sending_windows, is_test)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
"""
INSERT_STATS = "INSERT INTO campaign_stats (account_id, campaign_id) VALUES ($1, $2)"
INSERT_RUN = "INSERT INTO runs (account_id, campaign_id) VALUES ($1, $2)"
UPDATE = """
UPDATE campaigns SET name = $3, template_id = $4, sender_id = $5, channel = $6, segment_id = $7, list_id = $8,
  contact_ids = $9, exclude_segment_ids = $10, schedule_at = $11, rate_limit_per_second = $12, variables = $13,
  schedule_max_late_seconds = $14, sending_windows = $15, status_reason = '', version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = $2
"""
SET_STATUS = """
UPDATE campaigns SET status = $3, status_reason = $4, version = version + 1, updated_at = now(),
  finished_at = CASE WHEN $3 IN ('completed', 'cancelled') THEN now() END,
  freezing = freezing AND $3 <> 'cancelled'
WHERE account_id = $1 AND id = $2
"""
START = """
UPDATE campaigns SET status = 'running', status_reason = '', started_at = now(), started_body = $3,
  started_subject = $4, started_html = $5, started_whatsapp = $6, freezing = $7,
  frozen_at = CASE WHEN $7 THEN NULL ELSE now() END, version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = $2
"""
# A resumed campaign starts with the provider's slate clean.
RESET_RUN = """
UPDATE runs SET failed_rounds = 0, breaks = 0, due_at = 'epoch' WHERE account_id = $1 AND campaign_id = $2
"""
MARK_DELETED = "UPDATE campaigns SET deleted_at = now() WHERE account_id = $1 AND id = $2"
USES_TEMPLATE = """
SELECT EXISTS (SELECT FROM campaigns WHERE account_id = $1 AND template_id = $2 AND deleted_at IS NULL
  AND status IN ('draft', 'running', 'paused'))
"""
USES_SENDER = """
SELECT EXISTS (SELECT FROM campaigns WHERE account_id = $1 AND sender_id = $2 AND deleted_at IS NULL
  AND status IN ('draft', 'running', 'paused'))
"""
ADD_STATS = """
UPDATE campaign_stats SET total = total + $3, sent = sent + $4, delivered = delivered + $5, failed = failed + $6,
  pending = pending + $7, skipped = skipped + $8, uncertain = uncertain + $9, opened = opened + $10,
  clicked = clicked + $11
WHERE account_id = $1 AND campaign_id = $2
"""
# The row of the minute is locked behind that of the stats, which the INSERT waits for.
ADD_STATS_IN_TIME = f"""
WITH stats AS ({ADD_STATS} RETURNING account_id, campaign_id)
INSERT INTO campaign_minutes AS m (account_id, campaign_id, minute, sent, delivered, failed, skipped, uncertain,
  opened, clicked)
SELECT account_id, campaign_id, date_trunc('minute', now()), $4, $5, $6, $8, $9, $10, $11 FROM stats
ON CONFLICT (account_id, campaign_id, minute) DO UPDATE SET sent = m.sent + excluded.sent,
  delivered = m.delivered + excluded.delivered, failed = m.failed + excluded.failed,
  skipped = m.skipped + excluded.skipped, uncertain = m.uncertain + excluded.uncertain,
  opened = m.opened + excluded.opened, clicked = m.clicked + excluded.clicked
"""
# What the numbers must be; tests and `reconcile` hold them against the stored ones.
RECOUNT = """
SELECT count(*) AS total,
  count(*) FILTER (WHERE status IN ('sent', 'delivered', 'opened', 'clicked', 'failed')) AS sent,
  count(*) FILTER (WHERE status IN ('delivered', 'opened', 'clicked')) AS delivered,
  count(*) FILTER (WHERE status = 'failed') AS failed,
  count(*) FILTER (WHERE status IN ('pending', 'claimed')) AS pending,
  count(*) FILTER (WHERE status = 'skipped') AS skipped,
  count(*) FILTER (WHERE status = 'uncertain') AS uncertain,
  count(*) FILTER (WHERE status IN ('opened', 'clicked')) AS opened,
  count(*) FILTER (WHERE status = 'clicked') AS clicked
FROM recipients WHERE account_id = $1 AND campaign_id = $2
"""
STATS = "SELECT * FROM campaign_stats WHERE account_id = $1 AND campaign_id = $2"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a draft is made of."""

    name: str
    template_id: UUID
    sender_id: UUID
    channel: str
    audience: Audience
    schedule_at: datetime | None
    rate_limit_per_second: int
    variables: str
    schedule_max_late_seconds: int
    # As the row has them.
    sending_windows: str | None

    def values(self) -> tuple[object, ...]:
        """In the order of INSERT and UPDATE."""
        return (
            self.name,
            self.template_id,
            self.sender_id,
            self.channel,
            self.audience.segment_id,
            self.audience.list_id,
            self.audience.contact_ids,
            self.audience.exclude_segment_ids,
            self.schedule_at,
            self.rate_limit_per_second,
            self.variables,
            self.schedule_max_late_seconds,
            self.sending_windows,
        )


def audience(row: asyncpg.Record) -> Audience:
    """row: a campaign."""
    contact_ids = row["contact_ids"]
    return Audience(
        segment_id=row["segment_id"],
        list_id=row["list_id"],
        contact_ids=None if contact_ids is None else tuple(contact_ids),
        exclude_segment_ids=tuple(row["exclude_segment_ids"]),
    )


async def insert(tx: WriteTx, campaign_id: UUID, draft: Draft, *, is_test: bool) -> None:
    await tx.execute(INSERT, tx.account, campaign_id, *draft.values(), is_test)
    await tx.execute(INSERT_STATS, tx.account, campaign_id)
    await tx.execute(INSERT_RUN, tx.account, campaign_id)


async def get(tx: ReadTx, account: UUID, campaign_id: UUID) -> asyncpg.Record | None:
    """The campaign with its stats."""
    return await tx.fetchrow(GET, account, campaign_id)


async def lock(tx: WriteTx, account: UUID, campaign_id: UUID) -> asyncpg.Record | None:
    """The campaign with its stats, held against other changes of its state."""
    if await tx.fetchrow(LOCK, account, campaign_id) is None:
        return None
    return await get(tx, account, campaign_id)


async def update(tx: WriteTx, campaign_id: UUID, draft: Draft) -> None:
    """With another schedule or audience the scheduler looks at it again, so it is held no more."""
    await tx.execute(UPDATE, tx.account, campaign_id, *draft.values())


async def set_status(tx: WriteTx, account: UUID, campaign_id: UUID, *, status: str, reason: str) -> None:
    await tx.execute(SET_STATUS, account, campaign_id, status, reason)


async def start(tx: WriteTx, account: UUID, campaign_id: UUID, content: Content, *, freezing: bool) -> None:
    """freezing: the audience is not on the ledger yet, or not without whom it excludes."""
    whatsapp = contents.dumped(content.whatsapp)
    await tx.execute(START, account, campaign_id, content.body, content.subject, content.html, whatsapp, freezing)


async def reset_run(tx: WriteTx, account: UUID, campaign_id: UUID) -> None:
    await tx.execute(RESET_RUN, account, campaign_id)


async def mark_deleted(tx: WriteTx, campaign_id: UUID) -> None:
    await tx.execute(MARK_DELETED, tx.account, campaign_id)


async def page(tx: ReadTx, account: UUID, *, status: str | None, below: UUID | None, size: int) -> list[asyncpg.Record]:
    return await tx.fetch(PAGE, account, status, below, size)


async def uses_template(tx: WriteTx, template_id: UUID) -> bool:
    return bool(await tx.fetchval(USES_TEMPLATE, tx.account, template_id))


async def uses_sender(tx: WriteTx, sender_id: UUID) -> bool:
    return bool(await tx.fetchval(USES_SENDER, tx.account, sender_id))


async def add_stats(tx: WriteTx, account: UUID, campaign_id: UUID, *, delta: Stats) -> None:
    """Also to the current minute of the timeline. The last lock that a transaction takes, so that no two wait for one
    another."""
    if delta != NOTHING:
        statement = ADD_STATS_IN_TIME if in_time(delta) else ADD_STATS
        await tx.execute(statement, account, campaign_id, *delta.values())
        metrics.count(tx, delta)


async def stats(tx: ReadTx, account: UUID, campaign_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(STATS, account, campaign_id)


async def recount(tx: ReadTx, account: UUID, campaign_id: UUID) -> asyncpg.Record:
    row = await tx.fetchrow(RECOUNT, account, campaign_id)
    assert row is not None
    return row
