"""The feed of events: one order per account, no gap, nothing twice, nobody else's."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from chassis import ids
from chassis.haste import Pace
from chassis.ids import AccountId
from chassis.nats import Nats
from services.gateway import service
from services.gateway.feed import reading
from services.gateway.feed import repository as feed
from services.gateway.feed.writer import FeedWriter
from services.gateway.routers import events
from tests.service.gateway.conftest import Gateway
from tests.service.gateway.telling import contact, event, publish
from tests.service.stack import eventually


@pytest_asyncio.fixture
async def mine(gateway: Gateway) -> tuple[AccountId, str]:
    """A new account with a key."""
    made = await service.create_account(gateway.work, "Feed", scopes=["events:read"])
    account = ids.decode_account(made.account_id)
    assert account is not None
    return account, made.key


@pytest.fixture
def writer(gateway: Gateway, nats: Nats) -> FeedWriter:
    return FeedWriter(gateway.work, nats)


async def everything(gateway: Gateway, key: str, *, limit: int = 7, types: str = "") -> list[dict[str, Any]]:
    """All pages until the end."""
    found: list[dict[str, Any]] = []
    after, more = 0, True
    while more:
        query = f"?after={after}&limit={limit}" + (f"&types={types}" if types else "")
        body = (await gateway.call("GET", f"/v1/events{query}", key=key)).body
        found += body["data"]
        after, more = body["next_after"], body["has_more"]
    return found


async def test_events_come_in_order_with_the_ids_that_nats_carries(
    gateway: Gateway, mine: tuple[AccountId, str], nats: Nats, writer: FeedWriter
) -> None:
    account, key = mine
    consumers = [asyncio.create_task(one.run()) for one in writer.consumers(Pace(1)).values()]
    try:
        live = [await publish(nats, account, contact(f"c{number}")) for number in range(5)]
        bulk = await publish(nats, account, contact("many"), bulk=True)

        async def all_there() -> list[dict[str, Any]]:
            found = await everything(gateway, key)
            return found if len(found) == 6 else []

        found = await eventually(all_there)
    finally:
        for task in consumers:
            task.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
    assert {one["id"] for one in found} == {*live, bulk}
    assert [one["position"] for one in found] == [1, 2, 3, 4, 5, 6]
    # The lanes are read apart; of each the order is kept.
    of_live = [one for one in found if one["id"] != bulk]
    assert [one["id"] for one in of_live] == live
    assert of_live[0]["type"] == "contact.updated"
    assert of_live[0]["data"]["changes"][0]["contact"]["id"] == "c0"


async def test_an_event_that_comes_again_is_there_once(
    gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter
) -> None:
    account, key = mine
    one, two = event(account, contact("a")), event(account, contact("b"))
    await writer.write(account, [one, one])
    await writer.write(account, [one, two])
    assert [found["id"] for found in await everything(gateway, key)] == [one.id, two.id]


async def test_a_reader_who_pages_while_many_write_misses_none(
    gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter
) -> None:
    account, key = mine
    told = [event(account, contact(f"c{number}")) for number in range(120)]
    seen: list[dict[str, Any]] = []

    async def write(part: list[Any]) -> None:
        for at in range(0, len(part), 3):
            await writer.write(account, part[at : at + 3])

    async def read() -> None:
        after = 0
        while len(seen) < len(told):
            body = (await gateway.call("GET", f"/v1/events?after={after}&limit=5", key=key)).body
            seen.extend(body["data"])
            after = body["next_after"]

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(read())
        for worker in range(6):
            group.create_task(write(told[worker::6]))
    assert [one["position"] for one in seen] == list(range(1, len(told) + 1))
    assert sorted(one["id"] for one in seen) == sorted(one.id for one in told)


async def test_only_the_types_asked_for_are_given_and_the_rest_is_passed_over(
    gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, key = mine
    monkeypatch.setattr(reading, "SCANNED", 4)  # so that pages without any match occur
    types = ["contact.updated"] * 9 + ["contact.deleted", "list.created"]
    await writer.write(account, [event(account, contact("a"), event_type=one) for one in types])
    found = await everything(gateway, key, types="contact.deleted,list.*")
    assert [one["position"] for one in found] == [10, 11]
    assert len(await everything(gateway, key, types="contact.*")) == 10


async def test_a_page_is_bounded_by_the_size_of_its_events(
    gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, key = mine
    monkeypatch.setattr(reading, "PAGE_BYTES", 10)
    await writer.write(account, [event(account, contact("x" * 50)) for _ in range(3)])
    body = (await gateway.call("GET", "/v1/events?limit=100", key=key)).body
    assert (len(body["data"]), body["has_more"]) == (1, True)
    assert len(await everything(gateway, key)) == 3


async def test_nobody_sees_another_account_s_events(
    gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter
) -> None:
    account, _ = mine
    await writer.write(account, [event(account, contact("a"))])
    other = await service.create_account(gateway.work, "Other", scopes=["events:read"])
    assert await everything(gateway, other.key) == []


async def test_who_comes_too_late_is_told_rather_than_given_a_gap(
    gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter
) -> None:
    account, key = mine
    for name in "abc":
        await writer.write(account, [event(account, contact(name))])
    async with gateway.work.across() as tx:
        await tx.execute(
            "UPDATE feed_events SET received_at = now() - interval '80 hours' WHERE account_id = $1 AND position < 3",
            account,
        )
        await tx.execute(feed.CLEAN, timedelta(hours=72))
    answer = await gateway.call("GET", "/v1/events?after=1", key=key)
    assert (answer.status, answer.code, answer.body["resume_after"]) == (410, "position_expired", 2)
    assert [one["position"] for one in await everything(gateway, key)] == [3]
    assert (await gateway.call("GET", "/v1/events?after=2", key=key)).body["data"][0]["position"] == 3
    async with gateway.work.across() as tx:
        await tx.execute("DELETE FROM feed_events WHERE account_id = $1", account)
    assert (await gateway.call("GET", "/v1/events?after=2", key=key)).code == "position_expired"
    assert (await gateway.call("GET", "/v1/events?after=3", key=key)).body["next_after"] == 3


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_nobody_waits_at_a_place_that_there_is_not(
    gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter, accept: str
) -> None:
    account, key = mine
    await writer.write(account, [event(account, contact("a"))])
    headers = {"Accept": accept, "Last-Event-ID": ""}
    answer = await gateway.call("GET", "/v1/events?after=2", key=key, headers=headers)
    assert (answer.status, answer.code, answer.body["errors"][0]["pointer"]) == (422, "validation_failed", "/after")


async def test_a_header_that_is_refused_is_named_as_it_is_documented(gateway: Gateway) -> None:
    answer = await gateway.call("GET", "/v1/events", headers={"last-event-id": "yesterday"})
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "/Last-Event-ID")


async def test_latest_is_the_end(gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter) -> None:
    account, key = mine
    await writer.write(account, [event(account, contact("a"))])
    body = (await gateway.call("GET", "/v1/events?after=latest", key=key)).body
    assert body == {"data": [], "next_after": 1, "has_more": False}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("after=x", "/after"), ("after=-1", "/after"), ("after=" + "9" * 19, "/after"), ("limit=0", "/limit"),
        ("limit=101", "/limit"), ("types=contact.moved", "/types"), ("types=", "/types"), ("until=3", "/until"),
    ],
    ids=["text", "negative", "too long", "none", "too many", "unknown type", "no type", "unknown parameter"],
)  # fmt: skip
async def test_a_bad_query_is_refused_by_name(gateway: Gateway, query: str, pointer: str) -> None:
    answer = await gateway.call("GET", f"/v1/events?{query}")
    assert answer.status == 422
    assert [error["pointer"] for error in answer.body["errors"]] == [pointer]


async def test_the_feed_needs_its_scope(gateway: Gateway) -> None:
    lesser = await service.create_account(gateway.work, "Lesser", scopes=["contacts:*"])
    assert (await gateway.call("GET", "/v1/events", key=lesser.key)).code == "permission_denied"


class Stream:
    """A client of server-sent events."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def events(self, count: int) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        current: dict[str, str] = {}
        async with asyncio.timeout(30):
            while len(found) < count:
                line = (await self._answer.content.readline()).decode().rstrip("\n")
                if not line and "data" in current:
                    found.append(current)
                if not line:
                    current = {}
                else:
                    name, _, value = line.partition(": ")
                    current[name] = value
        return found


@pytest_asyncio.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """Of its own: streams are closed with it."""
    async with aiohttp.ClientSession() as session:
        yield session


def opened(
    gateway: Gateway, client: aiohttp.ClientSession, key: str, *, query: str = "", last: str | None = None
) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    return client.get(
        f"{gateway.url}/v1/events{query}", headers=headers | ({} if last is None else {"Last-Event-ID": last})
    )


async def test_a_stream_goes_on_where_the_client_stopped(
    gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter, client: aiohttp.ClientSession
) -> None:
    account, key = mine
    await writer.write(account, [event(account, contact(name)) for name in "abc"])
    async with opened(gateway, client, key, query="?after=0") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        # It comes again by a new connection, this one may be closing.
        assert answer.headers["connection"] == "close"
        first = await Stream(answer).events(2)
    assert [one["id"] for one in first] == ["1", "2"]
    async with opened(gateway, client, key, query="?after=0", last="2") as answer:
        (third,) = await Stream(answer).events(1)
        new = event(account, contact("d"))
        await writer.write(account, [new])
        (fourth,) = await Stream(answer).events(1)
    assert (third["id"], third["event"], fourth["id"]) == ("3", "contact.updated", "4")
    assert json.loads(fourth["data"])["id"] == new.id


async def test_a_stream_that_has_nothing_to_tell_moves_the_client_s_place_on(
    gateway: Gateway,
    mine: tuple[AccountId, str],
    writer: FeedWriter,
    client: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "QUIET_SECONDS", 0.0)
    account, key = mine
    await writer.write(account, [event(account, contact(name)) for name in "abc"])
    async with opened(gateway, client, key, query="?after=0&types=segment.*") as answer:
        lines = [(await answer.content.readline()).decode() for _ in range(5)]
    assert lines[2:] == ["id: 3\n", ": still here\n", "\n"]


async def test_a_stream_without_a_place_begins_with_what_is_new(
    gateway: Gateway, mine: tuple[AccountId, str], writer: FeedWriter, client: aiohttp.ClientSession
) -> None:
    account, key = mine
    await writer.write(account, [event(account, contact("old"))])
    async with opened(gateway, client, key) as answer:
        assert (await answer.content.readline()) == b"retry: 1000\n"
        await writer.write(account, [event(account, contact("new"))])
        (only,) = await Stream(answer).events(1)
    assert only["id"] == "2"


async def test_an_account_has_so_many_streams_and_no_more(
    gateway: Gateway, mine: tuple[AccountId, str], client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.gateway.feed import streams

    monkeypatch.setattr(streams, "MOST", 1)
    _, key = mine
    async with opened(gateway, client, key) as first:
        await first.content.readline()
        async with opened(gateway, client, key) as second:
            assert (second.status, second.headers["retry-after"]) == (429, "5")
            assert (await second.json(content_type=None))["code"] == "rate_limited"

    async def free_again() -> bool:
        async with opened(gateway, client, key) as third:
            return third.status == 200

    await eventually(free_again)
