"""What gauges tell of campaigns that nobody works on, and counters of recipients."""

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.ids import AccountId
from chassis.watch import Watch
from services.campaigns.work.looks import LOOKS
from tests.service.campaigns.world import World
from tests.service.stack import measured


def idle() -> float:
    return measured("carillon_campaigns_idle_seconds", state="running")


def states() -> list[float]:
    return [measured("carillon_campaigns_open", state=state) for state in ("running", "freezing", "held")]


async def test_a_campaign_that_was_left_alone_is_told_of_until_somebody_has_it(
    world: World, account: AccountId
) -> None:
    # Of other tests.
    await world.admin("UPDATE campaigns SET status = 'cancelled', status_reason = ''")
    looking = Watch(world.work_db, LOOKS)
    campaign = await world.ready(account, 10)
    await looking.look()
    assert (idle(), states()) == (0, [0, 0, 0])
    await world.start(account, campaign)
    await world.admin("UPDATE campaigns SET updated_at = now() - interval '1 h' WHERE status = 'running'")
    await looking.look()
    assert 3600 <= idle() < 4200
    assert states() == [1, 0, 0]
    assert measured("carillon_campaigns_pending_recipients", channel="sms") == 10

    # Due later, as at night; or in somebody's hands.
    for change in ("due_at = now() + interval '1 h'", "due_at = 'epoch', lease_until = now() + interval '5 s'"):
        await world.admin(f"UPDATE chunks SET {change} WHERE account_id = $1", account)
        await looking.look()
        assert idle() == 0
    await world.admin("UPDATE chunks SET lease_until = 'epoch' WHERE account_id = $1", account)

    await world.admin("UPDATE campaigns SET freezing = true WHERE status = 'running'")
    await looking.look()
    assert measured("carillon_campaigns_idle_seconds", state="freezing") >= 3600
    assert (idle(), states()) == (0, [0, 1, 0])
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
