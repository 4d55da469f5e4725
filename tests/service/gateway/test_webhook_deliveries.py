"""Deliveries to real endpoints: what is sent, how often, in what order, and what is written of it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.fernet import Fernet
from standardwebhooks import Webhook

from chassis import ids
from chassis.nats import Nats
from deploy.local import databases
from services.gateway.domain import retries
from services.gateway.webhooks import queue
from services.gateway.webhooks.queue import Attempt, Delivery, Held
from services.gateway.webhooks.recorder import Recorder
from tests.service.gateway.conftest import Gateway
from tests.service.gateway.delivering import Subscriber, delivering, subscriber
from tests.service.gateway.receiver import Receiver, for_ever, listening
from tests.service.gateway.telling import contact, event, versions
from tests.service.stack import eventually


@pytest_asyncio.fixture
async def sub(gateway: Gateway, nats: Nats) -> Subscriber:
    return await subscriber(gateway, nats)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as found:
        yield found


@pytest_asyncio.fixture
async def work(gateway: Gateway, nats: Nats) -> AsyncIterator[None]:
    async with delivering(gateway.work, nats):
        yield


async def got(receiver: Receiver, count: int) -> list[dict[str, Any]]:
    async def enough() -> bool:
        return len(receiver.got) >= count

    await eventually(enough, seconds=30)
    return [one.body for one in receiver.got]


async def test_an_event_is_posted_signed_with_the_id_that_it_has_everywhere(
    sub: Subscriber, receiver: Receiver, work: None
) -> None:
    webhook = await sub.webhook(receiver.url, event_types=["contact.*"])
    wanted, other = event(sub.account, contact("a", 3)), event(sub.account, contact("b"), event_type="list.created")
    await sub.writer.write(sub.account, [other, wanted])
    (body,) = await got(receiver, 1)
    (made,) = await sub.ended(webhook, 1)
    request = receiver.got[0]
    assert Webhook(webhook["secret"]).verify(request.raw, request.headers) == body
    assert (request.id, body["id"], body["type"], body["position"]) == (wanted.id, wanted.id, "contact.updated", 2)
    assert versions([body], "a") == [3]
    assert request.headers["Content-Type"] == "application/json"
    shown = (made["event_id"], made["outcome"], made["status"], made["number"], made["next_attempt_at"])
    assert shown == (wanted.id, "delivered", 204, 1, None)
    assert await sub.waiting() == 0
    assert len(receiver.got) == 1


async def test_what_fails_is_tried_again_under_the_same_id_and_every_attempt_is_logged(
    sub: Subscriber, receiver: Receiver, work: None
) -> None:
    receiver.statuses = [500, 302, 404]
    receiver.headers = {"Location": receiver.url + "/elsewhere"}
    webhook = await sub.webhook(receiver.url)
    told = event(sub.account, contact("a"))
    await sub.writer.write(sub.account, [told])
    for number in range(1, 4):
        await sub.ended(webhook, number)
        await sub.hurry()
    attempts = await sub.ended(webhook, 4)
    assert [(one["outcome"], one["status"], one["error"]) for one in attempts] == [
        ("failed", 500, "status"),
        ("failed", 302, "redirect"),
        ("failed", 404, "status"),
        ("delivered", 204, None),
    ]
    assert [one["number"] for one in attempts] == [1, 2, 3, 4]
    assert all(one["next_attempt_at"] for one in attempts[:3])
    # The redirect was not followed: there was no fifth request.
    assert receiver.ids == [told.id] * 4


async def test_after_the_last_attempt_it_is_given_up(
    sub: Subscriber, receiver: Receiver, work: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "MAX_ATTEMPTS", 2)
    receiver.statuses = [500] * 5
    webhook = await sub.webhook(receiver.url)
    await sub.writer.write(sub.account, [event(sub.account, contact("a"))])
    await sub.ended(webhook, 1)
    await sub.hurry()
    last = (await sub.ended(webhook, 2))[-1]
    assert (last["outcome"], last["next_attempt_at"]) == ("failed", None)
    assert await sub.waiting() == 0


async def test_an_endpoint_that_is_gone_is_disabled_and_goes_on_where_it_was_when_it_is_enabled(
    sub: Subscriber, receiver: Receiver, work: None
) -> None:
    receiver.statuses = [410]
    webhook = await sub.webhook(receiver.url)
    path = f"/v1/webhooks/{webhook['id']}"
    first = event(sub.account, contact("a"))
    await sub.writer.write(sub.account, [first])
    (made,) = await sub.ended(webhook, 1)
    assert (made["outcome"], made["status"]) == ("gone", 410)
    shown = await sub.call("GET", path)
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    await sub.writer.write(sub.account, [event(sub.account, contact("meanwhile"))])
    await sub.hurry()
    assert (await sub.call("PUT", path, json={"enabled": True}))["disabled_reason"] is None
    await sub.ended(webhook, 2)
    assert receiver.ids == [first.id, first.id]


async def test_one_that_does_not_answer_in_time_has_failed(
    sub: Subscriber, receiver: Receiver, gateway: Gateway, nats: Nats
) -> None:
    receiver.behave = for_ever
    webhook = await sub.webhook(receiver.url)
    await sub.writer.write(sub.account, [event(sub.account, contact("a"))])
    async with delivering(gateway.work, nats, timeout=0.3):
        (made,) = await sub.ended(webhook, 1)
    assert (made["status"], made["error"]) == (None, "timeout")


async def test_the_wait_that_an_endpoint_asks_for_is_kept(sub: Subscriber, receiver: Receiver, work: None) -> None:
    receiver.statuses, receiver.headers = [503], {"Retry-After": "3600"}
    webhook = await sub.webhook(receiver.url)
    await sub.writer.write(sub.account, [event(sub.account, contact("a"))])
    (made,) = await sub.ended(webhook, 1)
    assert made["next_attempt_at"][:13] > made["started_at"][:13]


async def test_each_object_s_revisions_arrive_in_order_although_attempts_fail(
    sub: Subscriber, receiver: Receiver, gateway: Gateway, nats: Nats
) -> None:
    """Each version is refused once, and told in the wrong order; others go past."""
    refused: set[str] = set()
    taken: list[dict[str, Any]] = []

    async def stubborn(body: dict[str, Any]) -> web.StreamResponse:
        if body["id"] not in refused:
            refused.add(body["id"])
            return web.Response(status=500)
        taken.append(body)
        return web.Response()

    receiver.behave = stubborn
    webhook = await sub.webhook(receiver.url)
    told = [event(sub.account, contact(name, version)) for version in (2, 1, 4, 3) for name in ("a", "b")]
    await sub.writer.write(sub.account, told)
    async with delivering(gateway.work, nats):

        async def all_taken() -> bool:
            await sub.hurry()
            return len(taken) == len(told)

        await eventually(all_taken, seconds=60)
        await sub.ended(webhook, 2 * len(told))
    assert versions(taken, "a") == versions(taken, "b") == [1, 2, 3, 4]


async def test_what_fails_holds_up_its_own_object_alone(sub: Subscriber, receiver: Receiver, work: None) -> None:
    async def picky(body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=500 if versions([body], "bad") else 200)

    receiver.behave = picky
    webhook = await sub.webhook(receiver.url)
    told = [event(sub.account, contact(name, version)) for version in (1, 2, 3) for name in ("bad", "good")]
    await sub.writer.write(sub.account, told)
    await sub.ended(webhook, 4)
    bodies = [one.body for one in receiver.got]
    assert (versions(bodies, "bad"), versions(bodies, "good")) == ([1], [1, 2, 3])


async def test_an_endpoint_that_is_down_is_asked_with_one_event_and_gets_all_when_it_is_back(
    sub: Subscriber, receiver: Receiver, work: None
) -> None:
    up = False

    async def switched(_: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=200 if up else 503)

    receiver.behave = switched
    webhook = await sub.webhook(receiver.url)
    told = [event(sub.account, contact(f"c{number}")) for number in range(60)]
    await sub.writer.write(sub.account, told)

    async def let_go() -> bool:
        async with sub.gateway.work.across() as tx:
            row = await tx.fetchrow("SELECT holder, failures FROM webhook_queues WHERE account_id = $1", sub.account)
        return row is not None and row["holder"] is None and row["failures"] >= retries.DOWN_AFTER

    await eventually(let_go)
    # Those that were under way when it was found to be down, and probes; not sixty.
    assert len(await sub.attempts(webhook)) < 30
    up = True

    async def all_there() -> bool:
        await sub.hurry()
        return await sub.waiting() == 0

    await eventually(all_there, seconds=60)
    delivered = {one["event_id"] for one in await sub.attempts(webhook, "&outcome=delivered")}
    assert delivered == {one.id for one in told}


async def test_a_slow_endpoint_delays_nobody_else(sub: Subscriber, gateway: Gateway, nats: Nats) -> None:
    async with listening() as slow, listening() as healthy:
        slow.behave = for_ever
        for receiver in (slow, healthy):
            await sub.webhook(receiver.url)
        await sub.writer.write(sub.account, [event(sub.account, contact(f"c{number}")) for number in range(100)])
        async with delivering(gateway.work, nats, timeout=30.0):
            await got(healthy, 100)
        assert len(slow.got) < 100


async def test_an_attempt_that_cannot_be_recorded_is_its_endpoint_s_alone(sub: Subscriber, receiver: Receiver) -> None:
    webhook = await sub.webhook(receiver.url)
    name = ids.decode("whk", webhook["id"]) or ids.new()
    endpoint = Held(sub.account, name, receiver.url, True, 0, ())
    now = datetime.now(UTC)

    def attempt(kind: str) -> Attempt:
        delivery = Delivery(ids.new(), kind, now, 1, b"", 0, True)
        return Attempt(ids.new(), endpoint, delivery, "delivered", 204, None, now, 1, None)

    recorder = Recorder(sub.gateway.work)
    # NUL is no text to Postgres.
    kinds = ("contact.created", "\0", "contact.updated")
    ended = await asyncio.gather(*(recorder.record(attempt(kind)) for kind in kinds), return_exceptions=True)
    assert [isinstance(one, Exception) for one in ended] == [False, True, False]
    assert {one["event_type"] for one in await sub.attempts(webhook)} == {kinds[0], kinds[2]}


async def test_what_is_held_is_renewed_in_the_order_in_which_it_is_filled(
    sub: Subscriber, receiver: Receiver, gateway: Gateway, gateway_urls: databases.Urls
) -> None:
    """Or each would wait for what the other has locked, and one of them would be given up, a second later."""
    webhooks = [await sub.webhook(receiver.url) for _ in range(2)]
    low, high = sorted(ids.decode("whk", one["id"]) or ids.new() for one in webhooks)
    holder = ids.new()
    async with gateway.work.across() as tx:
        # So that a plain update comes to the higher one first.
        for name in (high, low):
            await tx.execute("UPDATE webhook_queues SET holder = $2 WHERE webhook_id = $1", name, holder)
    admin = await asyncpg.connect(gateway_urls.admin)
    lock = "SELECT 1 FROM webhook_queues WHERE webhook_id = $1 FOR UPDATE"

    async def renew() -> list[Held]:
        async with gateway.work.across() as tx:
            return await queue.renew(tx, holder, lease=timedelta(seconds=1))

    async def waits() -> bool:
        return bool(await admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    async with gateway.work.across() as other:
        await other.execute(lock, low)
        renewing = asyncio.create_task(renew())
        await eventually(waits)
        assert await admin.fetchval(f"{lock} SKIP LOCKED", high) == 1
    assert {one.webhook for one in await renewing} == {low, high}
    await admin.close()


async def test_while_a_rotation_overlaps_both_secrets_are_good(sub: Subscriber, receiver: Receiver, work: None) -> None:
    webhook = await sub.webhook(receiver.url)
    rotated = await sub.call("POST", f"/v1/webhooks/{webhook['id']}/rotate-secret", json={})
    await sub.writer.write(sub.account, [event(sub.account, contact("a"))])
    await got(receiver, 1)
    request = receiver.got[0]
    for secret in (webhook["secret"], rotated["secret"]):
        Webhook(secret).verify(request.raw, request.headers)


async def test_a_test_goes_to_this_one_alone(sub: Subscriber, receiver: Receiver, work: None) -> None:
    async with listening() as other:
        webhook, _ = await sub.webhook(receiver.url, event_types=["list.*"]), await sub.webhook(other.url)
        answer = await sub.call("POST", f"/v1/webhooks/{webhook['id']}/test", 202)
        (body,) = await got(receiver, 1)
        assert (body["id"], body["type"], body["data"]) == (answer["event_id"], "webhook.test", {})
        Webhook(webhook["secret"]).verify(receiver.got[0].raw, receiver.got[0].headers)
        (made,) = await sub.ended(webhook, 1)
        assert (made["event_id"], made["position"]) == (answer["event_id"], None)
        assert other.got == []


async def test_an_attempt_can_be_replayed(sub: Subscriber, receiver: Receiver, work: None) -> None:
    webhook = await sub.webhook(receiver.url)
    told = event(sub.account, contact("a", 7))
    await sub.writer.write(sub.account, [told])
    (first,) = await sub.ended(webhook, 1)
    path = f"/v1/webhooks/{webhook['id']}/attempts/{first['id']}/replay"
    assert (await sub.call("POST", path, 202))["event_id"] == told.id
    second = (await sub.ended(webhook, 2))[-1]
    assert (second["event_id"], second["outcome"], second["number"]) == (told.id, "delivered", 1)
    assert receiver.got[0].raw == receiver.got[1].raw
    assert receiver.ids == [told.id] * 2
    async with sub.gateway.work.across() as tx:
        await tx.execute("DELETE FROM feed_events WHERE account_id = $1", sub.account)
    assert (await sub.call("POST", path, 404))["detail"] == "The event of that attempt is no longer kept."


async def test_only_attempts_of_a_kind_are_listed_in_pages(sub: Subscriber, receiver: Receiver, work: None) -> None:
    receiver.statuses = [500]
    webhook = await sub.webhook(receiver.url)
    told = [event(sub.account, contact(f"c{number}")) for number in range(3)]
    await sub.writer.write(sub.account, told)
    await sub.ended(webhook, 3)
    (failed,) = await sub.attempts(webhook, "&outcome=failed")
    assert [one["id"] for one in await sub.attempts(webhook, f"&event_id={failed['event_id']}")] == [failed["id"]]
    path = f"/v1/webhooks/{webhook['id']}/attempts?limit=2"
    first = await sub.call("GET", path)
    rest = await sub.call("GET", f"{path}&cursor={first['next_cursor']}")
    assert [one["id"] for one in first["data"] + rest["data"]] == [one["id"] for one in await sub.attempts(webhook)]
    await sub.call("GET", f"{path}&outcome=failed&cursor={first['next_cursor']}", 400)


async def test_a_deleted_webhook_gets_nothing_more(sub: Subscriber, receiver: Receiver, work: None) -> None:
    receiver.statuses = [500]
    webhook, kept = await sub.webhook(receiver.url), await sub.webhook(receiver.url + "/kept")
    await sub.writer.write(sub.account, [event(sub.account, contact("a"))])
    await sub.ended(webhook, 1)
    await sub.ended(kept, 1)
    await sub.call("DELETE", f"/v1/webhooks/{webhook['id']}", 204)
    async with sub.gateway.work.across() as tx:
        for table in ("webhook_deliveries", "webhook_attempts", "webhook_queues"):
            left = await tx.fetch(f"SELECT DISTINCT webhook_id FROM {table} WHERE account_id = $1", sub.account)
            assert len(left) <= 1, table
    await sub.writer.write(sub.account, [event(sub.account, contact("b"))])
    await sub.hurry()

    async def nothing_waits() -> bool:
        return await sub.waiting() == 0

    await eventually(nothing_waits, seconds=30)
    assert await sub.call("GET", f"/v1/webhooks/{webhook['id']}/attempts", 404)


async def test_an_account_s_events_go_to_its_own_webhooks_alone(
    sub: Subscriber, gateway: Gateway, nats: Nats, receiver: Receiver, work: None
) -> None:
    other = await subscriber(gateway, nats)
    async with listening() as theirs:
        webhook, _ = await sub.webhook(receiver.url), await other.webhook(theirs.url)
        await sub.writer.write(sub.account, [event(sub.account, contact("a"))])
        await sub.ended(webhook, 1)
        # Neither for the other account, nor in this one for an endpoint that is not its own.
        assert await other.waiting() == await sub.waiting() == 0
        assert theirs.got == []


async def test_two_workers_share_the_endpoints_and_deliver_once(sub: Subscriber, gateway: Gateway, nats: Nats) -> None:
    async with listening() as one, listening() as two, delivering(gateway.work, nats), delivering(gateway.work, nats):
        for receiver in (one, two):
            await sub.webhook(receiver.url)
        told = [event(sub.account, contact(f"c{number}")) for number in range(40)]
        for at in range(0, len(told), 4):
            await sub.writer.write(sub.account, told[at : at + 4])
        for receiver in (one, two):
            await got(receiver, len(told))

        async def nothing_waits() -> bool:
            return await sub.waiting() == 0

        await eventually(nothing_waits)
        for receiver in (one, two):
            assert sorted(receiver.ids) == sorted(each.id for each in told)


async def test_a_fault_of_ours_costs_no_attempt_and_is_no_busy_loop(
    sub: Subscriber, receiver: Receiver, gateway: Gateway, nats: Nats
) -> None:
    """The worker has not been given the key yet under which the secret is sealed."""
    webhook = await sub.webhook(receiver.url)
    await sub.writer.write(sub.account, [event(sub.account, contact("a"))])

    async def rests() -> bool:
        async with gateway.work.across() as tx:
            return bool(
                await tx.fetchval(
                    "SELECT holder IS NULL AND due_at > now() + interval '1 second' FROM webhook_queues "
                    "WHERE account_id = $1",
                    sub.account,
                )
            )

    async with delivering(gateway.work, nats, secrets_key=Fernet.generate_key().decode()):
        await eventually(rests)
    assert await sub.attempts(webhook) == []
    await sub.hurry()
    async with delivering(gateway.work, nats):
        (made,) = await sub.ended(webhook, 1)
    assert made["number"] == 1
