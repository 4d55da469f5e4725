"""A user of NATS per service, who may do what the service does and nothing else: on a real nats-server."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from nats.aio.client import Client

from chassis import ids
from chassis.consumer import Consumer
from chassis.ids import AccountId, encode_account
from chassis.nats import DEAD, EVENTS, KEPT, Nats, streams
from chassis.relay import topic
from deploy.local.databases import SERVICES
from services.campaigns import app as campaigns
from services.campaigns import consumers as campaigns_consumers
from services.contacts.activity import consumers as activity
from services.contacts.bulk import service as bulk
from services.contacts.exports import service as exports
from services.contacts.imports import service as imports
from services.contacts.search import consumers as search
from services.gateway.feed import writer as feed
from services.segments import builder
from services.segments import consumers as segments
from tests.helm import nats_server
from tests.helm.rendering import EXAMPLES, named, render
from tests.helm.settings import ROOT

DURABLES = {
    "contacts": {activity.LIVE, activity.BULK, search.LIVE, search.BULK},
    "segments": {segments.LIVE, segments.BULK, segments.MESSAGES},
    "campaigns": {campaigns_consumers.LIVE, campaigns_consumers.BULK},
    "gateway": {feed.LIVE, feed.BULK},
}
POKES = {
    "contacts": {imports.POKE, bulk.POKE, exports.POKE},
    "segments": {builder.TOPIC},
    "campaigns": {campaigns.CAMPAIGNS, campaigns.RECEIPTS},
    "gateway": {f"{feed.TOPIC}.acct"},
}
ENTITIES = {
    "contacts": {"contact", "list", "suppression", "import"},
    "segments": {"segment"},
    "campaigns": {"campaign", "message"},
    "gateway": {"account"},
}
NOBODY_MAY = "what.nobody.may"
ACCOUNT = AccountId(ids.new())


def of_dev() -> str:
    return str(named(render("--set", "dev.enabled=true"), "ConfigMap", "carillon-dev")["data"]["nats.conf"])


def of_production() -> str:
    """The users of deploy/helm/values/nats.yaml, as the nats-io chart merges them into its configuration."""
    values = yaml.safe_load((EXAMPLES / "nats.yaml").read_text())
    merged = values["config"]["merge"]["accounts"]["CARILLON"]
    users = "\n".join(nats_user(user) for user in merged["users"])
    return f"""
        listen: "0.0.0.0:4222"
        http: "0.0.0.0:8222"
        jetstream {{ store_dir: "/data" }}
        accounts {{ CARILLON: {{ jetstream: {merged["jetstream"]}, users: [ {users} ] }} }}
    """


def nats_user(user: dict[str, Any]) -> str:
    password = re.fullmatch(r"<< (\$[A-Z_]+) >>", user["password"])
    assert password is not None, "the chart writes `<< $NAME >>` as a variable"
    permissions = {way: list(subjects["allow"]) for way, subjects in user["permissions"].items()}
    return f"{{ user: {user['user']}, password: {password[1]}, permissions: {permissions!r} }}".replace("'", '"')


@pytest.fixture(scope="module", params=[of_dev, of_production], ids=["dev", "production"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[nats_server.Running]:
    passwords = {f"{service.upper()}_PASSWORD": f"p{service}" for service in SERVICES}
    running = nats_server.start(tmp_path_factory.mktemp("nats"), request.param(), passwords)
    yield running
    running.stop()


class User:
    """A connection of one service that keeps what the server said it may not."""

    def __init__(self) -> None:
        self.client = Client()
        self._refused: asyncio.Queue[str] = asyncio.Queue()

    async def connect(self, server: nats_server.Running, service: str) -> "User":
        async def on_error(error: Exception) -> None:
            self._refused.put_nowait(str(error))

        await self.client.connect(server.url(service, f"p{service}"), error_cb=on_error, allow_reconnect=False)
        return self

    async def refused(self) -> list[str]:
        """What was refused since the last call. The server answers in order, so what nobody may do ends the list."""
        await self.client.publish(NOBODY_MAY, b"")
        found = []
        async with asyncio.timeout(15):
            while NOBODY_MAY not in (said := await self._refused.get()).lower():
                found.append(said)
        return found


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_do_all_that_its_processes_do(server: nats_server.Running, service: str) -> None:
    user = await User().connect(server, service)
    try:
        jetstream = user.client.jetstream(timeout=5.0)
        for config in streams(KEPT):
            await jetstream.add_stream(config)
            await jetstream.update_stream(config)
            assert config.name is not None
            await jetstream.stream_info(config.name)
        for entity in ENTITIES[service]:
            await jetstream.publish(f"events.{entity}.created.{encode_account(ACCOUNT)}", b"")
            await jetstream.publish(f"events.{entity}.created.{encode_account(ACCOUNT)}.bulk", b"")
        for poke in {*POKES[service], topic(service)}:
            await user.client.publish(f"poke.{poke}", b"")
            await user.client.subscribe(f"poke.{poke}")
        for durable in DURABLES[service]:
            await jetstream.publish(f"dead.{durable}", b"", stream=DEAD)
        assert await user.refused() == []
    finally:
        await user.client.close()


@pytest.mark.parametrize("service", [name for name in SERVICES if DURABLES[name]])
async def test_a_services_consumers_get_their_events_and_acknowledge_them(
    server: nats_server.Running, service: str
) -> None:
    """Through chassis.consumer, since it speaks JetStream's own subjects."""
    teller = await User().connect(server, "contacts")
    listener = Nats(server.url(service, f"p{service}"), service)
    await listener.start()
    account = AccountId(ids.new())
    try:
        for durable in sorted(DURABLES[service]):
            got = asyncio.Event()

            async def handle(of: AccountId, _: object, *, got: asyncio.Event = got) -> None:
                if of == account:
                    got.set()

            consumer = Consumer(listener, durable=durable, filters=["events.contact.*.*"], handler=handle)
            running = asyncio.create_task(consumer.run())
            headers = {"ce-id": "1", "ce-type": "contact.created", "ce-time": "2026-01-01T00:00:00Z"}
            await listener.declare_streams()
            subject = f"events.contact.created.{encode_account(account)}"
            await teller.client.jetstream().publish(subject, b"", headers=headers)
            await asyncio.wait_for(got.wait(), 15)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    finally:
        await listener.stop()
        await teller.client.close()


async def test_segments_sees_how_far_its_consumers_are(server: nats_server.Running) -> None:
    """Where it may not ask, it takes for granted that events wait, and repairs nothing that is younger than an hour."""
    nats = Nats(server.url("segments", "psegments"), "segments")
    await nats.start()
    try:
        await nats.declare_streams()
        assert not await segments.behind(nats)
    finally:
        await nats.stop()


def forbidden(service: str) -> list[str]:
    """What others publish, and what would read, change or drop the streams."""
    others = [other for other in SERVICES if other != service]
    return [
        *(f"events.{entity}.created.x" for other in others for entity in sorted(ENTITIES[other])),
        *(f"dead.{durable}" for other in others for durable in sorted(DURABLES[other])),
        *(f"poke.{topic(other)}" for other in others),
        f"$JS.API.STREAM.DELETE.{EVENTS}",
        f"$JS.API.STREAM.PURGE.{EVENTS}",
        f"$JS.API.STREAM.MSG.GET.{EVENTS}",
        f"$JS.API.DIRECT.GET.{EVENTS}",
        "$JS.API.STREAM.CREATE.OTHER",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{EVENTS}.spy",
        f"$JS.API.CONSUMER.CREATE.{EVENTS}.spy",
        f"$JS.API.CONSUMER.DELETE.{EVENTS}.{segments.LIVE}",
        *(f"$JS.API.CONSUMER.INFO.{EVENTS}.{durable}" for other in others for durable in sorted(DURABLES[other])),
        "anything",
    ]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_do_nothing_else(server: nats_server.Running, service: str) -> None:
    user = await User().connect(server, service)
    try:
        for subject in forbidden(service):
            await user.client.publish(subject, b"")
        refused = await user.refused()
        assert [subject for subject in forbidden(service) if not names(refused, "publish", subject)] == []
    finally:
        await user.client.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_listens_to_nothing_but_through_its_consumers(
    server: nats_server.Running, service: str
) -> None:
    user = await User().connect(server, service)
    subjects = ["events.>", "dead.>", "poke.>", "$JS.>", ">"]
    try:
        for subject in subjects:
            await user.client.subscribe(subject)
        refused = await user.refused()
        assert [subject for subject in subjects if not names(refused, "subscription", subject)] == []
    finally:
        await user.client.close()


def names(refused: list[str], what: str, subject: str) -> bool:
    return any(what in said.lower() and f'"{subject}"'.lower() in said.lower() for said in refused)


async def test_nobody_comes_in_without_a_name(server: nats_server.Running) -> None:
    client = Client()
    with pytest.raises(Exception, match=r"(?i)authorization"):
        await client.connect(server.url("nobody", "x"), allow_reconnect=False, max_reconnect_attempts=0)


def test_the_events_are_those_of_the_events_page() -> None:
    """An entity that is added there needs a place among the users."""
    page = (ROOT / "docs" / "events.md").read_text()
    told = set(re.findall(r"`([a-z]+)\.[a-z_]+`", page.partition("**Subject**")[0]))
    assert told == {entity for entities in ENTITIES.values() for entity in entities}
