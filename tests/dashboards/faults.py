"""What breaks: providers, Postgres, NATS, processes, events that nobody can handle, data that is wrong."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from chassis.consumer import DEAD_LIMIT
from chassis.group_commit import MAX_WAITING_BYTES
from chassis.nats import EVENTS, Nats
from deploy.local import identity, plan, readiness
from services.gateway.routes import JSON_LIMIT_BYTES
from tests.dashboards.scene import Scene, make_segment
from tests.e2e.client import eventually
from tests.throwaway_stack import ThrowawayStack


async def inject(scene: Scene) -> None:
    await asyncio.gather(providers(scene), build_that_fails(scene))
    await asyncio.gather(nobody_works(scene), nats_that_hangs(scene), more_receipts_than_fit(scene))
    await contacts_away(scene)
    await cancelled_statement(scene)
    await postgres_away(scene)
    await wrong_data(scene)
    await poison(scene)


async def providers(scene: Scene) -> None:
    """Refusing, throttling, away, losing answers: each until it was seen."""
    behaviours: dict[str, dict[str, Any]] = {
        "refused": {"error_rate": 0.5, "error_status": 400},
        "throttled": {"error_rate": 0.1, "error_status": 429, "retry_after": 1},
        "unavailable": {"error_rate": 0.5, "error_status": 503, "retry_after": None},
        "unanswered": {"error_rate": 0, "reset_after_accept_rate": 0.5},
    }
    for answer, control in behaviours.items():
        await scene.carrier.behave(**control)
        await scene.start_campaign(answer)
        await scene.seen(f'rate(carillon_campaigns_attempts_total{{answer="{answer}"}}[8s]) > 0')
    await scene.carrier.behave(error_rate=0, reset_after_accept_rate=0)


async def build_that_fails(scene: Scene) -> None:
    """For want of a right on a table, as after a restore by the wrong role."""
    async with changing(scene.stack.database_url("segments")) as segments:
        await segments.execute("REVOKE INSERT ON members FROM segments_work")
        await make_segment(scene.api, "Denied", field="tags", operator="contains", value="crowd")
        await scene.seen("increase(carillon_segments_build_failures_total[1h]) > 0")
        await segments.execute("GRANT INSERT ON members TO segments_work")


async def more_receipts_than_fit(scene: Scene) -> None:
    """While campaigns hangs, the gateway keeps some of what providers post, and refuses the rest at once."""
    body = b'{"receipts": [], "more": "%s"}' % (b"x" * (JSON_LIMIT_BYTES - 100))

    async def post() -> int:
        return (await scene.api.call("POST", f"{scene.hook}/receipts", data=body)).status

    with stopped(scene.stack.pid("campaigns")):
        posts = [asyncio.create_task(post()) for _ in range(MAX_WAITING_BYTES // len(body) + 5)]
        await scene.seen("rate(carillon_gateway_receipts_refused_total[8s]) > 0")
    assert set(await asyncio.gather(*posts)) == {200, 503}


async def nobody_works(scene: Scene) -> None:
    """An export and a build that are passed over, as if nobody had come to them yet."""
    again = "UPDATE exports SET status = 'queued', lease_until = now() + interval '1 s'"
    async with changing(scene.stack.database_url("segments")) as segments:
        await segments.execute(
            "UPDATE builds SET state = 'building', lease_until = now() + interval '1 h' "
            "WHERE id = (SELECT id FROM builds ORDER BY created_at DESC LIMIT 1)"
        )
    async with held(scene.stack.database_url("contacts"), again, "SELECT FROM exports FOR UPDATE"):
        await scene.seen("carillon_contacts_stalled_seconds > 0")
        await scene.seen('carillon_segments_oldest_seconds{what="building"} > 0')


@asynccontextmanager
async def held(database: str, change: str, rows: str) -> AsyncIterator[None]:
    """Changed for everybody, and then locked, so that workers pass the rows over."""
    connection = await asyncpg.connect(database)
    try:
        if change:
            await connection.execute(change)
        async with connection.transaction():
            await connection.execute(rows)
            yield
    finally:
        await connection.close()


async def nats_that_hangs(scene: Scene) -> None:
    """Until events were not acknowledged in time; then it is away for as long as nobody starts it again."""
    with stopped(scene.stack.pid("nats")):
        (await scene.api.post("/v1/contacts", {"phone": "+14158880011"})).ok(201)
        await scene.seen("carillon_outbox_oldest_seconds > 0")
        await scene.seen("carillon_outbox_publish_failures_total > 0")
    supervisor = identity.read(scene.stack.home.record("supervisor"))
    assert supervisor is not None
    with stopped(supervisor.identity.pid):
        os.kill(scene.stack.pid("nats"), signal.SIGKILL)
        await scene.seen("count(carillon_nats_connected == 0) > 0")
    await back(scene.stack, "nats")


async def contacts_away(scene: Scene) -> None:
    """For longer than the acknowledgement of a reply waits for it, and than a call may take."""
    with stopped(scene.stack.pid("contacts")):
        reading = asyncio.create_task(scene.api.get("/v1/contacts"))
        (await scene.reply("Stop", id="away")).refused(503, "unavailable")
        await scene.seen('carillon_gateway_requests_total{status="503"} > 0')
        (await scene.reply("Stop", id="away")).refused(503, "unavailable")
    (await reading).ok()


async def cancelled_statement(scene: Scene) -> None:
    """As an administrator does with one that holds others up."""
    (contact,) = (await scene.api.get("/v1/contacts?limit=1")).ok()["data"]
    database = scene.stack.database_url("contacts")
    async with held(database, "", "SELECT FROM contacts FOR UPDATE"), changing(database) as administrator:
        body = {"first_name": "Bob"}
        writing = asyncio.create_task(scene.api.call("PATCH", f"/v1/contacts/{contact['id']}", json=body))

        async def cancelled() -> int:
            return len(
                await administrator.fetch(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = 'contacts' AND usename = 'contacts_serve' AND wait_event_type = 'Lock'"
                )
            )

        await eventually(cancelled)
    assert (await writing).status == 500
    await scene.seen('sum(carillon_db_errors_total{kind="timeout"}) > 0')


async def postgres_away(scene: Scene) -> None:
    """Twice, and each time while an event comes, which then comes again."""
    nats = Nats(scene.stack.nats_url, "again")
    await nats.start()
    event = await nats.jetstream.get_last_msg(EVENTS, "events.contact.updated.*")
    headers = {name: value for name, value in (event.headers or {}).items() if name != "Nats-Msg-Id"}
    for turn in (1, 2):
        os.kill(scene.stack.pid("postgres"), signal.SIGKILL)
        await nats.jetstream.publish(event.subject or "", event.data or b"", headers=headers, stream=EVENTS)
        await scene.api.post("/v1/contacts", {"phone": f"+1415888002{turn}"})
        await back(scene.stack, "postgres")
        await scene.seen(f'sum(carillon_db_errors_total{{kind="unreachable"}}) >= {turn}')
    await nats.stop()
    await eventually(lambda: scene.api.get("/v1/contacts"), lambda found: found.status == 200)


async def wrong_data(scene: Scene) -> None:
    """A member too few and a wrong sum, found by processes that start anew; campaigns that are held and forgotten."""
    stack = scene.stack
    await scene.start_campaign("Forgotten", rate_limit_per_second=1)
    async with changing(stack.database_url("segments")) as segments:
        await segments.execute("DELETE FROM members WHERE contact_id = (SELECT contact_id FROM members LIMIT 1)")
    async with changing(stack.database_url("campaigns")) as campaigns:
        await campaigns.execute("UPDATE campaign_stats SET sent = sent + 1, total = total + 1 WHERE sent > 0")
        await campaigns.execute(
            "UPDATE campaigns SET status = 'paused', status_reason = 'provider_unavailable' WHERE status = 'completed'"
        )
    for name in ("segments-work", "campaigns-work"):
        os.kill(stack.pid(name), signal.SIGKILL)
    async with changing(stack.database_url("campaigns")) as campaigns:
        # No worker finds it without its sender, and none has it in hand any more.
        await campaigns.execute("UPDATE campaigns SET sender_id = gen_random_uuid() WHERE name = 'Forgotten'")
        await campaigns.execute("UPDATE chunks SET lease_until = 'epoch'")
        await campaigns.execute("UPDATE campaign_minutes SET minute = minute - interval '1 h'")
    for name in ("segments-work", "campaigns-work"):
        await back(stack, name)
    await scene.seen("sum(carillon_segments_repaired_total) > 0 and sum(carillon_campaigns_repaired_total) > 0")
    await scene.seen('carillon_campaigns_open{state="held"} > 0 and on () carillon_campaigns_stalled_seconds > 0')


@asynccontextmanager
async def changing(database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database)
    try:
        yield connection
    finally:
        await connection.close()


async def poison(scene: Scene) -> None:
    """Many more events that are none than stop a consumer."""
    nats = Nats(scene.stack.nats_url, "poison")
    await nats.start()
    for _ in range(DEAD_LIMIT * 5):
        await nats.jetstream.publish("events.contact.updated.nobody", b"", stream=EVENTS)
    await nats.stop()
    await scene.seen("carillon_consumer_stopped == 1 and on () carillon_consumer_dead_letters > 0")
    await scene.seen('carillon_consumer_pending{durable=~"segments-.*"} > 0')


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """As a process that hangs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def back(stack: ThrowawayStack, name: str) -> None:
    spec = plan.read(stack.home).specs[name]

    async def problem() -> str | None:
        return await asyncio.to_thread(readiness.problem, spec)

    await eventually(problem, lambda found: found is None)
