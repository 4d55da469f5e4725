"""What a service does with its database once it was restored to an earlier moment: `carillon SERVICE after-restore`.

Subscribers, clients and other services know of changes that the database no longer has, and drop what is not above the
revisions that they know. So every revision leaps: what is told from here on is news to all of them. Nobody but this
command may reach the database until it is done.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from chassis import schema
from chassis.db import Database, WriteTx
from chassis.errors import FailedPrecondition, Reason

T = TypeVar("T")

# Above the number of changes that can be lost; JSON's whole numbers have room for nine million of them.
LEAP = 1_000_000_000

CONNECTED = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename::text = ANY ($1::text[])
"""
# Names of databases and roles are no parameters. $1: GRANT … TO or REVOKE … FROM, with a place for the database.
DOORS = "SELECT format($1, current_database())"


async def restored(url: str, *, service: str, versions: Path, work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs `work` behind closed doors, and opens them once it is done. url: the owner's.

    May be repeated: where it failed the doors stay closed. Raises FailedPrecondition while processes of the service
    are connected, and Unavailable where the schema is not this code's.
    """
    roles = [f"{service}_serve", f"{service}_work"]
    async with Database.opened(url, name=f"{service}-after-restore") as db:
        await schema.check(db, versions)
        await refuse_while_in_use(db, roles)
        await turn_doors(db, f"REVOKE CONNECT ON DATABASE %I FROM {', '.join(roles)}")
        # Again: somebody may have come in before they were closed.
        await refuse_while_in_use(db, roles)
        done = await work(db)
        await turn_doors(db, f"GRANT CONNECT ON DATABASE %I TO {', '.join(roles)}")
        return done


async def refuse_while_in_use(db: Database, roles: Sequence[str]) -> None:
    async with db.across() as tx:
        connected = await tx.fetchval(CONNECTED, roles)
    if connected:
        raise FailedPrecondition(
            Reason.INVALID_STATE, f"{connected} connections of the service's processes are open; stop them first."
        )


async def turn_doors(db: Database, statement: str) -> None:
    async with db.across() as tx:
        await tx.execute(await tx.fetchval(DOORS, statement))


async def leap(tx: WriteTx, table: str, *columns: str, where: str = "true") -> int:
    """Raise these columns of every row of every account; how many rows."""
    changes = ", ".join(f"{column} = {column} + {LEAP}" for column in columns)
    done = await tx.execute(f"UPDATE {table} SET {changes} WHERE account_id IS NOT NULL AND {where}")
    return int(done.removeprefix("UPDATE "))
