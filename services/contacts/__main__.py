"""`carillon contacts serve|work|migrate`."""

import asyncio

import typer

from chassis import runner
from chassis.config import MigrateSettings
from services.contacts import app
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
def migrate() -> None:
    """Bring the schema to this code's version."""
    from chassis import migrations  # Alembic, which no other command needs

    settings = MigrateSettings()  # type: ignore[call-arg]  # read from the environment
    migrations.run(settings.database_url, app.VERSIONS)


if __name__ == "__main__":
    cli()
