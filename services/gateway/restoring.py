"""What the gateway does after a restore: positions of the feed leap, with what is kept there and waits for webhooks.

Readers of the feed are behind positions that are given anew. Moved, the oldest event that is kept lies beyond all of
them: they are told that some are missing (`position_expired`), and read anew.
"""

from chassis.db import Database
from chassis.restoring import leap


async def after_restore(db: Database) -> None:
    """db: of the owner. May be repeated."""
    async with db.across() as tx:
        await leap(tx, "webhooks", "version")
        await leap(tx, "feed_heads", "position")
        await leap(tx, "feed_events", "position")
        # A test delivery is in no feed.
        await leap(tx, "webhook_deliveries", "position", where="position > 0")
        await leap(tx, "webhook_attempts", "position", where="position > 0")
