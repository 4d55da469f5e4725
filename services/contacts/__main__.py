"""`carillon contacts serve|work|reindex|replay|after-restore|erase-account|migrate`."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from chassis import commands, runner
from chassis.config import MigrateSettings
from chassis.restoring import restored
from services.contacts import app, restoring
from services.contacts.config import ServeSettings, WorkSettings

cli = typer.Typer(no_args_is_help=True, help="Contacts: the address book, its imports and its do-not-contact list.")


@cli.command()
def serve() -> None:
    """Answer gRPC."""
    settings = ServeSettings()  # type: ignore[call-arg]  # read from the environment
    runner.run("contacts", lambda process: app.serve(process, settings), ops_bind=settings.ops_bind)


@cli.command()
def work() -> None:
    """Import files, publish this service's events, clean up."""
    settings = WorkSettings()  # type: ignore[call-arg]  # read from the environment
    runner.run("contacts-work", lambda process: app.work(process, settings), ops_bind=settings.ops_bind)


@cli.command()
def reindex() -> None:
    """Make the search index anew from the contacts."""
    settings = WorkSettings()  # type: ignore[call-arg]  # read from the environment
    asyncio.run(app.reindex(settings))


@cli.command()
def replay(
    account: Annotated[str, typer.Option(help=commands.ACCOUNT_HELP)] = "",
    since: Annotated[datetime | None, typer.Option(help="UTC; only what was written or deleted from then on")] = None,
) -> None:
    """Tell anew, in the bulk lane, of contacts as they are and of those that are gone.

    For what JetStream lost longer ago than the outbox reaches (72 h); the rest `work` publishes again by itself.
    """
    owner = commands.owner_of(account)
    settings = WorkSettings()  # type: ignore[call-arg]  # read from the environment

    async def run() -> None:
        told = 0
        from_then = since.replace(tzinfo=UTC) if since else None
        async for told in app.replay(settings, account=owner, since=from_then):
            print(f"{told} contacts told of")
        print(f"done: {told} contacts, deleted ones among them, are in the outbox; work publishes them")

    commands.run(run(), after="What was told of stays; run it again.")


@cli.command("after-restore")
def after_restore() -> None:
    """Take up a database that was restored: raise all versions, tell anew of every contact, let the processes in.

    Run as its owner, before any process runs; may be repeated.
    """
    url = MigrateSettings().database_url  # type: ignore[call-arg]  # read from the environment
    work = restored(url, service=app.SERVICE, versions=app.VERSIONS, work=restoring.after_restore)
    told = commands.run(work, after=commands.AGAIN)
    print(f"done: {told} contacts, deleted ones among them, are in the outbox; work publishes them")


@cli.command("erase-account")
def erase_account(account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="acct_…")]) -> None:
    """Take away every row of an account, for good. Beside the services; may be stopped and repeated."""
    from chassis import erasing  # SQLAlchemy, which processes do without
    from services.contacts.tables import metadata

    erasing.command(account, metadata, first=("imports", "exports", "bulk_jobs"))


@cli.command()
def migrate() -> None:
    """Bring the schema to this code's version."""
    from chassis import migrations  # Alembic, which no other command needs

    settings = MigrateSettings()  # type: ignore[call-arg]  # read from the environment
    migrations.run(settings.database_url, app.VERSIONS)


if __name__ == "__main__":
    cli()
