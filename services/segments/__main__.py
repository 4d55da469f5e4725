"""`carillon segments serve|work|reconcile|after-restore|erase-account|migrate`."""

from collections import Counter
from typing import Annotated

import typer

from chassis import commands, runner
from chassis.config import MigrateSettings
from chassis.ids import encode_account
from chassis.restoring import restored
from services.segments import app, restoring
from services.segments.config import ServeSettings, WorkSettings
from services.segments.reconciliations import Lost

cli = typer.Typer(no_args_is_help=True, help="Segments: groups of contacts that keep themselves up to date.")


@cli.command()
def serve() -> None:
    """Answer gRPC."""
    settings = ServeSettings()  # type: ignore[call-arg]  # read from the environment
    runner.run("segments", lambda process: app.serve(process, settings), ops_bind=settings.ops_bind)


@cli.command()
def work() -> None:
    """Follow the contacts' events, build segments, publish this service's own events."""
    settings = WorkSettings()  # type: ignore[call-arg]  # read from the environment
    runner.run("segments-work", lambda process: app.work(process, settings), ops_bind=settings.ops_bind)


@cli.command()
def reconcile(account: Annotated[str, typer.Option(help=commands.ACCOUNT_HELP)] = "") -> None:
    """Compare projection and membership with the contacts and the rules, repair, and say what was repaired.

    `work` does it by itself, slowly. May be stopped at any time: `work` goes on where it was left.
    """
    owner = commands.owner_of(account)
    settings = WorkSettings()  # type: ignore[call-arg]  # read from the environment

    async def run() -> None:
        contacts, awaited, repaired = 0, 0, Counter[str]()
        async for of, step in app.reconcile(settings, account=owner):
            contacts, awaited = contacts + step.contacts, awaited + step.awaited
            repaired += step.repaired
            print(f"{encode_account(of)}: {contacts} contacts looked at, {repaired.total()} repairs")
        found = ", ".join(f"{number} {what}" for what, number in sorted(repaired.items())) or "nothing"
        print(f"done: {contacts} contacts looked at, repaired: {found}")
        if awaited:
            print(f"{awaited} changes of contacts were not here yet: their events may be on the way")

    try:
        commands.run(run(), after="What is done stays; `work` goes on, or run it again.")
    except Lost:
        print("stopped: it took too long over a step, and `work` goes on where it was left.")
        raise typer.Exit(1) from None


@cli.command("after-restore")
def after_restore() -> None:
    """Take up a database that was restored: raise all versions and revisions, let the processes in.

    Run as its owner, before any process runs; may be repeated.
    """
    url = MigrateSettings().database_url  # type: ignore[call-arg]  # read from the environment
    work = restored(url, service=app.SERVICE, versions=app.VERSIONS, work=restoring.after_restore)
    commands.run(work, after=commands.AGAIN)
    print("done")


@cli.command("erase-account")
def erase_account(account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="acct_…")]) -> None:
    """Take away every row of an account, for good. Beside the services; may be stopped and repeated."""
    from chassis import erasing  # SQLAlchemy, which processes do without
    from services.segments.tables import metadata

    erasing.command(account, metadata, first=("builds", "segments"))


@cli.command()
def migrate() -> None:
    """Bring the schema to this code's version."""
    from chassis import migrations  # Alembic, which no other command needs

    settings = MigrateSettings()  # type: ignore[call-arg]  # read from the environment
    migrations.run(settings.database_url, app.VERSIONS)


if __name__ == "__main__":
    cli()
