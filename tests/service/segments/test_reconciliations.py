"""Who reconciles when: the slow loop of `work`, the command, and what is left when one of them is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
import pytest_asyncio

from chassis import ids
from chassis.ids import AccountId
from services.segments import builder, builds, reconciliations
from services.segments.evaluation import MAX_BATCH, Evaluator
from services.segments.lanes import Lanes
from services.segments.reconcile import Place, Reconciler
from services.segments.reconciliations import Lost
from services.segments.reconciling import POLL_SECONDS, Reconciliation
from tests.service.segments.contacts_there import There, source
from tests.service.segments.test_processes import ROOT, START_SECONDS, ops, process
from tests.service.stack import eventually, free_port, new_account

INTERVAL = timedelta(hours=6)
PAUSE = 5.0
CROWD = 2 * MAX_BATCH + 100


@pytest_asyncio.fixture(autouse=True)
async def nobody_else(work_db):
    """Loops and commands work on all accounts: those of other tests would be among them."""
    async with work_db.across() as tx:
        for table in ("builds", "contacts_projection", "members", "rule_sets", "reconciliations"):
            await tx.execute(f"DELETE FROM {table} WHERE account_id IS NOT NULL")


@pytest_asyncio.fixture
async def there(account):
    return There(account)


@pytest_asyncio.fixture
async def target(there, keys):
    async with there.serving(keys) as address:
        yield address


@pytest_asyncio.fixture
async def make_worker(work_db, target, keys):
    async with AsyncExitStack() as stack:

        async def make() -> Reconciliation:
            async def behind() -> bool:
                return False

            found = await stack.enter_async_context(source(target, keys))
            reconciler = Reconciler(work_db, found, Evaluator(work_db), Lanes(), behind=behind)
            return Reconciliation(work_db, reconciler, interval=INTERVAL, pause=PAUSE)

        yield make


@pytest_asyncio.fixture
async def crowd(there, api, work_db):
    """More than two chunks of members."""
    segment = await api.create()
    while claimed := await builds.claim(work_db):
        await builder.work(work_db, claimed)
    people = [there.add(tags=["premium"]) for _ in range(CROWD)]
    await there.tell(Evaluator(work_db), *people)
    assert (await api.get(segment.id)).member_count == CROWD
    return sorted(people, key=lambda one: one.id)


async def forget(work_db, account, *contacts):
    """As if they had never been told of; the count stays."""
    async with work_db.write(account) as tx:
        for table in ("contacts_projection", "members"):
            await tx.execute(
                f"DELETE FROM {table} WHERE account_id = $1 AND contact_id = ANY ($2::uuid[])",
                account,
                [ids.decode("cnt", one.id) for one in contacts],
            )


async def kept(work_db, account):
    async with work_db.read(account) as tx:
        return await tx.fetchrow("SELECT * FROM reconciliations WHERE account_id = $1", account)


async def known(work_db, account) -> int:
    async with work_db.read(account) as tx:
        return await tx.fetchval("SELECT count(*) FROM contacts_projection WHERE account_id = $1", account)


async def lease_runs_out(work_db, account):
    async with work_db.write(account) as tx:
        await tx.execute("UPDATE reconciliations SET lease_until = now() WHERE account_id = $1", account)


async def test_a_worker_goes_over_an_account_in_steps_with_rests_and_then_lets_it_be(
    make_worker, crowd, there, work_db, account
):
    worker = await make_worker()

    rests = [await worker.run_once() for _ in range(4)]

    assert rests == [PAUSE, PAUSE, PAUSE * 100 / MAX_BATCH, 0.0]
    assert there.asked == ["", crowd[MAX_BATCH - 1].id, crowd[2 * MAX_BATCH - 1].id]
    row = await kept(work_db, account)
    assert (row["position"], row["counting"], row["lease_until"]) == (None, False, None)
    assert timedelta(hours=5) < row["next_at"] - row["finished_at"] < timedelta(hours=7)
    assert await worker.run_once() == POLL_SECONDS
    async with work_db.write(account) as tx:
        await tx.execute("UPDATE reconciliations SET next_at = now() WHERE account_id = $1", account)
    assert await worker.run_once() == PAUSE


async def test_what_is_wrong_is_put_right_without_rests(make_worker, crowd, work_db, account):
    worker = await make_worker()
    await forget(work_db, account, crowd[0], crowd[-1])

    assert [await worker.run_once() for _ in range(4)] == [0.0, PAUSE, 0.0, 0.0]


async def test_a_killed_worker_costs_a_step(make_worker, crowd, there, work_db, account):
    first, second = await make_worker(), await make_worker()
    await first.run_once()
    there.pages = 0
    killed = asyncio.create_task(first.run_once())

    async def asked_twice():
        return len(there.asked) == 2

    await eventually(asked_twice)
    killed.cancel()
    # Its lease keeps others off until it runs out.
    assert await second.run_once() == POLL_SECONDS
    await lease_runs_out(work_db, account)
    there.pages = 10

    await second.run_once()

    assert there.asked == ["", crowd[MAX_BATCH - 1].id, crowd[MAX_BATCH - 1].id]


async def test_one_process_has_an_account_at_a_time(work_db):
    accounts = [new_account() for _ in range(3)]
    async with work_db.across() as tx:
        for one in accounts:
            await tx.execute("INSERT INTO reconciliations (account_id, next_at) VALUES ($1, now())", one)

    claimed = await asyncio.gather(*(reconciliations.claim(work_db) for _ in range(8)))

    assert sorted(one.account for one in claimed if one is not None) == sorted(accounts)
    assert await reconciliations.begin(work_db, accounts[0]) is None


async def test_who_lost_its_lease_records_nothing(work_db, account):
    slow = await reconciliations.begin(work_db, account)
    await lease_runs_out(work_db, account)
    fast = await reconciliations.begin(work_db, account)
    assert slow is not None
    assert fast is not None

    with pytest.raises(Lost):
        await reconciliations.advance(work_db, slow, Place(position=ids.new()), keep=True)
    with pytest.raises(Lost):
        await reconciliations.finish(work_db, slow, again_in=INTERVAL)
    assert (await kept(work_db, account))["position"] is None


@pytest.fixture
def env(urls, broker, keys, target):
    return {
        "CARILLON_DATABASE_URL": urls.work,
        "CARILLON_NATS_URL": broker.url,
        "CARILLON_CONTACTS_TARGET": target,
        "CARILLON_TOKEN_PRIVATE_KEY": keys.private["segments"],
        "CARILLON_TOKEN_PUBLIC_KEYS": json.dumps(keys.public),
    }


def command(env, *args):
    path = os.pathsep.join([str(ROOT), str(ROOT / "libs"), str(ROOT / "libs" / "protos")])
    return subprocess.Popen(
        [sys.executable, "-m", "services.segments", "reconcile", *args],
        env={**os.environ, "PYTHONPATH": path, **env},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def public(account: AccountId) -> str:
    return ids.encode("acct", account)


async def test_the_command_repairs_and_says_what(env, crowd, there, work_db, account):
    await forget(work_db, account, crowd[3], crowd[-1])
    there.change(crowd[5], tags=[], ago=timedelta(0))

    running = command(env, "--account", public(account))
    said, _ = await asyncio.to_thread(running.communicate, timeout=60)

    assert running.returncode == 0, said
    assert f"done: {CROWD} contacts looked at, repaired: 2 contact, 1 count" in said
    assert "1 changes of contacts were not here yet" in said
    assert await known(work_db, account) == CROWD
    # All accounts, which is this one.
    again = command(env)
    said, _ = await asyncio.to_thread(again.communicate, timeout=60)
    assert (again.returncode, f"done: {CROWD} contacts looked at, repaired: nothing" in said) == (0, True), said


async def test_the_command_refuses_what_is_no_account(env):
    running = command(env, "--account", "cnt_x")
    said, _ = await asyncio.to_thread(running.communicate, timeout=60)

    assert running.returncode == 2
    assert "--account" in said


async def test_the_command_says_so_when_the_contacts_service_is_away(env, account):
    running = command({**env, "CARILLON_CONTACTS_TARGET": "127.0.0.1:1"}, "--account", public(account))
    said, _ = await asyncio.to_thread(running.communicate, timeout=60)

    assert running.returncode == 1
    assert "stopped: " in said
    assert "Traceback" not in said


async def test_a_killed_command_is_gone_on_with_by_the_worker(make_worker, env, crowd, there, work_db, account):
    await forget(work_db, account, *crowd[::2])
    there.pages = 1
    running = command(env, "--account", public(account))

    async def halfway():
        return len(there.asked) == 2

    await eventually(halfway, seconds=START_SECONDS)
    running.send_signal(signal.SIGKILL)
    await asyncio.to_thread(running.communicate)
    assert await known(work_db, account) == CROWD // 2 + MAX_BATCH // 2
    there.pages = 10
    worker = await make_worker()
    await lease_runs_out(work_db, account)

    while (await kept(work_db, account))["finished_at"] is None:
        await worker.run_once()

    assert there.asked[1:] == [crowd[MAX_BATCH - 1].id, crowd[MAX_BATCH - 1].id, crowd[2 * MAX_BATCH - 1].id]
    assert await known(work_db, account) == CROWD


async def test_work_does_it_by_itself(env, crowd, there, api, work_db, account):
    await forget(work_db, account, crowd[0])
    port = free_port()

    async def repaired():
        return 'carillon_segments_repaired_total{what="contact"} 1.0' in (await ops(port, "/metrics"))[1]

    with process("work", port, {**env, "CARILLON_RECONCILE_PAUSE_SECONDS": "0"}):
        await eventually(repaired, seconds=START_SECONDS)

    assert await known(work_db, account) == CROWD
