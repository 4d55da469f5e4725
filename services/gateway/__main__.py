"""`carillon gateway …`. Each command imports what it needs itself: making an account should not wait for FastAPI."""

import asyncio
import functools
import sys
from typing import Annotated

import typer

from services.gateway.domain.keys import ALL_SCOPES

cli = typer.Typer(no_args_is_help=True, help="The public REST API, accounts and API keys.")


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
def migrate() -> None:
    """Bring the database to this version's schema. Run as its owner."""
    from chassis import migrations
    from chassis.config import MigrateSettings
    from services.gateway.migrations import VERSIONS

    migrations.run(MigrateSettings().database_url, VERSIONS)  # type: ignore[call-arg]


@cli.command("create-account")
def create_account(
    name: Annotated[str, typer.Argument(help="What the account is called, 1 to 200 characters")],
    scopes: Annotated[str, typer.Option(help="Comma-separated scopes of the key")] = ",".join(ALL_SCOPES),
) -> None:
    """Make an account and print its API key, this once. CARILLON_DATABASE_URL names the work role or the owner."""
    from chassis.config import MigrateSettings
    from chassis.db import Database
    from services.gateway import service

    async def make(url: str, wanted: list[str]) -> service.NewAccount:
        db = await Database.open(url, pool_size=1, name="create-account")
        try:
            return await service.create_account(db, name, scopes=wanted)
        finally:
            await db.stop()

    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    try:
        made = asyncio.run(make(MigrateSettings().database_url, wanted))  # type: ignore[call-arg]
    except ValueError as error:
        typer.echo(f"Not made: {error}.", err=True)
        raise typer.Exit(2) from None
    typer.echo(
        f"account  {made.account_id}\nkey id   {made.key_id}\nThe key, which is shown only this once:\n{made.key}"
    )


@cli.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI document, as committed in openapi.json."""
    from services.gateway import api, openapi

    sys.stdout.write(openapi.text(api.build()))


if __name__ == "__main__":
    cli()
