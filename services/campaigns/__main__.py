"""`carillon campaigns serve|work|reconcile|reseal|after-restore|erase-account|migrate`."""

import functools
from collections import Counter
from datetime import UTC, datetime
from typing import Annotated

import typer

from chassis import commands, resealing, runner
from chassis.config import MigrateSettings
from chassis.ids import encode
from chassis.restoring import restored
from services.campaigns import app, restoring
from services.campaigns.config import ServeSettings, WorkSettings
from services.campaigns.repository import senders

cli = typer.Typer(no_args_is_help=True, help="Campaigns: templates, senders, bulk messages and their ledger.")


@cli.command()
def serve() -> None:
    """Answer gRPC."""
    settings = ServeSettings()  # type: ignore[call-arg]  # read from the environment
    runner.run("campaigns", lambda process: app.serve(process, settings), ops_bind=settings.ops_bind)


@cli.command()
def work() -> None:
    """Freeze audiences, send, apply receipts, keep schedules, publish this service's events."""
    settings = WorkSettings()  # type: ignore[call-arg]  # read from the environment
    runner.run("campaigns-work", lambda process: app.work(process, settings), ops_bind=settings.ops_bind)


@cli.command()
def reconcile(account: Annotated[str, typer.Option(help=commands.ACCOUNT_HELP)] = "") -> None:
    """Hold the stats, the timeline and the chunks' states of every campaign against its ledger, and repair them.

    `work` does it by itself, slowly. May be stopped at any time.
    """
    owner = commands.owner_of(account)
    settings = WorkSettings()  # type: ignore[call-arg]  # read from the environment

    async def run() -> None:
        campaigns, repaired = 0, Counter[str]()
        async for checked in app.reconcile(settings, account=owner):
            campaigns += 1
            repaired += checked.repaired
            if checked.repaired:
                print(f"{encode('cmp', checked.campaign)}: {checked.repaired.total()} numbers put right")
        found = ", ".join(f"{number} {what}" for what, number in sorted(repaired.items())) or "nothing"
        print(f"done: {campaigns} campaigns looked at, repaired: {found}")

    commands.run(run(), after=commands.AGAIN)


@cli.command()
def reseal() -> None:
    """Encrypt senders' secrets anew with the first of the secrets keys, so that the others can be taken away.

    Beside the services, and as often as wanted. Exits with 1 where none of the keys opens a sender's secrets.
    """
    settings = WorkSettings()  # type: ignore[call-arg]  # read from the environment
    resealing.command(senders.SEALED, database_url=settings.database_url, keys=settings.secrets_keys.get_secret_value())


@cli.command("after-restore")
def after_restore(
    at: Annotated[datetime, typer.Option(help="UTC; the moment to which the database was restored, or before it")],
) -> None:
    """Take up a database that was restored: hold whatever could send twice, raise all revisions, let the processes in.

    Run as its owner, before any process runs; may be repeated.
    """
    url = MigrateSettings().database_url  # type: ignore[call-arg]  # read from the environment
    hold = functools.partial(restoring.after_restore, moment=at.replace(tzinfo=UTC))
    work = restored(url, service=app.SERVICE, versions=app.VERSIONS, work=hold)
    held = commands.run(work, after=commands.AGAIN)
    print(f"done: held until somebody decides: {held.paused} campaigns paused, {held.drafts} drafts that are due")
    print(f"{held.cancelled} cancelled, whose audience was being frozen")


@cli.command("erase-account")
def erase_account(account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="acct_…")]) -> None:
    """Take away every row of an account, for good. Beside the services; may be stopped and repeated."""
    from chassis import erasing  # SQLAlchemy, which processes do without
    from services.campaigns.tables import metadata

    erasing.command(account, metadata, first=("campaigns", "chunks"))


@cli.command()
def migrate() -> None:
    """Bring the schema to this code's version."""
    from chassis import migrations  # Alembic, which no other command needs

    settings = MigrateSettings()  # type: ignore[call-arg]  # read from the environment
    migrations.run(settings.database_url, app.VERSIONS)


if __name__ == "__main__":
    cli()
