"""What contacts said of the channels, and the evidence of it."""

import asyncpg
import pytest

KEEP = """
INSERT INTO consents (account_id, contact_id, id, channel, before, after, source, text, actor, at)
VALUES ($1, $1, $1, 'sms', 'unknown', 'opted_out', 'form', 'No, thanks', 'key', now())
"""


async def test_evidence_is_written_once_and_never_changed(account, serve_db, work_db, admin):
    async with serve_db.write(account) as tx:
        await tx.execute(KEEP, account)
    change = "UPDATE consents SET after = 'opted_in' WHERE account_id = $1"
    for db in (serve_db, work_db):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.write(account) as tx:
                await tx.execute(change, account)
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await admin.execute(change, account)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with serve_db.write(account) as tx:
            await tx.execute("DELETE FROM consents WHERE account_id = $1", account)
    assert await admin.fetchval("SELECT after FROM consents WHERE account_id = $1", account) == "opted_out"
