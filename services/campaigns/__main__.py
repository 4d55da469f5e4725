"""`carillon campaigns serve|work|migrate`."""

import typer

from chassis import runner
from chassis.config import MigrateSettings
from services.campaigns import app
from services.campaigns.config import ServeSettings, WorkSettings

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
def migrate() -> None:
    """Bring the schema to this code's version."""
    from chassis import migrations  # Alembic, which no other command needs

    settings = MigrateSettings()  # type: ignore[call-arg]  # read from the environment
    migrations.run(settings.database_url, app.VERSIONS)


if __name__ == "__main__":
    cli()
