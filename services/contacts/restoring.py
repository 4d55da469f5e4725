"""What contacts does after a restore: versions leap, and every contact is told of anew.

Subscribers may have newer versions of contacts than there are now, and contacts that are no more. The first are put
right by what is told here; the others nobody can name: segments finds them when it reconciles, subscribers of yours
when they read anew.
"""

from chassis.db import Database
from chassis.restoring import leap
from services.contacts.replay import replay


async def after_restore(db: Database) -> int:
    """How many contacts are told of, deleted ones among them. db: of the owner. May be repeated."""
    async with db.across() as tx:
        for table in ("contacts", "tombstones", "lists", "import_updates"):
            await leap(tx, table, "version")
    # The relay does not run yet, and nothing waits for it behind this.
    told = [told async for told in replay(db, account=None, since=None, paced=False)]
    return max(told, default=0)
