"""The frame of commands that work through accounts for a while: whose, and how they end."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import typer

from chassis.errors import CarillonError
from chassis.ids import AccountId, decode_account

T = TypeVar("T")

# What is to do after a command that was stopped, and does no harm when it is repeated.
AGAIN = "Run it again."
ACCOUNT_HELP = "acct_…; every account without it"


def owner_of(account: str) -> AccountId | None:
    """Of the option --account; None where it is not given. Raises typer.BadParameter."""
    owner = decode_account(account) if account else None
    if account and owner is None:
        raise typer.BadParameter("no account's id", param_hint="--account")
    return owner


def run(work: Coroutine[object, object, T], *, after: str) -> T:
    """To its end, or with 1 and a word on what is to do `after` it was stopped by what a service refused."""
    try:
        return asyncio.run(work)
    except CarillonError as error:
        typer.echo(f"stopped: {error.detail} {after}")
        raise typer.Exit(1) from None
