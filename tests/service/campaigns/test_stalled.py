"""`carillon_campaigns_stalled_seconds`: a campaign with work that is due and that makes no step shows.

Campaigns of other tests may lie about; none is an hour old.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.ids import AccountId
from chassis.watch import Watch
from services.campaigns.repository import freezing
from services.campaigns.work.looks import LOOKS
from tests.service.campaigns.world import World, member
from tests.service.stack import eventually

HOUR = 3600
AGE = "UPDATE campaigns SET updated_at = updated_at - interval '1 hour' WHERE account_id = $1"

Stalled = Callable[[str], Awaitable[float]]


@pytest.fixture
def stalled(world: World) -> Stalled:
    async def seconds(state: str) -> float:
        await Watch(world.work_db, LOOKS).look()
        found = REGISTRY.get_sample_value("carillon_campaigns_stalled_seconds", {"state": state})
        assert found is not None
        return found

    return seconds


async def test_an_audience_that_grows_no_further_shows_until_its_next_page(
    world: World, account: AccountId, stalled: Stalled
) -> None:
    campaign = await world.campaign(account, segment_id=world.segments.add(account, [member(1)]))
    await world.start(account, campaign)
    assert await stalled("freezing") < HOUR
    await world.admin(AGE, account)
    assert await stalled("freezing") >= HOUR
    candidate = freezing.Candidate(ids.new(), ids.new(), "+15550001", "{}", "")
    async with world.work_db.across() as tx:
        campaign_id = ids.decode("cmp", campaign.id)
        assert campaign_id is not None
        await freezing.add(tx, account, campaign_id, [candidate], chunk_size=200)
    assert await stalled("freezing") < HOUR


async def test_a_campaign_that_tries_in_vain_shows_until_somebody_is_sent_to(
    world: World, account: AccountId, stalled: Stalled
) -> None:
    campaign = await world.campaign(account, segment_id=world.segments.add(account, [member(1), member(2)]))
    await world.start(account, campaign)
    assert await world.freezer().step()
    world.contacts.available = False
    asked = world.contacts.calls
    async with world.working():

        async def tried() -> bool:
            return world.contacts.calls > asked

        await eventually(tried)
        await world.admin(AGE, account)
        # Leased and given back again and again, which is no step.
        assert await stalled("running") >= HOUR
        world.contacts.available = True
        world.woken.set()
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert await stalled("running") < HOUR


async def test_steps_of_the_last_minutes_count_and_receipts_do_not(
    world: World, account: AccountId, stalled: Stalled
) -> None:
    campaign = await world.campaign(account, segment_id=world.segments.add(account, [member(1)]))
    await world.start(account, campaign)
    assert await world.freezer().step()
    await world.admin(AGE, account)
    minute = (
        "INSERT INTO campaign_minutes (account_id, campaign_id, minute, sent, delivered) SELECT account_id, id, "
        "date_trunc('minute', now()) - $2::interval, $3, 1 FROM campaigns WHERE account_id = $1"
    )
    await world.admin(minute, account, timedelta(0), 0)
    await world.admin(minute, account, timedelta(hours=2), 1)
    assert await stalled("running") >= HOUR
    await world.admin(minute, account, timedelta(minutes=5), 1)
    assert await stalled("running") < HOUR


async def test_who_sleeps_stalls_nothing(world: World, account: AccountId, stalled: Stalled) -> None:
    campaign = await world.campaign(account, segment_id=world.segments.add(account, [member(1)]))
    await world.start(account, campaign)
    assert await world.freezer().step()
    await world.admin(AGE, account)
    await world.admin("UPDATE chunks SET due_at = now() + interval '1 hour' WHERE account_id = $1", account)
    assert await stalled("running") < HOUR
