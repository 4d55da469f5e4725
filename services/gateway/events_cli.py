"""`carillon events subscriber|tail`. CARILLON_NATS_URL names a user that may make consumers of the stream."""

import asyncio
import json
import os
import secrets
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from services.gateway.domain.subscribers import SERVICES, STREAM, Subscriber

cli = typer.Typer(no_args_is_help=True, help="Events over NATS: make a subscriber, look at what is told.")

ACK_SECONDS = 30
MAX_ACK_PENDING = 1000
# A tail that was killed leaves its consumer behind for so long.
TAIL_SECONDS = 60

Account = Annotated[str, typer.Option(help="Whose events: acct_…")]
Types = Annotated[str, typer.Option(help="Comma separated, `contact.*` for all of an entity; everything without it")]
Server = Annotated[str, typer.Option(envvar="CARILLON_NATS_URL", help="nats://user:password@host:port")]


@cli.command()
def subscriber(
    name: Annotated[str, typer.Argument(help="Of the subscriber: a letter and up to 30 of a-z, 0-9 and -")],
    account: Account,
    nats_url: Server,
    types: Types = "",
    again: Annotated[bool, typer.Option("--again", help="Begin anew, with all that the stream has")] = False,
) -> None:
    """Make the subscriber's consumer, and print what NATS has to be told. Repeated, it changes the types."""
    made = checked(name, account, types)
    asyncio.run(make_consumer(made, nats_url, again=again))
    password = secrets.token_urlsafe(24)
    typer.echo(f"# The consumer {made.durable} is there. For the configuration of NATS (docs/events.md):")
    typer.echo(f"# into `exports` of the account {SERVICES}:")
    typer.echo(json.dumps(made.exports(), indent=2))
    typer.echo("# among `accounts`; the password is shown this once, and may be replaced by a variable:")
    typer.echo(json.dumps(made.nats_configuration(password), indent=2))
    typer.echo(f"# The subscriber connects as {made.user}, with the inbox prefix {made.inbox_prefix}")


@cli.command()
def tail(
    nats_url: Server,
    account: Account,
    types: Types = "",
    since: Annotated[float, typer.Option(help="Hours ago to begin; 0: now")] = 0.0,
    count: Annotated[int, typer.Option(help="End after so many; 0: never")] = 0,
) -> None:
    """Print events as they come, each a line of JSON as webhooks carry it."""
    made = checked("tail", account, types)
    try:
        asyncio.run(print_events(made, nats_url, since=since, count=count))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def checked(name: str, account: str, types: str) -> Subscriber:
    from chassis.ids import decode_account

    if decode_account(account) is None:
        raise typer.BadParameter("no account's id", param_hint="--account")
    try:
        return Subscriber(name, account, [one.strip() for one in types.split(",") if one.strip()])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


async def connected(url: str) -> Any:
    import nats

    from chassis.tls import to_others

    ca = os.environ.get("CARILLON_NATS_CA", "")
    return await nats.connect(url, tls=to_others(ca, None)() if ca else None)


async def make_consumer(made: Subscriber, nats_url: str, *, again: bool) -> None:
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
    from nats.js.errors import NotFoundError

    client = await connected(nats_url)
    try:
        jetstream = client.jetstream()
        if again:
            with suppress(NotFoundError):
                await jetstream.delete_consumer(STREAM, made.durable)
        await jetstream.add_consumer(
            STREAM,
            ConsumerConfig(
                durable_name=made.durable,
                filter_subjects=made.filters,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_SECONDS,
                max_ack_pending=MAX_ACK_PENDING,
            ),
        )
    finally:
        await client.close()


async def print_events(made: Subscriber, nats_url: str, *, since: float, count: int) -> None:
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

    client = await connected(nats_url)
    try:
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, pending_msgs_limit=-1, pending_bytes_limit=-1)
        begin: dict[str, Any] = {"deliver_policy": DeliverPolicy.NEW}
        if since:
            start = (datetime.now(UTC) - timedelta(hours=since)).isoformat()
            begin = {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": start}
        config = ConsumerConfig(
            deliver_subject=inbox,
            filter_subjects=made.filters,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=TAIL_SECONDS,
            **begin,
        )
        await client.jetstream().add_consumer(STREAM, config)
        shown = 0
        async for message in subscription.messages:
            sys.stdout.write(line(message) + "\n")
            sys.stdout.flush()
            shown += 1
            if shown == count:
                return
    finally:
        await client.close()


def line(message: Any) -> str:
    """One that is no event of ours is named by its subject."""
    import orjson

    from chassis.consumer import parse
    from services.gateway.convert.events import envelope

    try:
        event = parse(message)
    except (ValueError, LookupError):
        return json.dumps({"subject": message.subject, "data": None})
    shown = envelope(event_id=event.id, event_type=event.type, time=event.time, position=None, data=event.data)
    shown.pop("position")
    return orjson.dumps(shown | {"lane": "bulk" if event.bulk else "live"}).decode()


if __name__ == "__main__":
    cli()
