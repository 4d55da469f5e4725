"""The query of test messages."""

from uuid import UUID

import asyncpg

from chassis.db import ReadTx

# As repository.dispatch.context has it; a draft's text is what its template says now.
CONTEXT = """
SELECT c.account_id, c.id, c.status, c.channel, c.sender_id, c.variables,
  coalesce(c.started_body, t.body) AS started_body,
  CASE WHEN c.started_body IS NULL THEN t.subject ELSE c.started_subject END AS started_subject,
  CASE WHEN c.started_body IS NULL THEN t.html ELSE c.started_html END AS started_html,
  CASE WHEN c.started_body IS NULL THEN t.whatsapp ELSE c.started_whatsapp END AS started_whatsapp, c.is_test,
  s.version AS sender_version, s.address, s.provider, s.settings, s.secrets, s.receipts_secret
FROM campaigns AS c
JOIN senders AS s ON s.account_id = c.account_id AND s.id = c.sender_id
LEFT JOIN templates AS t ON t.account_id = c.account_id AND t.id = c.template_id
WHERE c.account_id = $1 AND c.id = $2 AND c.deleted_at IS NULL
"""


async def context(tx: ReadTx, account: UUID, campaign_id: UUID) -> asyncpg.Record | None:
    """The campaign with its text and its sender, which one that may be tested has."""
    return await tx.fetchrow(CONTEXT, account, campaign_id)
