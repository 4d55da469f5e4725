"""What accounts, campaigns and replicas share: places, and the rates of senders."""

from collections import Counter

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.ids import AccountId
from services.campaigns.work.budget import acquire, block
from tests.service.campaigns.workers import Gate
from tests.service.campaigns.world import World, numbers_csv
from tests.service.stack import eventually


async def test_accounts_take_turns_however_many_campaigns_they_have(
    world: World, account: AccountId, other: AccountId
) -> None:
    many = [await world.ready(account, 400, variables_json='{"name": "many"}') for _ in range(4)]
    one = await world.ready(other, 200)
    for campaign in many:
        await world.start(account, campaign)
    await world.start(other, one)
    async with world.working(batches=1):
        await world.until_status(other, one, pb.CAMPAIGN_STATUS_COMPLETED, seconds=60)
        texts = [message["callback_url"] for message in world.provider.requests]
        for campaign in many:
            await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED, seconds=60)
    senders = Counter(texts)
    mine = min(senders, key=lambda url: senders[url] != 200)
    places = [place for place, url in enumerate(texts) if url == mine]
    # Batch by batch in turn: four of its own and about as many of the other account's between.
    assert places[-1] - places[0] + 1 - 200 <= 250


async def test_campaigns_of_one_sender_share_its_rate(world: World, account: AccountId) -> None:
    sender = await world.sender(account, rate_limit_per_second=200)
    template = await world.template(account, "{{ which }}")
    campaigns = {}
    for which, count in (("long", 200), ("short", 60)):
        made = await world.campaign(
            account, sender_id=sender.id, template_id=template.id, variables_json=f'{{"which": "{which}"}}'
        )
        await world.upload(account, made, numbers_csv(count))
        campaigns[which] = made
        await world.start(account, made)
    async with world.working():
        for made in campaigns.values():
            await world.until_status(account, made, pb.CAMPAIGN_STATUS_COMPLETED)
    texts = [message["text"] for message in world.provider.requests]
    # Blocks of 20 in turn: when the short one is through, the long one has had about as many.
    assert texts[: len(texts) - texts[::-1].index("short")].count("long") <= 100


async def test_a_provider_that_takes_its_time_is_sent_to_at_the_whole_rate(world: World, account: AccountId) -> None:
    sender = await world.sender(account, rate_limit_per_second=100)
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(30))
    # Of three blocks, as nobody has an answer yet.
    gate = Gate(24)
    world.provider.before = gate.hold_before
    async with world.working(batches=1):
        await world.start(account, campaign)
        await eventually(gate.someone)
        gate.opened.set()
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (await world.check_stats(account, campaign)).sent == 30
    assert not world.provider.repeats


async def test_a_rate_that_is_raised_holds_for_a_campaign_under_way(world: World, account: AccountId) -> None:
    sender = await world.sender(account, rate_limit_per_second=1)
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(300))
    async with world.working():
        await world.start(account, campaign)
        await world.until(account, campaign, lambda found: found.stats.sent > 0)
        await world.call(account, "UpdateSender", pb.UpdateSenderRequest(id=sender.id, rate_limit_per_second=5_000))
        # Five minutes' worth at the old rate.
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(world.provider.accepted) == 300


async def test_a_sender_that_was_asked_to_wait_goes_on_more_slowly(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    sender_id = ids.decode("sender", sender.id)
    assert sender_id is not None
    assert (await acquire(world.work_db, account, [sender_id], 50)).permits == 50
    await block(world.work_db, account, sender_id, 0.0, attempted=60.0, share=1.0)
    # At half of it: three in a block.
    assert (await acquire(world.work_db, account, [sender_id], 50)).permits == 3
    # Others that were asked in the same moment say nothing new.
    await block(world.work_db, account, sender_id, 0.0, attempted=60.0, share=1.0)
    rows = await world.admin("SELECT slowed_to FROM budgets WHERE owner_id = $1", sender_id)
    assert [row["slowed_to"] for row in rows] == [30.0]
