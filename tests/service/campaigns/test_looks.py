"""What gauges count of campaigns, and counters of recipients. For how long one stands still: test_stalled.py."""

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.ids import AccountId
from chassis.watch import Watch
from services.campaigns.work.looks import LOOKS
from tests.service.campaigns.world import World
from tests.service.stack import measured


def states() -> list[float]:
    return [measured("carillon_campaigns_open", state=state) for state in ("running", "freezing", "held")]


async def test_campaigns_are_counted_by_how_they_stand(world: World, account: AccountId) -> None:
    # Of other tests.
    await world.admin("UPDATE campaigns SET status = 'cancelled', status_reason = ''")
    looking = Watch(world.work_db, LOOKS)
    campaign = await world.ready(account, 10)
    await looking.look()
    assert states() == [0, 0, 0]
    await world.start(account, campaign)
    await looking.look()
    assert states() == [1, 0, 0]
    assert measured("carillon_campaigns_pending_recipients", channel="sms") == 10

    await world.admin("UPDATE campaigns SET freezing = true WHERE status = 'running'")
    await looking.look()
    assert states() == [0, 1, 0]
    held = "status = 'paused', status_reason = 'provider_unavailable', freezing = false"
    await world.admin(f"UPDATE campaigns SET {held} WHERE status = 'running'")
    await looking.look()
    assert states() == [0, 0, 1]
    assert measured("carillon_campaigns_pending_recipients", channel="sms") == 0


async def test_recipients_are_counted_as_the_stats_are(world: World, account: AccountId) -> None:
    names = ("sent", "delivered", "failed", "skipped", "uncertain")

    def counted() -> list[float]:
        return [measured("carillon_campaigns_recipients_total", status=name) for name in names]

    before = counted()
    campaign = await world.ready(account, 30)
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    stats = await world.check_stats(account, campaign)
    assert stats.sent == 30
    grown = [now - then for now, then in zip(counted(), before, strict=True)]
    assert grown == [getattr(stats, name) for name in names]
    assert measured("carillon_campaigns_provider_seconds_count", provider="http") > 0
