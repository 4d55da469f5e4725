"""Encrypts anew what older secrets keys encrypted, so that those can be taken away."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import typer
from cryptography.fernet import InvalidToken

from chassis import commands, ids
from chassis.db import Database, WriteTx
from chassis.sealing import Sealer

PAGE_SIZE = 200


@dataclass(frozen=True, slots=True)
class Sealed:
    """A table with sealed columns, which may be null."""

    table: str
    # Of its ids: `whk`.
    prefix: str
    columns: tuple[str, ...]
    # What to do about a row that no key opens.
    remedy: str

    @property
    def page(self) -> str:
        """Rows above the account $1 and the id $2 (the first ones where these are null), in this order, $3 at most;
        locked so that nobody sets them meanwhile."""
        return (
            f"SELECT account_id, id, {', '.join(self.columns)} FROM {self.table} "
            "WHERE ($1::uuid IS NULL OR (account_id, id) > ($1, $2)) ORDER BY account_id, id LIMIT $3 FOR NO KEY UPDATE"
        )

    @property
    def write(self) -> str:
        """The columns, from $3 on, of the row with the account $1 and the id $2."""
        given = ", ".join(f"{column} = ${number}" for number, column in enumerate(self.columns, 3))
        return f"UPDATE {self.table} SET {given} WHERE account_id = $1 AND id = $2"


@dataclass(slots=True)
class Step:
    """What was done, in one transaction or in several."""

    rows: int = 0
    resealed: int = 0
    # Public ids of rows that none of the keys opens.
    lost: list[str] = field(default_factory=list)

    def add(self, other: "Step") -> None:
        self.rows += other.rows
        self.resealed += other.resealed
        self.lost += other.lost


async def reseal(db: Database, sealer: Sealer, sealed: Sealed) -> AsyncIterator[Step]:
    """Every row of every account, a page in each transaction. Beside the services, and as often as wanted."""
    above: tuple[UUID, UUID] | tuple[None, None] = (None, None)
    while True:
        async with db.across() as tx:
            rows = await tx.fetch(sealed.page, *above, PAGE_SIZE)
            step = Step(rows=len(rows))
            for row in rows:
                await take(tx, sealer, sealed, row, step)
        yield step
        if len(rows) < PAGE_SIZE:
            return
        above = rows[-1]["account_id"], rows[-1]["id"]


async def take(tx: WriteTx, sealer: Sealer, sealed: Sealed, row: asyncpg.Record, step: Step) -> None:
    account, name, *before = row
    try:
        if all(one is None or sealer.key_of(one) == sealer.current for one in before):
            return
        after = [None if one is None else sealer.seal(sealer.open(one)) for one in before]
    except InvalidToken:
        step.lost.append(ids.encode(sealed.prefix, name))
        return
    await tx.execute(sealed.write, account, name, *after)
    step.resealed += 1


def command(sealed: Sealed, *, database_url: str, keys: str) -> None:
    """Tells on the standard output what was done; ends with 1 where none of the keys opens a row."""

    async def run() -> Step:
        whole = Step()
        async with Database.opened(database_url, name="reseal") as db:
            async for step in reseal(db, Sealer(keys), sealed):
                whole.add(step)
                for lost in step.lost:
                    typer.echo(f"{lost}: none of the keys opens it; {sealed.remedy}")
        return whole

    whole = commands.run(run(), after="What is done stays; run it again.")
    lost = len(whole.lost)
    typer.echo(f"done: {whole.rows} {sealed.table} looked at, {whole.resealed} encrypted anew, {lost} cannot be opened")
    if lost:
        raise typer.Exit(1)
