"""`carillon accounts …`: what an operator does with accounts and keys.

CARILLON_DATABASE_URL names the gateway's database, as its work role or its owner.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

import asyncpg
import typer

from chassis import ids
from chassis.config import MigrateSettings
from chassis.db import Database
from chassis.errors import CarillonError
from services.gateway import service
from services.gateway.domain.keys import ALL_SCOPES
from services.gateway.service import NewAccount

cli = typer.Typer(
    no_args_is_help=True,
    help="Accounts and their API keys; needs the gateway's database. To erase one: carillon SERVICE erase-account.",
)

T = TypeVar("T")

AccountName = Annotated[str, typer.Argument(help="What the account is called, 1 to 200 characters")]
KeyName = Annotated[str, typer.Argument(help="What the key is used for, 1 to 200 characters")]
AccountIdArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="acct_…")]
KeyIdArgument = Annotated[str, typer.Argument(metavar="KEY", help="key_…, not the key itself")]
EVERYTHING = ",".join(ALL_SCOPES)
Scopes = Annotated[str, typer.Option(help="Comma-separated scopes of the key")]
RateLimit = Annotated[
    int | None, typer.Option(min=1, max=100_000, help="Requests a second; the deployment's default without it")
]


@cli.command()
def create(name: AccountName, scopes: Scopes = EVERYTHING, rate_limit: RateLimit = None) -> None:
    """Make an account and print its API key, this once."""
    show_key(run(lambda db: service.create_account(db, name, scopes=split(scopes), rate_limit=rate_limit)))


@cli.command("list")
def list_accounts() -> None:
    """Print the accounts, oldest first: id, keys in force, last use, name."""
    for row in run(service.list_accounts):
        account = ids.encode("acct", row["account_id"])
        typer.echo(f"{account}  {row['keys']:>3} keys  {day(row['last_used_at']):>16}  {row['name']}")


@cli.command()
def keys(account: AccountIdArgument) -> None:
    """Print an account's keys, newest first: id, mode, last use, expiry, scopes, name."""
    for row in run(lambda db: service.list_keys(db, account)):
        typer.echo(
            f"{ids.encode('key', row['id'])}  {row['mode']}  used {day(row['last_used_at'])}  "
            f"expires {day(row['expires_at'])}  {','.join(row['scopes'])}  {row['name']}"
        )


@cli.command("create-key")
def create_key(
    account: AccountIdArgument,
    name: KeyName,
    scopes: Scopes = EVERYTHING,
    mode: Annotated[str, typer.Option(help="live or test")] = "live",
    rate_limit: RateLimit = None,
) -> None:
    """Make one more key of an account and print it, this once."""
    show_key(
        run(lambda db: service.create_key(db, account, name, scopes=split(scopes), mode=mode, rate_limit=rate_limit))
    )


@cli.command("revoke-key")
def revoke_key(account: AccountIdArgument, key: KeyIdArgument) -> None:
    """End a key, in effect within 5 seconds."""
    run(lambda db: service.revoke_key(db, account, key))
    typer.echo(f"{key} is revoked")


def run(work: Callable[[Database], Awaitable[T]]) -> T:
    """Ends the command with 2 where what was asked cannot be done, and with 1 where the database is not there."""

    async def connected() -> T:
        settings = MigrateSettings()  # type: ignore[call-arg]
        async with Database.opened(settings.database_url, name="accounts") as db:
            return await work(db)

    try:
        return asyncio.run(connected())
    except ValueError as error:
        typer.echo(f"Not done: {error}.", err=True)
        raise typer.Exit(2) from None
    except (CarillonError, asyncpg.PostgresError, OSError) as error:
        typer.echo(f"Not done: the database refused or is not there ({type(error).__name__}).", err=True)
        raise typer.Exit(1) from None


def show_key(made: NewAccount) -> None:
    typer.echo(
        f"account  {made.account_id}\nkey id   {made.key_id}\nThe key, which is shown only this once:\n{made.key}"
    )


def split(scopes: str) -> list[str]:
    return [scope.strip() for scope in scopes.split(",") if scope.strip()]


def day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment is not None else "never"
