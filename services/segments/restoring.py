"""What segments does after a restore: versions of segments and revisions of membership leap.

The projection of contacts stays as it is: what contacts tells after its own restore is above it.
"""

from chassis.db import Database
from chassis.restoring import leap

# A build that is just being announced compares its members' revisions with its cut.
ANNOUNCED = """
revision > 0 AND (account_id, build_id) IN (SELECT account_id, id FROM builds WHERE state = 'announcing')
"""


async def after_restore(db: Database) -> None:
    """db: of the owner. May be repeated."""
    async with db.across() as tx:
        await leap(tx, "segments", "version")
        await leap(tx, "members", "revision", where=ANNOUNCED)
        await leap(tx, "builds", "revision", "cut", where="revision > 0")
