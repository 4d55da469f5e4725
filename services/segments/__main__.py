"""`carillon segments serve|work|migrate`."""

import typer

from chassis import runner
from chassis.config import MigrateSettings
from services.segments import app
from services.segments.config import ServeSettings, WorkSettings

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
def migrate() -> None:
    """Bring the schema to this code's version."""
    from chassis import migrations  # Alembic, which no other command needs

    settings = MigrateSettings()  # type: ignore[call-arg]  # read from the environment
    migrations.run(settings.database_url, app.VERSIONS)


if __name__ == "__main__":
    cli()
