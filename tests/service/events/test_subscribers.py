"""A subscriber's user, on a real nats-server: it has its consumer's events and may do nothing else."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from carillon.contacts.v1 import contacts_pb2
from carillon.events.v1 import events_pb2
from chassis.nats import EVENTS, Nats
from services.gateway.domain.subscribers import Subscriber
from tests.service.events.conftest import PASSWORD, Server
from tests.service.stack import eventually

NOBODY_MAY = "what.nobody.may"


async def run(*arguments: str, url: str) -> tuple[int, str]:
    """(exit code, output) of `carillon events …`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "events", *arguments,
        env=os.environ | {"CARILLON_NATS_URL": url, "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def make(server: Server, one: Subscriber, *more: str) -> str:
    types = ["--types", ",".join(one.types)] if one.types else []
    code, output = await run("subscriber", one.name, "--account", one.account, *types, *more, url=server.operator)
    assert code == 0, output
    return output


@pytest_asyncio.fixture
async def teller(server: Server) -> AsyncIterator[Nats]:
    """With an empty stream and the consumers of both subscribers."""
    connection = Nats(server.operator, "teller")
    await connection.start()
    await connection.declare_streams()
    await connection.jetstream.purge_stream(EVENTS)
    for one in (server.crm, server.other):
        await make(server, one, "--again")
    yield connection
    await connection.stop()


class User:
    def __init__(self, client: Client, one: Subscriber, refused: list[str]) -> None:
        self.client = client
        self.one = one
        self.refused = refused

    async def fetch(self, count: int) -> list[Any]:
        subscription = await self.client.jetstream().pull_subscribe_bind(self.one.durable, EVENTS)
        return [(await subscription.fetch(1, timeout=10))[0] for _ in range(count)]

    async def answered(self) -> list[str]:
        """What was refused. The server answers in order, so what nobody may do ends the list."""
        await self.client.publish(NOBODY_MAY, b"")

        async def ended() -> bool:
            return any(NOBODY_MAY in one for one in self.refused)

        await eventually(ended)
        found = [one for one in self.refused if NOBODY_MAY not in one]
        self.refused.clear()
        return found


@pytest_asyncio.fixture
async def user(server: Server, teller: Nats) -> AsyncIterator[User]:
    refused: list[str] = []

    async def on_error(error: Exception) -> None:
        refused.append(str(error))

    client = await nats.connect(
        server.url(server.crm), inbox_prefix=server.crm.inbox_prefix, error_cb=on_error, allow_reconnect=False
    )
    yield User(client, server.crm, refused)
    await client.close()


async def tell(teller: Nats, account: str, event_type: str, *, lane: str = "", data: bytes = b"") -> None:
    headers = {"ce-id": "1", "ce-type": event_type, "ce-time": "2026-01-01T00:00:00Z"}
    await teller.jetstream.publish(f"events.{event_type}.{account}{lane}", data, headers=headers)


async def test_it_gets_the_events_of_its_account_and_types_and_acknowledges_them(
    server: Server, teller: Nats, user: User
) -> None:
    await tell(teller, server.other.account, "contact.updated", data=b"theirs")
    await tell(teller, server.crm.account, "list.created", data=b"not asked for")
    await tell(teller, server.crm.account, "contact.updated", data=b"live")
    await tell(teller, server.crm.account, "contact.updated", lane=".bulk", data=b"bulk")
    await tell(teller, server.crm.account, "segment.members_changed", data=b"members")
    messages = await user.fetch(3)
    assert [message.data for message in messages] == [b"live", b"bulk", b"members"]
    for message in messages:
        await message.ack()

    async def acknowledged() -> bool:
        info = await teller.jetstream.consumer_info(EVENTS, server.crm.durable)
        return info.num_ack_pending == 0 and info.num_pending == 0

    await eventually(acknowledged)
    assert await user.answered() == []


async def test_it_may_do_nothing_else(server: Server, user: User) -> None:
    mine, theirs = server.crm, server.other
    publishes = [
        f"events.contact.updated.{mine.account}",
        f"events.contact.updated.{theirs.account}",
        "poke.outbox.contacts",
        "dead.x",
        f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{theirs.durable}",
        f"$JS.ACK.{EVENTS}.{theirs.durable}.1.1.1.1.0",
        f"$JS.API.CONSUMER.INFO.{EVENTS}.{mine.durable}",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{EVENTS}.{mine.durable}",
        f"$JS.API.CONSUMER.CREATE.{EVENTS}.{mine.durable}",
        f"$JS.API.CONSUMER.DELETE.{EVENTS}.{mine.durable}",
        f"$JS.API.STREAM.INFO.{EVENTS}",
        f"$JS.API.STREAM.MSG.GET.{EVENTS}",
        f"$JS.API.DIRECT.GET.{EVENTS}",
        f"$JS.API.STREAM.DELETE.{EVENTS}",
        "$JS.API.INFO",
    ]
    listens = [">", "events.>", "_INBOX.>", f"{theirs.inbox_prefix}.>", "$JS.>", "poke.>"]
    for subject in publishes:
        await user.client.publish(subject, b"")
    for subject in listens:
        await user.client.subscribe(subject)
    refused = [said.lower() for said in await user.answered()]
    for what, subjects in (("publish", publishes), ("subscription", listens)):
        for subject in subjects:
            assert any(what in said and f'"{subject}"'.lower() in said for said in refused), subject


@pytest.mark.parametrize(
    "place",
    ["$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.PURGE.EVENTS", "events.contact.updated.acct_x", "poke.outbox.x"],
)
async def test_it_cannot_have_the_server_do_it(server: Server, teller: Nats, user: User, place: str) -> None:
    """A fetch names where its answer goes; a user beside the services deletes the stream so."""
    for _ in range(10):
        await tell(teller, server.crm.account, "contact.updated", data=b"{}")
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(message.subject)

    await teller.client.subscribe("poke.>", cb=hear)
    fetch, _ = server.crm.publishes
    (message,) = await user.fetch(1)
    for body in (b'{"batch":1}', b'{"batch":1,"no_wait":true}', b""):
        await user.client.publish(fetch, body, reply=place)
    await user.client.publish(message.reply, b"+NXT", reply=place)
    # The server takes requests in their order: when this one is answered, so are those.
    await user.fetch(1)
    await teller.client.flush()
    info = await teller.jetstream.stream_info(EVENTS)
    assert info.state.messages == 10
    assert heard == []


async def test_another_account_s_consumer_has_nothing_of_it(server: Server, teller: Nats) -> None:
    await tell(teller, server.crm.account, "contact.updated")
    info = await teller.jetstream.consumer_info(EVENTS, server.other.durable)
    assert info.num_pending == 0


async def test_its_types_can_be_changed_and_it_can_begin_anew(server: Server, teller: Nats, user: User) -> None:
    await tell(teller, server.crm.account, "contact.updated", data=b"first")
    (message,) = await user.fetch(1)
    await message.ack()

    async def acknowledged() -> bool:
        info = await teller.jetstream.consumer_info(EVENTS, server.crm.durable)
        return info.num_ack_pending == 0

    await eventually(acknowledged)
    await make(server, server.crm, "--again")
    (again,) = await user.fetch(1)
    assert again.data == b"first"
    wider = Subscriber(server.crm.name, server.crm.account, ["list.*"])
    await make(server, wider)
    assert (await teller.jetstream.consumer_info(EVENTS, wider.durable)).config.filter_subjects == wider.filters


async def test_what_is_printed_is_the_configuration(server: Server, teller: Nats) -> None:
    output = await make(server, server.crm)
    text = "\n".join(line for line in output.splitlines() if not line.startswith("#"))
    decoder = json.JSONDecoder()
    exports, end = decoder.raw_decode(text)
    account, _ = decoder.raw_decode(text[end:].lstrip())
    password = account[server.crm.nats_account]["users"][0]["password"]
    assert exports == server.crm.exports()
    assert account == server.crm.nats_configuration(password)
    assert len(password) >= 24 > len(PASSWORD)


@pytest.mark.parametrize(
    "arguments",
    [
        ("subscriber", "CRM", "--account", "ACCOUNT"),
        ("subscriber", "crm", "--account", "acct_x"),
        ("subscriber", "crm", "--account", "ACCOUNT", "--types", "contact.moved"),
        ("tail", "--account", "acct_x"),
    ],
    ids=["name", "account", "type", "tail's account"],
)
async def test_what_is_wrong_makes_nothing(server: Server, teller: Nats, arguments: tuple[str, ...]) -> None:
    account = server.crm.account.replace("acct_0", "acct_1")
    code, output = await run(*(one.replace("ACCOUNT", account) for one in arguments), url=server.operator)
    assert code == 2, output
    with pytest.raises(NotFoundError):
        await teller.jetstream.consumer_info(EVENTS, Subscriber("crm", account).durable)


async def test_tail_prints_events_decoded(server: Server, teller: Nats) -> None:
    change = events_pb2.ContactChange(contact=contacts_pb2.Contact(id="cnt_x", version=3))
    data = events_pb2.ContactsChanged(changes=[change]).SerializeToString()
    await tell(teller, server.crm.account, "contact.updated", data=data)
    await tell(teller, server.other.account, "contact.updated", data=data)
    await tell(teller, server.crm.account, "contact.updated", lane=".bulk", data=data)
    code, output = await run(
        "tail", "--account", server.crm.account, "--types", "contact.*", "--since", "1", "--count", "2",
        url=server.operator,
    )  # fmt: skip
    assert code == 0, output
    shown = [json.loads(line) for line in output.splitlines()]
    assert [one["lane"] for one in shown] == ["live", "bulk"]
    assert [one["data"]["changes"][0]["contact"]["version"] for one in shown] == [3, 3]
