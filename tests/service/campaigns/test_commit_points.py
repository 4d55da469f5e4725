"""A worker killed, and another one stopped past its lease, between every two commits of a micro-batch.

    lease, permits │ check │ intent │ call │ answer │ outcome │ release │ completed

What became of each recipient is held against the provider's log: nobody has two messages, nobody is left out, and
whoever may or may not have one says so.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.ids import AccountId
from tests.service.campaigns.workers import STARTED, Gate, worker
from tests.service.campaigns.world import World, phone
from tests.service.stack import eventually

# One micro-batch, so that the point is the only one that is reached.
COUNT = 40
Probe = Callable[[], Awaitable[bool]]


class Lock:
    """A row lock of the test's own, which holds the worker where it needs the row."""

    def __init__(self, world: World, sql: str, account: AccountId) -> None:
        self._world, self._sql, self._account = world, sql, account
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def take(self) -> None:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._world.admin_url)
            await self._connection.execute("BEGIN")
            await self._connection.execute(self._sql, self._account)

    async def let_go(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def holds(self, statement: str) -> bool:
        """Whether a worker waits with such a statement."""
        rows = await self._world.admin(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND strpos(query, $1) > 0",
            statement,
        )
        return bool(rows)


@asynccontextmanager
async def before_the_check(world: World, _: AccountId) -> AsyncIterator[Probe]:
    """Leased, permits drawn; contacts has not answered."""
    reached, answered = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await answered.wait()

    async def probe() -> bool:
        return reached.is_set()

    world.contacts.before_check = hold
    yield probe
    world.contacts.before_check = None
    answered.set()


@asynccontextmanager
async def before_the_call(world: World, _: AccountId) -> AsyncIterator[Probe]:
    """The intents are written; the provider has not taken the messages."""
    gate = Gate(COUNT)
    world.provider.before = gate.hold_before
    yield gate.someone
    world.provider.before = None
    gate.opened.set()


@asynccontextmanager
async def before_the_answer(world: World, _: AccountId) -> AsyncIterator[Probe]:
    """The provider has taken the messages and has not said so."""
    gate = Gate(COUNT)
    world.provider.after = gate.hold
    yield gate.someone
    world.provider.after = None
    gate.opened.set()


@asynccontextmanager
async def before_the_outcome(world: World, account: AccountId) -> AsyncIterator[Probe]:
    """The provider has answered; that is not committed."""
    lock = Lock(world, "SELECT 1 FROM campaign_stats WHERE account_id = $1 FOR UPDATE", account)
    await lock.take()

    async def probe() -> bool:
        return await lock.holds("UPDATE campaign_stats")

    yield probe
    await lock.let_go()


@asynccontextmanager
async def before_the_release(world: World, account: AccountId) -> AsyncIterator[Probe]:
    """The outcomes are committed; the chunk is not given back."""
    gate = Gate(COUNT)
    world.provider.after = gate.hold
    lock = Lock(world, "SELECT 1 FROM chunks WHERE account_id = $1 FOR UPDATE", account)

    async def probe() -> bool:
        if await gate.someone():
            # The intents, which need the chunk as well, are written.
            await lock.take()
            gate.opened.set()
        return await lock.holds("SET lease_until = 'epoch'")

    yield probe
    world.provider.after = None
    await lock.let_go()


@asynccontextmanager
async def before_the_end(world: World, account: AccountId) -> AsyncIterator[Probe]:
    """The chunk is done and given back; the campaign is not completed."""
    lock = Lock(world, "SELECT 1 FROM campaigns WHERE account_id = $1 FOR UPDATE", account)
    await lock.take()

    async def probe() -> bool:
        rows = await world.admin("SELECT 1 FROM chunks WHERE account_id = $1 AND NOT done", account)
        return not rows and await lock.holds("SELECT status FROM campaigns")

    yield probe
    await lock.let_go()


POINTS: dict[str, Callable[[World, AccountId], AbstractAsyncContextManager[Probe]]] = {
    "check": before_the_check,
    "call": before_the_call,
    "answer": before_the_answer,
    "outcome": before_the_outcome,
    "release": before_the_release,
    "end": before_the_end,
}
# At these the intents are on record and the outcomes are not: whoever comes next cannot know.
AMBIGUOUS = {"call", "answer", "outcome"}
# At these a worker is in a transaction, with locks that whoever takes over needs.
LOCKING = {"outcome", "end"}
HONOURED = pytest.mark.parametrize("honoured", [True, False], ids=["keys", "no-keys"])


async def cut_off(world: World) -> None:
    """End the stopped worker's transaction, as Postgres does by itself after idle_in_transaction_session_timeout."""
    await eventually(
        lambda: world.admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'idle in transaction'"
        )
    )


async def draft(world: World, account: AccountId, *, honoured: bool) -> pb.Campaign:
    return await world.ready(account, COUNT, "" if honoured else ', "honours_keys": false')


async def audit(world: World, account: AccountId, campaign: pb.Campaign, *, honoured: bool, uncertain: int) -> None:
    stats = await world.check_stats(account, campaign)
    assert (stats.total, stats.pending, stats.sent, stats.uncertain) == (COUNT, 0, COUNT - uncertain, uncertain)
    everybody = {phone(number) for number in range(COUNT)}
    lines = {line.address: line for line in await world.recipients(account, campaign)}
    assert set(lines) == everybody
    accepted = Counter(world.provider.addresses)
    assert max(accepted.values(), default=0) <= 1
    if honoured:
        assert set(accepted) == everybody
    else:
        # Not one call was repeated, as each would have been a message.
        assert max(Counter(message["to"] for message in world.provider.requests).values(), default=0) <= 1
    for address, line in lines.items():
        if line.status == pb.RECIPIENT_STATUS_SENT:
            assert accepted[address] == 1
        else:
            assert (line.status, line.reason) == (pb.RECIPIENT_STATUS_UNCERTAIN, "no_answer")
    ends = await world.admin("SELECT 1 FROM outbox WHERE account_id = $1 AND type = 'campaign.completed'", account)
    assert len(ends) == 1


@HONOURED
@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_a_commit_point(
    world: World, account: AccountId, environment: dict[str, str], point: str, honoured: bool
) -> None:
    campaign = await draft(world, account, honoured=honoured)
    await world.start(account, campaign)
    async with POINTS[point](world, account) as reached, worker(environment) as process:
        await eventually(reached, seconds=STARTED)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=STARTED)
    uncertain = COUNT if point in AMBIGUOUS and not honoured else 0
    await audit(world, account, campaign, honoured=honoured, uncertain=uncertain)


@HONOURED
@pytest.mark.parametrize("point", POINTS)
async def test_stopped_past_its_lease_at_a_commit_point(
    world: World, account: AccountId, environment: dict[str, str], point: str, honoured: bool
) -> None:
    """Another worker takes over and ends the campaign; then the first one wakes up and goes on where it was.

    Locks that it held when it was stopped are taken from it: at one of the points after the seconds that it takes.
    """
    campaign = await draft(world, account, honoured=honoured)
    await world.start(account, campaign)
    async with worker(environment) as process:
        async with POINTS[point](world, account) as reached:
            await eventually(reached, seconds=STARTED)
            process.send_signal(signal.SIGSTOP)
        if point in LOCKING and (point, honoured) != ("outcome", True):
            await cut_off(world)
        async with world.working():
            await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=STARTED)
            process.send_signal(signal.SIGCONT)
            # What it hears now of messages that were given up is taken for what it is.
            await world.until(account, campaign, lambda found: found.stats.uncertain == 0, seconds=STARTED)
        process.send_signal(signal.SIGTERM)
        await process.wait()
    await audit(world, account, campaign, honoured=honoured, uncertain=0)


@HONOURED
async def test_one_of_two_dispatchers_killed(
    world: World, account: AccountId, environment: dict[str, str], honoured: bool
) -> None:
    whole = 400
    campaign = await world.ready(account, whole, "" if honoured else ', "honours_keys": false')
    gate = Gate()
    world.provider.after = gate.hold
    await world.start(account, campaign)
    async with worker(environment) as killed:
        await eventually(gate.someone, seconds=STARTED)
        async with worker(environment):
            killed.send_signal(signal.SIGKILL)
            await killed.wait()
            gate.opened.set()
            world.provider.after = None
            await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=STARTED)
    stats = await world.check_stats(account, campaign)
    assert stats.sent + stats.uncertain == whole
    assert (stats.uncertain == 0) is honoured
    accepted = Counter(world.provider.addresses)
    assert set(accepted.values()) == {1}
    calls = Counter(message["to"] for message in world.provider.requests)
    if honoured:
        assert len(accepted) == whole
    else:
        assert max(calls.values()) == 1
        sent = {
            line.address
            for line in await world.recipients(account, campaign)
            if line.status == pb.RECIPIENT_STATUS_SENT
        }
        assert sent <= set(accepted)
