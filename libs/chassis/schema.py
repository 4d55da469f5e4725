"""Whether the schema is ready for this code; apart from chassis.migrations, so that serving imports no Alembic."""

import re
from functools import cache
from pathlib import Path

from chassis.db import Database
from chassis.errors import Reason, Unavailable

REVISION = re.compile(r"^revision(?::[^=]*)? = [\"'](\w+)[\"']", re.MULTILINE)
PREVIOUS = re.compile(r"^down_revision(?::[^=]*)? = [\"'](\w+)[\"']", re.MULTILINE)


async def check(db: Database, versions: Path) -> None:
    """Raises Unavailable while the schema is older than this code; a newer one is fine, code runs before and after."""
    known, newest = read_versions(versions)
    async with db.across() as tx:
        there = await tx.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
        current = await tx.fetchval("SELECT version_num FROM alembic_version") if there else None
    if current is None or (current in known and current != newest):
        raise Unavailable(Reason.UNAVAILABLE, f"The schema is at {current}, before {newest}: run the migration.")


@cache
def read_versions(versions: Path) -> tuple[set[str], str]:
    """All versions in the folder, and the newest: the one that no other comes after."""
    texts = [path.read_text() for path in versions.glob("[0-9]*.py")]
    known = {match[1] for text in texts if (match := REVISION.search(text))}
    previous = {match[1] for text in texts if (match := PREVIOUS.search(text))}
    (newest,) = known - previous
    return known, newest
