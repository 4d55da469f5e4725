"""Uploads to the do-not-contact list: addresses are staged as they stream in, and go on the list at the file's end.

What is on the list is never narrowed: an entry for some channels is widened to those of the upload.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from chassis.db import WriteTx
from services.contacts.suppressions.record import Suppression
from services.contacts.suppressions.repository import COLUMNS

STAGE = """
INSERT INTO suppression_uploads (account_id, upload_id, address, id, email, reason)
SELECT $1, $2, * FROM unnest($3::text[], $4::uuid[], $5::text[], $6::text[]) ON CONFLICT DO NOTHING
"""
# The next $4 addresses behind $3, in order, so that two uploads cannot wait for one another.
NEXT = """
SELECT address FROM suppression_uploads
WHERE account_id = $1 AND upload_id = $2 AND address > $3 ORDER BY address LIMIT $4
"""
# Addresses above $3 up to $4. One kind of address at a time, because each has a key of its own.
TAKE = """
INSERT INTO suppressions AS s (account_id, {columns})
SELECT $1, u.id, {phone}, u.email, {email_normal}, $5::text[], u.reason, $6::timestamptz
FROM suppression_uploads AS u
WHERE u.account_id = $1 AND u.upload_id = $2 AND u.address > $3 AND u.address <= $4 AND u.email IS {kind}
ORDER BY u.address
ON CONFLICT (account_id, {key}) DO UPDATE SET channels = CASE WHEN excluded.channels = '{{}}' THEN '{{}}'
    ELSE ARRAY(SELECT DISTINCT channel FROM unnest(s.channels || excluded.channels) AS channel ORDER BY channel) END
WHERE s.channels <> '{{}}' AND (excluded.channels = '{{}}' OR NOT s.channels @> excluded.channels)
RETURNING {columns}
"""
TAKE_PHONES = TAKE.format(columns=COLUMNS, phone="u.address", email_normal="NULL", kind="NULL", key="phone")
TAKE_EMAILS = TAKE.format(columns=COLUMNS, phone="NULL", email_normal="u.address", kind="NOT NULL", key="email_normal")
DROP = "DELETE FROM suppression_uploads WHERE account_id = $1 AND upload_id = $2"
# Of processes that were killed; an upload that still runs after a day has lost its caller long ago.
CLEAN = "DELETE FROM suppression_uploads WHERE created_at < now() - least($1::interval, interval '1 day')"


@dataclass(frozen=True, slots=True)
class Address:
    """email: as given, None for a phone. normal: E.164, or the email folded."""

    id: UUID
    normal: str
    email: str | None
    reason: str


async def stage(tx: WriteTx, upload_id: UUID, addresses: Sequence[Address]) -> int:
    """How many the upload did not have before."""
    tag = await tx.execute(
        STAGE,
        tx.account,
        upload_id,
        [one.normal for one in addresses],
        [one.id for one in addresses],
        [one.email for one in addresses],
        [one.reason for one in addresses],
    )
    return int(tag.rpartition(" ")[2])


async def take(
    tx: WriteTx, upload_id: UUID, *, above: str, limit: int, channels: Sequence[str], at: datetime
) -> tuple[list[Suppression], str | None]:
    """Puts the next addresses on the list: entries that are new or cover more, and the last address, None at the end.

    An entry that was there before has another id than the one staged.
    """
    rows = await tx.fetch(NEXT, tx.account, upload_id, above, limit)
    if not rows:
        return [], None
    last = rows[-1][0]
    written = []
    for sql in (TAKE_PHONES, TAKE_EMAILS):
        written += await tx.fetch(sql, tx.account, upload_id, above, last, channels, at)
    return [Suppression(*row) for row in written], last


async def drop(tx: WriteTx, upload_id: UUID) -> None:
    await tx.execute(DROP, tx.account, upload_id)


async def clean(tx: WriteTx, kept: timedelta) -> None:
    """For the work role, over all accounts."""
    await tx.execute(CLEAN, kept)
