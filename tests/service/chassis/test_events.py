"""Outbox → relay → JetStream → consumer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.events.v1 import events_pb2
from chassis import consumer as consumers
from chassis import haste
from chassis import relay as relays
from chassis.consumer import Consumer, Invalid, Received
from chassis.errors import Reason, Unavailable
from chassis.haste import Pace
from chassis.ids import AccountId, encode_account
from chassis.nats import DEAD, EVENTS, Nats, Poker
from chassis.relay import Relay
from deploy.local import nats as local_nats
from tests.service.chassis.conftest import Databases
from tests.service.stack import eventually, free_port, measured


@asynccontextmanager
async def running(*loops) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(loop()) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended


class Recorder:
    """A handler that keeps what it got, and fails as told."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.invalid: set[str] = set()
        self.failures = 0
        self.error: Exception = RuntimeError("told so")

    async def __call__(self, account: AccountId, events: Sequence[Received]) -> None:
        names = [change(event) for event in events]
        if self.invalid & set(names):
            raise Invalid("told so")
        if self.failures:
            self.failures -= 1
            raise self.error
        self.ids += names


def change(event: Received) -> str:
    return events_pb2.ContactsChanged.FromString(event.data).changes[0].contact.id


def live_lane(account: AccountId) -> str:
    """Of this test's account only: a cancelled relay may leave the rows of an earlier test to be published again."""
    return f"events.contact.*.{encode_account(account)}"


def changed(name: str) -> events_pb2.ContactsChanged:
    return events_pb2.ContactsChanged(changes=[events_pb2.ContactChange(contact=pb.Contact(id=name))])


async def tell(dbs: Databases, account: AccountId, *names: str, bulk: bool = False) -> None:
    async with dbs.serve.write(account) as tx:
        for name in names:
            tx.add_event("contact.updated", changed(name), bulk=bulk)


@pytest.fixture
def durable(account: AccountId) -> str:
    return f"test-{account}"


async def test_an_event_reaches_the_consumer_of_its_lane(
    dbs: Databases, nats: Nats, account: AccountId, durable: str
) -> None:
    live, bulk = Recorder(), Recorder()
    relay = Relay(dbs.work, nats, service="contacts")
    lanes = [
        Consumer(nats, durable=f"{durable}-live", filters=[live_lane(account)], handler=live),
        Consumer(nats, durable=f"{durable}-bulk", filters=[live_lane(account) + ".bulk"], handler=bulk),
    ]
    dbs.serve.on_events = Poker(nats, relays.topic("contacts"))
    async with running(relay.run, *(lane.run for lane in lanes)):
        await tell(dbs, account, "a", "b")
        await tell(dbs, account, "c", bulk=True)

        async def arrived() -> bool:
            return sorted(live.ids) == ["a", "b"] and bulk.ids == ["c"]

        await eventually(arrived)

        async def marked() -> bool:
            async with dbs.work.across() as tx:
                query = "SELECT count(*) FROM outbox WHERE account_id = $1 AND published_at IS NULL"
                return await tx.fetchval(query, account) == 0

        await eventually(marked)


async def test_an_event_is_a_cloud_event_under_its_subject(dbs: Databases, nats: Nats, account: AccountId) -> None:
    async with running(Relay(dbs.work, nats, service="contacts").run):
        await tell(dbs, account, "a")
        subject = f"events.contact.updated.{encode_account(account)}"

        async def published() -> bool:
            info = await nats.jetstream.stream_info(EVENTS, subjects_filter=subject)
            return bool(info.state.subjects)

        await eventually(published)
    message = await nats.jetstream.get_last_msg(EVENTS, subject)
    headers = message.headers or {}
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-type"] == "contact.updated"
    assert headers["ce-source"] == "carillon/contacts"
    assert headers["content-type"] == "application/protobuf"
    assert headers["ce-id"] == headers["Nats-Msg-Id"]
    assert headers["ce-time"].endswith("Z")


async def test_nothing_is_lost_when_jetstream_is_wiped_before_publishing(
    dbs: Databases, nats: Nats, account: AccountId, durable: str
) -> None:
    await nats.jetstream.delete_stream(EVENTS)
    await tell(dbs, account, "a")
    got = Recorder()
    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got)
    async with running(Relay(dbs.work, nats, service="contacts").run):

        async def redeclared() -> bool:
            async with dbs.work.across() as tx:
                query = "SELECT count(*) FROM outbox WHERE account_id = $1 AND published_at IS NULL"
                return await tx.fetchval(query, account) == 0

        await eventually(redeclared)
        async with running(consumer.run):

            async def arrived() -> bool:
                return got.ids == ["a"]

            await eventually(arrived)


async def test_what_was_published_is_published_again_when_jetstream_was_wiped(
    dbs: Databases, nats: Nats, account: AccountId, durable: str
) -> None:
    async def unpublished() -> int:
        async with dbs.work.across() as tx:
            query = "SELECT count(*) FROM outbox WHERE account_id = $1 AND published_at IS NULL"
            return int(await tx.fetchval(query, account))

    async def published() -> bool:
        return await unpublished() == 0

    await tell(dbs, account, "a")
    async with running(Relay(dbs.work, nats, service="contacts").run):
        await eventually(published)
    await nats.jetstream.delete_stream(EVENTS)
    got = Recorder()
    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got)
    async with running(Relay(dbs.work, nats, service="contacts").run, consumer.run):

        async def arrived() -> bool:
            return "a" in got.ids

        await eventually(arrived)


async def test_a_restarted_broker_is_asked_again_at_once(
    dbs: Databases, account: AccountId, durable: str, tmp_path: Path
) -> None:
    port = free_port()
    server = local_nats.start(tmp_path, port=port)
    nats = Nats(server.url, "test")
    await nats.start()
    got = Recorder()
    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got)
    dbs.serve.on_events = Poker(nats, relays.topic("contacts"))
    async with running(Relay(dbs.work, nats, service="contacts").run, consumer.run):
        await tell(dbs, account, "a")

        async def first() -> bool:
            return "a" in got.ids

        await eventually(first)
        server.process.kill()
        server.process.wait()
        server = local_nats.start(tmp_path, port=port)
        await tell(dbs, account, "b")

        async def second() -> bool:
            return "b" in got.ids

        # Well below the time after which a pull request would expire by itself.
        await eventually(second, seconds=15)
    await nats.stop()
    server.stop(remove=True)


async def test_a_failing_handler_gets_the_event_again(
    dbs: Databases, nats: Nats, account: AccountId, durable: str
) -> None:
    got = Recorder()
    got.failures = 2
    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got)
    async with running(Relay(dbs.work, nats, service="contacts").run, consumer.run):
        await tell(dbs, account, "a")

        async def arrived() -> bool:
            return got.ids == ["a"]

        await eventually(arrived)


async def test_an_outage_buries_nothing_however_long_it_lasts(
    dbs: Databases, nats: Nats, account: AccountId, durable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "MAX_DELIVERIES", 2)
    monkeypatch.setattr(consumers, "BACKOFF_SECONDS", (0.05,))
    got = Recorder()
    got.failures, got.error = 5, Unavailable(Reason.UNAVAILABLE, "The database cannot be reached.")
    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got)
    await tell(dbs, account, "a")
    async with running(Relay(dbs.work, nats, service="contacts").run, consumer.run):

        async def arrived() -> bool:
            return got.ids == ["a"]

        await eventually(arrived)
    assert (await nats.jetstream.stream_info(DEAD)).state.messages == 0


async def test_an_invalid_event_is_buried_alone_with_its_reason(
    dbs: Databases, nats: Nats, account: AccountId, durable: str
) -> None:
    got = Recorder()
    got.invalid = {"bad"}
    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got)
    await tell(dbs, account, "a", "bad", "b")
    async with running(Relay(dbs.work, nats, service="contacts").run, consumer.run):

        async def arrived() -> bool:
            return sorted(got.ids) == ["a", "b"]

        await eventually(arrived)

        async def buried() -> bool:
            return (await nats.jetstream.stream_info(DEAD)).state.messages == 1

        await eventually(buried)
    dead = await nats.jetstream.get_last_msg(DEAD, f"dead.{durable}")
    assert (dead.headers or {})["carillon-dead-reason"] == "told so"
    assert events_pb2.ContactsChanged.FromString(dead.data or b"").changes[0].contact.id == "bad"


async def test_a_handler_that_takes_long_keeps_its_event(
    dbs: Databases, nats: Nats, account: AccountId, durable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ACK_SECONDS", 1.0)
    monkeypatch.setattr(consumers, "ALIVE_SECONDS", 0.3)
    got = Recorder()
    release = asyncio.Event()

    async def slow(account: AccountId, events: Sequence[Received]) -> None:
        await got(account, events)
        await release.wait()

    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=slow)
    other = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got)
    await tell(dbs, account, "a")
    async with running(Relay(dbs.work, nats, service="contacts").run, consumer.run):

        async def taken() -> bool:
            return got.ids == ["a"]

        await eventually(taken)
        async with running(other.run):

            async def acknowledged_or_stolen() -> bool:
                info = await nats.jetstream.consumer_info(EVENTS, durable)
                return info.num_ack_pending == 0 or info.num_redelivered > 0

            with pytest.raises(AssertionError):
                await eventually(acknowledged_or_stolen, seconds=2.5)
            release.set()
            await eventually(acknowledged_or_stolen)
    assert got.ids == ["a"]


async def test_the_dead_letter_limit_stops_the_consumer(
    dbs: Databases, nats: Nats, account: AccountId, durable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "DEAD_LIMIT", 3)
    got = Recorder()
    got.invalid = {f"bad{number}" for number in range(10)}
    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got, batch=1)
    await tell(dbs, account, *sorted(got.invalid))
    async with running(Relay(dbs.work, nats, service="contacts").run, consumer.run):

        async def stopped() -> bool:
            return consumers.STOPPED.labels(durable)._value.get() == 1

        await eventually(stopped)
        assert (await nats.jetstream.stream_info(DEAD)).state.messages == 3


async def test_what_the_broker_knows_of_a_consumer_is_measured(
    dbs: Databases, nats: Nats, account: AccountId, durable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while nothing is handled."""
    monkeypatch.setattr(consumers, "ASK_SECONDS", 0.1)
    got, release = Recorder(), asyncio.Event()
    got.invalid = {"bad"}

    async def slow(account: AccountId, events: Sequence[Received]) -> None:
        await release.wait()
        await got(account, events)

    def known(name: str) -> float:
        return measured(f"carillon_consumer_{name}", durable=durable)

    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=slow, batch=2)
    await tell(dbs, account, "a", "bad", "b", "c", "d")
    async with running(Relay(dbs.work, nats, service="contacts").run, consumer.run):

        async def waiting() -> bool:
            return (known("unacknowledged"), known("pending")) == (2, 3)

        await eventually(waiting)
        assert (known("dead_letters"), known("lag_seconds_count")) == (0, 0)
        release.set()

        async def handled() -> bool:
            return (known("unacknowledged"), known("pending"), known("dead_letters")) == (0, 0, 1)

        await eventually(handled)
    assert known("lag_seconds_count") == 4
    outcomes = {
        outcome: measured("carillon_consumer_events_total", durable=durable, outcome=outcome)
        for outcome in ("done", "retried", "dead")
    }
    assert outcomes == {"done": 4, "retried": 0, "dead": 1}


async def test_an_event_that_comes_again_is_counted(
    dbs: Databases, nats: Nats, account: AccountId, durable: str
) -> None:
    got = Recorder()
    got.failures = 2
    consumer = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got)
    await tell(dbs, account, "a")
    async with running(Relay(dbs.work, nats, service="contacts").run, consumer.run):

        async def arrived() -> bool:
            return got.ids == ["a"]

        await eventually(arrived)
    assert measured("carillon_consumer_redelivered_total", durable=durable) == 2
    assert measured("carillon_consumer_events_total", durable=durable, outcome="retried") == 2


async def test_who_is_stopped_ends_what_is_in_hand_and_gives_back_the_rest(
    dbs: Databases, nats: Nats, account: AccountId, durable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing comes again by itself: what the second one gets was given back.
    monkeypatch.setattr(consumers, "ACK_SECONDS", 600.0)
    in_hand, go_on = asyncio.Event(), asyncio.Event()
    first, second = Recorder(), Recorder()

    async def slow(owner: AccountId, events: Sequence[Received]) -> None:
        in_hand.set()
        await go_on.wait()
        await first(owner, events)

    stopped = Consumer(nats, durable=durable, filters=[live_lane(account)], handler=slow)
    dbs.serve.on_events = Poker(nats, relays.topic("contacts"))
    async with running(Relay(dbs.work, nats, service="contacts").run):
        stopping = asyncio.create_task(stopped.run())
        await tell(dbs, account, "a")
        await in_hand.wait()
        await tell(dbs, account, "b", "c")

        async def delivered() -> bool:
            return len(stopped._held) == 3

        await eventually(delivered)
        stopping.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(stopping, return_exceptions=True)
        assert first.ids == ["a"]
        async with running(Consumer(nats, durable=durable, filters=[live_lane(account)], handler=second).run):

            async def taken_over() -> bool:
                return sorted(second.ids) == ["b", "c"]

            await eventually(taken_over)
    info = await nats.jetstream.consumer_info(EVENTS, durable)
    assert (info.num_ack_pending, info.num_pending) == (0, 0)


async def test_a_batch_that_takes_too_long_is_broken_off_and_given_back(
    dbs: Databases, nats: Nats, account: AccountId, durable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ACK_SECONDS", 600.0)
    monkeypatch.setattr(consumers, "FINISH_SECONDS", 0.1)
    in_hand, got = asyncio.Event(), Recorder()

    async def stuck(owner: AccountId, events: Sequence[Received]) -> None:
        in_hand.set()
        await asyncio.Event().wait()

    dbs.serve.on_events = Poker(nats, relays.topic("contacts"))
    async with running(Relay(dbs.work, nats, service="contacts").run):
        async with running(Consumer(nats, durable=durable, filters=[live_lane(account)], handler=stuck).run):
            await tell(dbs, account, "a")
            await in_hand.wait()
        async with running(Consumer(nats, durable=durable, filters=[live_lane(account)], handler=got).run):

            async def taken_over() -> bool:
                return got.ids == ["a"]

            await eventually(taken_over)


async def test_an_answer_that_nobody_waits_for_any_longer_is_passed_by(nats: Nats) -> None:
    """A broker that comes back from a standstill answers the PINGs that were given up meanwhile."""
    given_up: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    given_up.cancel()
    await nats.client._send_ping(given_up)
    await nats.client.flush()

    assert (await nats.jetstream.stream_info(EVENTS)).config.name == EVENTS


async def ends_soon(resting: Awaitable[object]) -> bool:
    task = asyncio.ensure_future(resting)
    done, _ = await asyncio.wait([task], timeout=0.2)
    task.cancel()
    return bool(done)


@asynccontextmanager
async def somebody_in_haste(nats: Nats, pace: Pace) -> AsyncIterator[None]:
    """pace: hears of it before the block begins."""

    async def say_so() -> None:
        while True:
            await nats.poke(haste.TOPIC)
            await asyncio.sleep(0.1)

    async def heard() -> bool:
        return not await ends_soon(pace.rest(60.0, waited=0.0))

    saying = asyncio.create_task(say_so())
    try:
        await eventually(heard)
        yield
    finally:
        saying.cancel()


async def test_bulk_events_give_way_while_somebody_is_in_haste(
    dbs: Databases, nats: Nats, account: AccountId, durable: str
) -> None:
    """A batch is handled and the next one waits, but not for longer than the haste lasts."""
    pace, got = Pace(1e-6), Recorder()
    await pace.listen(nats)
    lane = Consumer(nats, durable=durable, filters=[live_lane(account) + ".bulk"], handler=got, batch=1, pace=pace)

    async def both() -> bool:
        return len(got.ids) == 2

    async with running(lane.run, Relay(dbs.work, nats, service="contacts").run):
        async with somebody_in_haste(nats, pace):
            await tell(dbs, account, "a", "b", bulk=True)
            assert not await ends_soon(eventually(both))
            assert len(got.ids) < 2
        await eventually(both)


async def test_what_has_waited_for_long_gives_way_no_more(nats: Nats) -> None:
    pace = Pace(1e-6)
    await pace.listen(nats)
    async with somebody_in_haste(nats, pace):
        assert await ends_soon(pace.rest(60.0, waited=haste.PATIENCE_SECONDS))
