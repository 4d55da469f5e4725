"""What becomes of an account that leaves: `carillon SERVICE erase-account`, one service after the other.

Table by table, in small transactions beside everything that runs, so that it may be stopped at any time and repeated;
what is under way meanwhile may still write, and is found by the next time.
"""

from collections.abc import AsyncGenerator, Sequence

import sqlalchemy as sa
import typer

from chassis import commands
from chassis.config import MigrateSettings
from chassis.db import Database
from chassis.ids import AccountId, decode_account, encode_account

# Of one transaction.
ROWS = 5000


async def erase(
    db: Database, account: AccountId, metadata: sa.MetaData, *, first: Sequence[str] = ()
) -> AsyncGenerator[tuple[str, int], None]:
    """Take every row of the account out of every table; each transaction's table and how many rows it took.

    db: of the work role or of the owner. first: tables by which work under way sees that it has to end.
    """
    for table in [*first, *(table.name for table in reversed(metadata.sorted_tables))]:
        some = f"SELECT ctid FROM {table} WHERE account_id = $1 LIMIT {ROWS}"
        rows = ROWS
        while rows:
            async with db.write(account) as tx:
                done = await tx.execute(
                    f"DELETE FROM {table} WHERE account_id = $1 AND ctid = ANY (ARRAY({some}))", account
                )
            rows = int(done.removeprefix("DELETE "))
            if rows:
                yield table, rows


def command(account: str, metadata: sa.MetaData, *, first: Sequence[str] = ()) -> None:
    """The command, in the environment of the service's `work`: says what it takes, and what it took in all."""
    owner = decode_account(account)
    if owner is None:
        raise typer.BadParameter("no account's id", param_hint="ACCOUNT")

    async def run() -> int:
        taken = 0
        settings = MigrateSettings()  # type: ignore[call-arg]
        async with Database.opened(settings.database_url, name="erase-account") as db:
            async for table, rows in erase(db, owner, metadata, first=first):
                taken += rows
                typer.echo(f"{table}: {rows} rows")
        return taken

    taken = commands.run(run(), after="What is gone is gone; run it again.")
    typer.echo(f"done: {taken} rows of {encode_account(owner)}")
