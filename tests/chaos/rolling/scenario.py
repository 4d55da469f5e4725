"""One run: all components deployed, clients at work, every component replaced one after the other; then the audit."""

import asyncio
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import nats

from chassis import ids
from deploy.local import stack as local_stack
from deploy.local.demo import contacts_csv
from deploy.local.demo.carrier_log import Witness
from deploy.local.demo.contacts_csv import PREMIUM
from deploy.local.demo.rest import Rest, control
from deploy.local.demo.verdict import Check, equal, none
from tests.chaos import audit as common
from tests.chaos.history import History
from tests.chaos.rolling import audit
from tests.chaos.rolling.endpoints import Endpoints, Front, front, names
from tests.chaos.rolling.load import Book, Client, Editor, Follower, Importer, Reader, Receiver, Subscriber
from tests.chaos.rolling.pods import Cluster, cluster
from tests.throwaway_stack import ThrowawayStack

BODY = "{{{{ code }}}} ({mark})"
SETTLE_SECONDS = 60.0
# So slow that calls are under way at any moment; and it takes no keys: whoever breaks a call off leaves a recipient of
# whom nobody knows whether it was written to, and whoever repeats one writes twice.
CARRIER: dict[str, object] = {"delay_ms": 500, "honour_keys": False, "receipts": "auto", "receipt_failed_rate": 0.05}
# Who sends and whom it asks come first, while the campaign runs.
ORDER = (
    "campaigns-work", "contacts", "campaigns", "gateway", "segments", "contacts-work", "segments-work", "gateway-work",
)  # fmt: skip
HALF = len(ORDER) // 2


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    # About so many; the contacts' generator draws them.
    recipients: int
    # Messages a second; with the recipients this decides how long the campaign runs.
    rate: int
    replicas: int = 1
    # How often every component is replaced.
    rounds: int = 1
    editors: int = 3
    readers: int = 2
    # Between the services; every certificate is renewed in the middle.
    tls: bool = True


@dataclass(slots=True)
class Run:
    scenario: Scenario
    stack: ThrowawayStack
    cluster: Cluster
    history: History
    rest: Rest
    book: Book
    contacts: contacts_csv.Book
    witness: Witness
    receiver: Receiver
    subscriber: Subscriber
    # Of the feed, when the webhook was there and nothing had happened.
    began: int = 0
    segment_id: str = ""
    campaign_id: str = ""


async def play(scenario: Scenario, stack: ThrowawayStack, history: History) -> list[Check]:
    """Every check, held or not. stack: of which only the infrastructure runs. Raises pods.Stuck."""
    await asyncio.to_thread(local_stack.prepare_databases, stack.home, stack.known)
    key = await asyncio.to_thread(stack.create_account, f"rolling {scenario.seed}")
    async with deployed(scenario, stack, history) as (made, gate):
        history.add("deployed", replicas=scenario.replicas)
        mark = f"ref {secrets.token_hex(4)}"
        file = stack.home.folder / "demo" / "rolling.csv"
        rows = int(scenario.recipients / contacts_csv.PREMIUM_SHARE)
        contacts = contacts_csv.write(file, rows=rows, seed=scenario.seed)
        witness = Witness(stack.home.carrier, mark)
        async with AsyncExitStack() as open_ones:
            await open_ones.enter_async_context(control(stack.carrier_url, CARRIER))
            rest = await open_ones.enter_async_context(Rest(stack.url, key))
            receiver, subscriber = Receiver(), Subscriber()
            await receiver.start()
            open_ones.push_async_callback(receiver.stop)
            await subscriber.start(stack.nats_url)
            open_ones.push_async_callback(subscriber.stop)
            book = Book()
            run = Run(scenario, stack, made, history, rest, book, contacts, witness, receiver, subscriber)
            await prepare(run, mark=mark, file=file)
            follower = await under_load(run, key)
            return [*await judge(run, follower), equal("connections that found no gateway", gate.refused, 0)]


@asynccontextmanager
async def deployed(scenario: Scenario, stack: ThrowawayStack, history: History) -> AsyncIterator[tuple[Cluster, Front]]:
    endpoints = Endpoints()
    async with (
        names(endpoints) as port,
        cluster(stack, endpoints, history, names_port=port, tls=scenario.tls) as made,
        front(endpoints, stack.known.gateway_port, Random(scenario.seed)) as gate,
    ):
        await made.deploy(replicas=scenario.replicas)
        yield made, gate


async def prepare(run: Run, *, mark: str, file: Path) -> None:
    """Webhook, contacts, segment, sender, template, campaign; starts it."""
    rest = run.rest
    await rest.post("/v1/webhooks", {"url": run.receiver.url})
    run.began = (await pages(rest, after=0))[1]
    await rest.upload("/v1/contacts/import", file, on_bytes=lambda done, size: None)
    conditions = [{"field": "tags", "operator": "contains", "value": PREMIUM}]
    segment = await rest.post("/v1/segments", {"name": "Premium", "conditions": conditions})
    run.segment_id = segment["id"]
    await until("the segment's members", lambda: has_members(run, run.contacts.premium_members))
    sender = await rest.post(
        "/v1/senders",
        {
            "name": "rolling",
            "channel": "sms",
            "address": "ROLL",
            "provider": "http",
            "settings": {"url": f"{run.stack.carrier_url}/messages", "honours_keys": False},
        },
    )
    template = await rest.post("/v1/templates", {"name": "rolling", "channel": "sms", "body": BODY.format(mark=mark)})
    campaign = await rest.post(
        "/v1/campaigns",
        {
            "name": "rolling",
            "template_id": template["id"],
            "sender_id": sender["id"],
            "segment_id": run.segment_id,
            "rate_limit_per_second": run.scenario.rate,
        },
    )
    run.campaign_id = campaign["id"]
    await rest.post(f"/v1/campaigns/{run.campaign_id}/start")
    await until("the first messages", lambda: has_sent(run))
    run.history.add("started", recipients=len(run.contacts.premium_codes))


async def under_load(run: Run, key: str) -> Follower:
    """Every component replaced, in turn, while all clients are at work."""
    scenario, stop = run.scenario, asyncio.Event()
    paths = [
        "/v1/contacts?limit=20",
        f"/v1/segments/{run.segment_id}/members?limit=20",
        f"/v1/campaigns/{run.campaign_id}",
        f"/v1/campaigns/{run.campaign_id}/recipients?limit=20",
        "/v1/events?after=0&limit=5",
        "/v1/webhooks",
    ]
    clients = [Client(run.stack.url, key, run.book) for _ in range(scenario.editors + scenario.readers + 2)]
    of_editors, of_readers = clients[: scenario.editors], clients[scenario.editors : -2]
    follower = Follower(clients[-1], after=run.began)
    loops: list[Editor | Reader | Importer] = [
        *(Editor(one, Random(f"{scenario.seed} {number}")) for number, one in enumerate(of_editors)),
        *(Reader(one, paths) for one in of_readers),
        Importer(clients[-2]),
    ]
    following = asyncio.create_task(follower.run())
    working = [asyncio.create_task(loop.run(stop)) for loop in loops]
    try:
        for _ in range(scenario.rounds):
            await run.cluster.roll(ORDER[:HALF])
            if scenario.tls:
                run.cluster.renew()
            await run.cluster.roll(ORDER[HALF:])
        stop.set()
        await asyncio.gather(*working)
        run.history.add(
            "replaced all",
            calls=run.book.calls,
            slowest_seconds=round(run.book.slowest, 2),
            imported=run.book.imported,
        )
        await settle(run, follower)
    finally:
        for task in (following, *working):
            task.cancel()
        await asyncio.gather(following, *working, return_exceptions=True)
        for one in clients:
            await one.session.close()
    run.history.add("settled", streams=follower.streams, events=len(follower.positions))
    return follower


async def settle(run: Run, follower: Follower) -> None:
    """Waits for the end of the campaign, its receipts, the segment and the events; the audit tells what is missing."""
    try:
        await until("the campaign's end", lambda: is_over(run))
        await until("all events everywhere", lambda: is_quiet(run, follower))
        if run.scenario.tls:
            await until("all certificates", run.cluster.have_renewed)
    except TimeoutError as error:
        run.history.add("gave up", waiting_for=str(error))
    await run.witness.wait_for_receipts(len(run.contacts.premium_codes), seconds=5.0)


async def judge(run: Run, follower: Follower) -> list[Check]:
    by_rule, existing = await contacts_by_rule(run)
    members = await members_of(run)
    segment = await run.rest.get(f"/v1/segments/{run.segment_id}")
    campaign = await run.rest.get(f"/v1/campaigns/{run.campaign_id}")
    run.witness.look()
    events = (await pages(run.rest, after=run.began))[0]
    run.history.add("failed", calls=run.book.failed[:20])
    run.history.add("warned", events=dict(warnings(run.stack)))
    wrong = errors(run.stack)
    run.history.add("logged errors", events=dict(wrong))
    return [
        none("failed requests and broken connections", run.book.failed),
        none("processes that ended badly", run.cluster.ended_badly),
        none("errors logged", list(wrong.elements())),
        *common.sending(campaign, run.witness, expected=run.contacts.premium_codes),
        none("calls to the carrier that were made again", [one.key for one in run.witness.accepted if one.duplicate]),
        *common.membership(members, by_rule, count=segment["member_count"]),
        *common.acknowledged(run.book.premium, run.book.deleted, by_rule=by_rule, existing=existing),
        *audit.events(
            events,
            versions=run.book.versions,
            deleted=run.book.deleted,
            imported=run.contacts.imported + run.book.imported,
            followed=follower.positions,
            received=run.receiver.ids,
            heard=run.subscriber.ids,
            anything=[str(event_id) for _, event_id in await feed(run)],
        ),
        equal("dead letters", await dead_letters(run), 0),
        *([equal("the renewed certificates are in use", await run.cluster.have_renewed(), True)] * run.scenario.tls),
    ]


async def until(what: str, done: Callable[[], Awaitable[bool]]) -> None:
    """Raises TimeoutError, saying what for, after SETTLE_SECONDS."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not await done():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.1)


async def has_members(run: Run, count: int) -> bool:
    segment = await run.rest.get(f"/v1/segments/{run.segment_id}")
    return bool(segment["status"] == "ready" and segment["member_count"] == count)


async def has_sent(run: Run) -> bool:
    return run.witness.look() > 0


async def is_over(run: Run) -> bool:
    campaign = await run.rest.get(f"/v1/campaigns/{run.campaign_id}")
    stats = campaign["stats"]
    return bool(campaign["status"] == "completed" and stats["delivered"] + stats["failed"] == stats["sent"])


async def is_quiet(run: Run, follower: Follower) -> bool:
    """Nothing waits in an outbox, and the feed, its follower and the webhook have all that was published."""
    for service in ("contacts", "segments", "campaigns", "gateway"):
        connection = await asyncpg.connect(run.stack.database_url(service))
        try:
            if await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL"):
                return False
        finally:
            await connection.close()
    rows = await feed(run)
    last = max(position for position, _ in rows)
    if not follower.positions or follower.positions[-1] < last:
        return False
    told = {str(event_id) for position, event_id in rows if position > run.began}
    return set(run.subscriber.ids) <= {str(event_id) for _, event_id in rows} and told <= set(run.receiver.ids)


async def feed(run: Run) -> list[tuple[int, UUID]]:
    """(position, id) of every event, straight from the database: to read them all over the API takes seconds."""
    connection = await asyncpg.connect(run.stack.database_url("gateway"))
    try:
        return [tuple(row) for row in await connection.fetch("SELECT position, id FROM feed_events")]
    finally:
        await connection.close()


async def pages(rest: Rest, *, after: int) -> tuple[list[dict[str, Any]], int]:
    """All events behind the position, and the last position."""
    found: list[dict[str, Any]] = []
    while True:
        page = await rest.get("/v1/events", after=str(after), limit="100")
        found += page["data"]
        after = page["next_after"]
        if not page["has_more"]:
            return found, after


async def members_of(run: Run) -> list[str]:
    found: list[str] = []
    query = {"limit": "100"}
    while True:
        page = await run.rest.get(f"/v1/segments/{run.segment_id}/members", **query)
        found += [member["contact"]["id"] for member in page["data"]]
        if not page["has_more"]:
            return found
        query["cursor"] = page["next_cursor"]


async def contacts_by_rule(run: Run) -> tuple[set[str], set[str]]:
    """(ids of the contacts that have the tag, ids of all), straight from the database: there is one account."""
    connection = await asyncpg.connect(run.stack.database_url("contacts"))
    try:
        rows = await connection.fetch("SELECT id, $1 = ANY(tags) AS premium FROM contacts", PREMIUM)
    finally:
        await connection.close()
    by_id = {ids.encode("cnt", row["id"]): row["premium"] for row in rows}
    return {contact_id for contact_id, premium in by_id.items() if premium}, set(by_id)


async def dead_letters(run: Run) -> int:
    client = await nats.connect(run.stack.nats_url)
    try:
        return (await client.jetstream().stream_info("DEAD")).state.messages
    finally:
        await client.close()


def errors(stack: ThrowawayStack) -> Counter[str]:
    """What the pods logged at a level of which somebody is told."""
    return logged(stack, {"error", "critical"})


def warnings(stack: ThrowawayStack) -> Counter[str]:
    return logged(stack, {"warning"})


def logged(stack: ThrowawayStack, levels: set[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in (stack.home.folder / "logs").glob("*-[0-9]*.log"):
        for line in path.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                if line.startswith("Traceback"):
                    found[f"{path.stem}: {line}"] += "error" in levels
                continue
            if isinstance(entry, dict) and entry.get("level") in levels:
                found[f"{path.stem}: {entry.get('event')}"] += 1
    return +found
