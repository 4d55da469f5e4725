"""`carillon gateway …`. Each command imports what it needs itself: making an account should not wait for FastAPI."""

import functools
import sys
from typing import Annotated

import typer

cli = typer.Typer(no_args_is_help=True, help="The public REST API.")


@cli.command()
def serve() -> None:
    """Answer REST requests."""
    from chassis import runner, telemetry
    from services.gateway import app
    from services.gateway.config import GatewaySettings

    settings = GatewaySettings()  # type: ignore[call-arg]  # from the environment
    telemetry.setup("gateway", "serve", log_level=settings.log_level)
    runner.run("gateway", functools.partial(app.serve, settings=settings), ops_bind=settings.ops_bind)


@cli.command()
def work() -> None:
    """Publish the gateway's events, write the feed, deliver to webhooks."""
    from chassis import runner, telemetry
    from services.gateway import work as worker
    from services.gateway.config import WorkSettings

    settings = WorkSettings()  # type: ignore[call-arg]
    telemetry.setup("gateway", "work", log_level=settings.log_level)
    runner.run("gateway-work", functools.partial(worker.work, settings=settings), ops_bind=settings.ops_bind)


@cli.command()
def reseal() -> None:
    """Encrypt webhooks' secrets anew with the first of the secrets keys, so that the others can be taken away.

    Beside the services, and as often as wanted. Exits with 1 where none of the keys opens a webhook's secret.
    """
    from chassis import resealing
    from services.gateway.config import WorkSettings
    from services.gateway.webhooks import queue

    settings = WorkSettings()  # type: ignore[call-arg]
    resealing.command(queue.SEALED, database_url=settings.database_url, keys=settings.secrets_keys.get_secret_value())


@cli.command("after-restore")
def after_restore() -> None:
    """Take up a database that was restored: move the feed beyond all positions that were given, let the processes in.

    Run as its owner, before any process runs; may be repeated.
    """
    from chassis import commands
    from chassis.config import MigrateSettings
    from chassis.restoring import restored
    from services.gateway import restoring
    from services.gateway.migrations import VERSIONS

    url = MigrateSettings().database_url  # type: ignore[call-arg]
    commands.run(
        restored(url, service="gateway", versions=VERSIONS, work=restoring.after_restore), after=commands.AGAIN
    )
    typer.echo("done")


@cli.command("erase-account")
def erase_account(account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="acct_…")]) -> None:
    """Take away every row of an account, its keys first, for good. Beside the services; may be stopped and repeated."""
    from chassis import erasing
    from services.gateway.tables import metadata

    erasing.command(account, metadata, first=("api_keys", "webhooks"))


@cli.command()
def migrate() -> None:
    """Bring the database to this version's schema. Run as its owner."""
    from chassis import migrations
    from chassis.config import MigrateSettings
    from services.gateway.migrations import VERSIONS

    migrations.run(MigrateSettings().database_url, VERSIONS)  # type: ignore[call-arg]


@cli.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI document, as committed in openapi.json."""
    from services.gateway import api, openapi

    sys.stdout.write(openapi.text(api.build()))


if __name__ == "__main__":
    cli()
