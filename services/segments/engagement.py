"""What became of the messages to a contact, as rules ask for it. Times only go up, and a message counts once, so that
events may come twice, late, and in any order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chassis import copytext
from chassis.db import ReadTx, WriteTx
from services.segments.contact_facts import engagement_facts
from services.segments.domain.fields import FIELDS as ALL_FIELDS
from services.segments.domain.fields import Source
from services.segments.projection import ContactVersion

FIELDS = frozenset(field.name for field in ALL_FIELDS.values() if field.source is Source.ENGAGEMENT)
TIMES = ("last_message_at", "last_delivered_at", "last_opened_at", "last_replied_at")

# The rows of the contacts are locked: nobody else writes theirs meanwhile.
RECORD = """
WITH new AS (
    INSERT INTO messages_received (account_id, contact_id, message)
    SELECT $1, r.contact_id, r.message FROM unnest($8::uuid[], $9::text[]) AS r (contact_id, message)
    ON CONFLICT DO NOTHING RETURNING contact_id
), received AS (
    SELECT contact_id, count(*) AS messages FROM new GROUP BY contact_id
)
INSERT INTO engagement AS e (account_id, contact_id, last_message_at, last_delivered_at, last_opened_at,
    last_replied_at, campaigns, messages_received)
SELECT $1, g.contact_id, g.message_at, g.delivered_at, g.opened_at, g.replied_at, g.campaigns::text[],
    coalesce(r.messages, 0)
FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
    AS g (contact_id, message_at, delivered_at, opened_at, replied_at, campaigns)
LEFT JOIN received r USING (contact_id)
ORDER BY g.contact_id
ON CONFLICT (account_id, contact_id) DO UPDATE SET
    last_message_at = greatest(e.last_message_at, excluded.last_message_at),
    last_delivered_at = greatest(e.last_delivered_at, excluded.last_delivered_at),
    last_opened_at = greatest(e.last_opened_at, excluded.last_opened_at),
    last_replied_at = greatest(e.last_replied_at, excluded.last_replied_at),
    messages_received = e.messages_received + excluded.messages_received,
    campaigns = CASE WHEN e.campaigns @> excluded.campaigns THEN e.campaigns ELSE (
        SELECT array_agg(DISTINCT c ORDER BY c) FROM unnest(e.campaigns || excluded.campaigns) AS c) END
WHERE (e.last_message_at, e.last_delivered_at, e.last_opened_at, e.last_replied_at) IS DISTINCT FROM (
        greatest(e.last_message_at, excluded.last_message_at),
        greatest(e.last_delivered_at, excluded.last_delivered_at),
        greatest(e.last_opened_at, excluded.last_opened_at),
        greatest(e.last_replied_at, excluded.last_replied_at))
    OR excluded.messages_received > 0 OR NOT e.campaigns @> excluded.campaigns
RETURNING contact_id
"""
GET = "SELECT * FROM engagement WHERE account_id = $1 AND contact_id = ANY ($2::uuid[])"
FORGET = """
WITH messages AS (DELETE FROM messages_received WHERE account_id = $1 AND contact_id = ANY ($2::uuid[]))
DELETE FROM engagement WHERE account_id = $1 AND contact_id = ANY ($2::uuid[])
"""


@dataclass(slots=True)
class Engaged:
    """What a batch of events says of one contact. Times are microseconds since 1970."""

    contact_id: UUID
    # By the names of TIMES; the latest.
    times: dict[str, int] = field(default_factory=dict)
    # Recipients' ids, `rcp_…`, whose message was delivered.
    received: set[str] = field(default_factory=set)
    # Ids of campaigns that sent to it, `cmp_…`.
    campaigns: set[str] = field(default_factory=set)

    def at(self, name: str, micros: int) -> None:
        self.times[name] = max(micros, self.times.get(name, micros))


async def record(tx: WriteTx, engaged: Sequence[Engaged]) -> frozenset[UUID]:
    """Write what is new; the contacts of whom anything was. The caller holds their rows. Each contact once."""
    received = [(one.contact_id, message) for one in engaged for message in sorted(one.received)]
    rows = await tx.fetch(
        RECORD,
        tx.account,
        [one.contact_id for one in engaged],
        *[[one.times.get(name) for one in engaged] for name in TIMES],
        [copytext.array(sorted(one.campaigns)) for one in engaged],
        [contact for contact, _ in received],
        [message for _, message in received],
    )
    return frozenset(row["contact_id"] for row in rows)


async def join(tx: WriteTx, contacts: Sequence[ContactVersion]) -> list[ContactVersion]:
    """The contacts with what is known of their messages among their facts."""
    known = await of(tx, tx.account, [contact.contact_id for contact in contacts if not contact.deleted])
    return [
        contact._replace(facts={**contact.facts, **engagement_facts(known[contact.contact_id])})
        if contact.contact_id in known
        else contact
        for contact in contacts
    ]


async def of(tx: ReadTx, account: UUID, contacts: Sequence[UUID]) -> Mapping[UUID, Mapping[str, Any]]:
    return {row["contact_id"]: dict(row) for row in await tx.fetch(GET, account, contacts)}


async def forget(tx: WriteTx, contacts: Sequence[UUID]) -> None:
    await tx.execute(FORGET, tx.account, contacts)
