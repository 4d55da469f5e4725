"""The queries on timelines and messages.

`activity`, `messages` and `replies` are keyed by contact_id. A timeline is read from four tables, so that a campaign of
a million costs one row a message here: `activity` holds what integrators added, `messages` when each message came to
which stage, `replies` what the contact wrote, `consents` the changes of preferences. Who writes for a contact holds its
row (FOR KEY SHARE), so that a deleted one gets no rows behind its back.
"""

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from uuid import UUID

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.contacts.activity.record import RECEIVED, Entry, Message, Note, Reply
from services.contacts.domain.activity import STAGES

NOTE = ", ".join(field.name for field in fields(Note))
MESSAGE = tuple(field.name for field in fields(Message))
TIMES = tuple(STAGES.values())
COLUMN_TYPES = {"id": "uuid", "campaign_id": "uuid", "state_revision": "bigint", **dict.fromkeys(TIMES, "timestamptz")}
ARRAYS = ", ".join(f"${n}::{COLUMN_TYPES.get(name, 'text')}[]" for n, name in enumerate(MESSAGE, 3))

# The place before the first entry of any timeline.
Place = tuple[datetime, UUID, int]
TOP: Place = (datetime(9999, 12, 31, tzinfo=UTC), UUID(int=2**128 - 1), len(STAGES) + 1)

# $3 to $5: the place, $6 how many. Each table gives as many as the page can take.
TIMELINE = f"""
(SELECT a.at, a.id AS ref, 0 AS stage, a.type, a.channel, a.text, a.data, a.actor,
        NULL::uuid AS campaign_id, '' AS reason
 FROM activity AS a
 WHERE a.account_id = $1 AND a.contact_id = $2 AND a.at <= $3 AND (a.at, a.id, 0) < ($3, $4, $5)
 ORDER BY a.at DESC, a.id DESC LIMIT $6)
UNION ALL
(SELECT s.at, s.id, 0, 'contact.' || CASE s.after WHEN 'unknown' THEN 'preference_cleared' ELSE s.after END,
        s.channel, s.text, '{{}}', s.actor, NULL, ''
 FROM consents AS s
 WHERE s.account_id = $1 AND s.contact_id = $2 AND (s.at, s.id, 0) < ($3, $4, $5)
 ORDER BY s.at DESC, s.id DESC LIMIT $6)
UNION ALL
(SELECT r.at, r.id, 0, '{RECEIVED}', r.channel, r.text, '{{}}', '', r.campaign_id, ''
 FROM replies AS r
 WHERE r.account_id = $1 AND r.contact_id = $2 AND (r.at, r.id, 0) < ($3, $4, $5)
 ORDER BY r.at DESC, r.id DESC LIMIT $6)
UNION ALL
(SELECT t.at, m.id, t.stage, t.type, m.channel, '', '{{}}', '', m.campaign_id,
        CASE WHEN t.type = 'message.failed' THEN m.reason ELSE '' END
 FROM messages AS m
 CROSS JOIN LATERAL (
    VALUES {", ".join(f"({n}, '{name}', m.{column})" for n, (name, column) in enumerate(STAGES.items(), 1))}
 ) AS t(stage, type, at)
 WHERE m.account_id = $1 AND m.contact_id = $2 AND (t.at, m.id, t.stage) < ($3, $4, $5)
 ORDER BY t.at DESC, m.id DESC, t.stage DESC LIMIT $6)
ORDER BY at DESC, ref DESC, stage DESC LIMIT $6
"""
ADD_NOTE = f"""
WITH present AS (SELECT c.id FROM contacts AS c WHERE c.account_id = $1 AND c.id = $2 FOR KEY SHARE)
INSERT INTO activity (account_id, contact_id, {NOTE})
SELECT $1, present.id, $3::timestamptz, $4::uuid, $5, $6, $7, $8::jsonb, $9 FROM present RETURNING id
"""
MESSAGES = f"""
SELECT {", ".join(MESSAGE)} FROM messages
WHERE account_id = $1 AND contact_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
"""
REPLY = ", ".join(field.name for field in fields(Reply))
REPLIES = f"""
SELECT {REPLY} FROM replies
WHERE account_id = $1 AND contact_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
"""

# $2 contact ids, from $3 on the columns of Message. What was told of a stage stays; the state is that of the highest
# revision. Rows are locked in the order of ids, as by everybody.
RECORD = f"""
WITH told AS (
    SELECT * FROM unnest($2::uuid[], {ARRAYS}) AS t(contact_id, {", ".join(MESSAGE)})
), present AS (
    SELECT c.id FROM contacts AS c WHERE c.account_id = $1 AND c.id IN (SELECT contact_id FROM told)
    ORDER BY c.id FOR KEY SHARE
)
INSERT INTO messages AS m (account_id, contact_id, {", ".join(MESSAGE)})
SELECT $1, told.contact_id, {", ".join(f"told.{name}" for name in MESSAGE)}
FROM told JOIN present ON present.id = told.contact_id ORDER BY told.contact_id, told.id
ON CONFLICT (account_id, contact_id, id) DO UPDATE SET
    status = CASE WHEN excluded.state_revision > m.state_revision THEN excluded.status ELSE m.status END,
    reason = CASE WHEN excluded.state_revision > m.state_revision THEN excluded.reason ELSE m.reason END,
    state_revision = greatest(m.state_revision, excluded.state_revision),
    {", ".join(f"{name} = coalesce(m.{name}, excluded.{name})" for name in TIMES)}
WHERE excluded.state_revision > m.state_revision
    OR {" OR ".join(f"(m.{name} IS NULL AND excluded.{name} IS NOT NULL)" for name in TIMES)}
"""

# Whose address it is; of several that share an email the one updated last.
BEARERS = {
    "phone": """
SELECT c.phone, c.id FROM contacts AS c WHERE c.account_id = $1 AND c.phone = ANY($2::text[])
""",
    "email": """
SELECT DISTINCT ON (c.email_normal) c.email_normal, c.id FROM contacts AS c
WHERE c.account_id = $1 AND c.email_normal = ANY($2::text[]) ORDER BY c.email_normal, c.updated_at DESC, c.id DESC
""",
}


async def timeline(tx: ReadTx, account: AccountId, contact_id: UUID, *, below: Place, limit: int) -> list[Entry]:
    """Newest first. Reads every message of the contact: some hundreds, seldom more."""
    return [Entry(*row) for row in await tx.fetch(TIMELINE, account, contact_id, *below, limit)]


async def add(tx: WriteTx, account: AccountId, contact_id: UUID, note: Note) -> bool:
    """False where there is no such contact."""
    values = [getattr(note, field.name) for field in fields(Note)]
    return await tx.fetchval(ADD_NOTE, account, contact_id, *values) is not None


async def messages(
    tx: ReadTx, account: AccountId, contact_id: UUID, *, before: UUID | None, limit: int
) -> list[Message]:
    """The one made last first, from below the id `before`."""
    return [Message(*row) for row in await tx.fetch(MESSAGES, account, contact_id, before, limit)]


async def replies(tx: ReadTx, account: AccountId, contact_id: UUID, *, before: UUID | None, limit: int) -> list[Reply]:
    """As `messages`."""
    return [Reply(*row) for row in await tx.fetch(REPLIES, account, contact_id, before, limit)]


async def record(tx: WriteTx, account: AccountId, told: Sequence[tuple[UUID, Message]]) -> None:
    """Contacts with a message of theirs, each message once; those of contacts that are not there are dropped."""
    columns = [[getattr(message, name) for _, message in told] for name in MESSAGE]
    await tx.execute(RECORD, account, [contact_id for contact_id, _ in told], *columns)


async def bearers(tx: ReadTx, account: AccountId, addresses: Sequence[str], *, by: str) -> dict[str, UUID]:
    """Contacts by their address. by: phone or email; emails folded."""
    return {row[0]: row[1] for row in await tx.fetch(BEARERS[by], account, addresses)}
