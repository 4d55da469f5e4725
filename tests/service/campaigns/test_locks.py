"""Those who lock recipients do not wait for one another in a circle."""

import asyncio
from functools import partial
from typing import Any

import asyncpg
import pytest

from chassis import ids
from chassis.db import WriteTx
from chassis.ids import AccountId
from services.campaigns.domain.recipient import Status
from services.campaigns.domain.sending import Outcome
from services.campaigns.repository import dispatch
from services.campaigns.repository import receipts as receipt_queries
from services.campaigns.work.receipts import ReceiptApplier
from tests.service.campaigns.world import World, phone
from tests.service.stack import eventually

# As another dispatcher leaves it that took over what this one still works on.
GIVEN_UP = """
WITH given_up AS (
  UPDATE recipients SET status = 'uncertain', reason = 'no_answer' WHERE account_id = $1 AND address = $2 RETURNING 1)
UPDATE campaign_stats SET pending = pending - 1, uncertain = uncertain + 1
WHERE account_id = $1 AND EXISTS (SELECT FROM given_up)
"""
# Of everybody, by the recipient's own name.
REPORTED = """
INSERT INTO receipts (account_id, sender_id, provider_message_id, status, reason, at)
SELECT $1, $2, unnest($3::text[]), 'delivered', '', now()
"""


async def names(world: World, account: AccountId) -> dict[str, str]:
    rows = await world.admin("SELECT id, address FROM recipients WHERE account_id = $1", account)
    return {row["address"]: ids.encode("rcp", row["id"]) for row in rows}


async def test_a_late_answer_and_its_receipt(world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a micro-batch was given up meanwhile, and its receipt is applied while the outcomes are written."""
    campaign = await world.ready(account, 2)
    late, applying = phone(0), []

    async def give_up(message: dict[str, Any]) -> tuple[int, dict[str, str]]:
        if message["to"] == late:
            await world.admin(GIVEN_UP, account, late)
            reported = [(await names(world, account))[late]]
            await world.admin(REPORTED, account, ids.decode("sender", campaign.sender_id), reported)
        return 200, {}

    settle = dispatch.settle

    async def settle_and_wait(tx: WriteTx, *rest: Any, **options: Any) -> list[asyncpg.Record]:
        done = await settle(tx, *rest, **options)
        assert len(done) == 1
        applying.append(asyncio.create_task(ReceiptApplier(world.work_db).step()))
        await eventually(partial(world.so_many_wait, 1))
        return done

    monkeypatch.setattr(dispatch, "settle", settle_and_wait)
    world.provider.before = give_up
    await world.start(account, campaign)
    dispatching = asyncio.create_task(world.dispatcher().run())
    try:
        await world.until(account, campaign, lambda found: found.stats.sent == 2)
        (applied,) = applying
        await applied
    finally:
        dispatching.cancel()
        await asyncio.gather(dispatching, return_exceptions=True)
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.delivered, stats.uncertain) == (2, 1, 0)


async def test_answers_and_receipts_of_the_same_recipients(world: World, account: AccountId) -> None:
    """Whoever is second waits for the first recipient that both want, holding none of the others."""
    campaign = await world.ready(account, 2)
    sender_id = ids.decode("sender", campaign.sender_id)
    assert sender_id is not None
    lease, rows = await world.leased(account, campaign)
    async with world.work_db.across() as tx:
        await dispatch.intend(tx, lease, [row["id"] for row in rows], seconds=60)
    first, last = sorted(row["id"] for row in rows)

    async def applied(receipts: Any) -> None:
        async with world.work_db.across() as tx:
            await receipt_queries.lock(tx, receipts, {0: last, 1: first})

    async def settled() -> None:
        async with world.work_db.across() as tx:
            out = [dispatch.Settled(one, Outcome(Status.SENT), answered=True) for one in (last, first)]
            await dispatch.settle(tx, lease, sender_id, out)

    async with world.holding(f"SELECT 1 FROM recipients WHERE id = '{first}' FOR UPDATE"):
        tasks = [asyncio.create_task(one) for one in (applied([{"account_id": account}] * 2), settled())]
        await eventually(partial(world.so_many_wait, 2))
        # Neither has the other recipient.
        await world.admin(f"SELECT 1 FROM recipients WHERE id = '{last}' FOR UPDATE NOWAIT")
    await asyncio.gather(*tasks)
