"""The numbers of a campaign: over time, held against the ledger, and page by page of one state."""

import random
from collections import Counter
from datetime import timedelta

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import errors, ids
from chassis.ids import AccountId
from services.campaigns.domain.recipient import Status
from services.campaigns.domain.stats import TIMED
from services.campaigns.work.finishing import Finisher
from services.campaigns.work.reconciling import Reconciler
from tests.service.campaigns.hooks import applied, record, sent, told
from tests.service.campaigns.world import World, numbers_csv
from tests.service.stack import measured

STATUSES = [status for status in Status if status not in (Status.PENDING, Status.CLAIMED)]


async def timeline(world: World, account: AccountId, campaign: pb.Campaign, size: int = 2) -> list[pb.TimelineMinute]:
    found, cursor = [], ""
    while True:
        request = pb.GetTimelineRequest(campaign_id=campaign.id, page_size=size, cursor=cursor)
        page = await world.call(account, "GetTimeline", request)
        found += page.minutes
        cursor = page.next_cursor
        if not cursor:
            return found


async def page_through(
    world: World, account: AccountId, campaign: pb.Campaign, status: int, size: int
) -> list[pb.Recipient]:
    found, cursor = [], ""
    while True:
        page = await world.call(
            account,
            "ListRecipients",
            pb.ListRecipientsRequest(campaign_id=campaign.id, status=status, per_page=size, cursor=cursor),  # type: ignore[arg-type]
        )
        found += page.recipients
        cursor = page.next_cursor
        if not cursor:
            return found
        assert len(page.recipients) == size


async def reconcile(world: World, account: AccountId) -> Counter[str]:
    reconciler = Reconciler(world.work_db, interval=timedelta(0))
    return sum([one.repaired async for one in reconciler.everything(account)], Counter())


async def scatter(world: World, account: AccountId, statuses: list[str]) -> pb.Campaign:
    """A ledger whose lines are in the states given, three to a chunk."""
    campaign = await world.campaign(account)
    await world.upload(account, campaign, numbers_csv(len(statuses)))
    campaign_id = ids.decode("cmp", campaign.id)
    rows = await world.admin("SELECT id FROM recipients WHERE campaign_id = $1 ORDER BY chunk, id", campaign_id)
    await world.admin(
        "UPDATE recipients AS r SET status = k.status, chunk = k.place / 3 "
        "FROM unnest($1::uuid[], $2::text[], $3::integer[]) AS k (id, status, place) WHERE r.id = k.id",
        [row["id"] for row in rows],
        statuses,
        list(range(len(rows))),
    )
    await reconcile(world, account)
    return campaign


async def test_the_series_adds_up_to_the_stats(world: World, account: AccountId) -> None:
    sender, campaign, lines = await sent(world, account, 10)
    await record(world, account, sender, *(told(line, "delivered") for line in lines[:4]), told(lines[4], "failed"))
    await applied(world)
    # As if the receipts had come later.
    await world.admin("UPDATE campaign_minutes SET minute = minute - interval '3 min' WHERE account_id = $1", account)
    await record(world, account, sender, told(lines[5], "delivered"), told(lines[4], "delivered"))
    await applied(world)
    minutes = await timeline(world, account, campaign, size=1)
    assert len(minutes) >= 2
    assert [one.minute.seconds for one in minutes] == sorted({one.minute.seconds for one in minutes})
    stats = await world.check_stats(account, campaign)
    for name in TIMED:
        assert sum(getattr(one, name) for one in minutes) == getattr(stats, name), name
    # What was failed first was delivered after all.
    assert (minutes[-1].delivered, minutes[-1].failed) == (2, -1)


async def test_a_series_is_the_accounts_own(world: World, account: AccountId, other: AccountId) -> None:
    _, campaign, _ = await sent(world, account, 1)
    with pytest.raises(errors.NotFound):
        await timeline(world, other, campaign)


async def test_a_deleted_campaign_leaves_no_numbers(world: World, account: AccountId) -> None:
    _, campaign, _ = await sent(world, account, 3)
    await world.call(account, "DeleteCampaign", pb.DeleteCampaignRequest(id=campaign.id))
    while await Finisher(world.work_db).step():
        pass
    for table in ("campaign_minutes", "chunk_states", "campaign_stats"):
        assert not await world.admin(f"SELECT FROM {table} WHERE account_id = $1", account), table


async def test_reconciliation_finds_nothing_where_nothing_is_wrong(world: World, account: AccountId) -> None:
    sender, _, lines = await sent(world, account, 30)
    await record(world, account, sender, *(told(line, "delivered") for line in lines[:9]))
    await applied(world)
    assert await reconcile(world, account) == Counter()


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE campaign_stats SET sent = sent - 2, pending = pending + 2 WHERE account_id = $1", {"stats": 2}),
        ("UPDATE campaign_minutes SET delivered = delivered + 5 WHERE account_id = $1", {"timeline": 1}),
        ("DELETE FROM campaign_minutes WHERE account_id = $1", {"timeline": 2}),
        ("UPDATE chunk_states SET sent = sent - 1, failed = failed + 1 WHERE account_id = $1", {"chunks": 1}),
        ("DELETE FROM chunk_states WHERE account_id = $1", {"chunks": 1}),
        ("INSERT INTO chunk_states SELECT account_id, campaign_id, 77, 1 FROM chunk_states WHERE account_id = $1",
         {"chunks": 1}),
    ],
    ids=["stats", "series", "no series", "chunks", "no chunks", "a chunk too many"],
)  # fmt: skip
async def test_what_is_wrong_is_found_put_right_and_told(
    world: World, account: AccountId, other: AccountId, damage: str, found: dict[str, int]
) -> None:
    sender, campaign, lines = await sent(world, account, 10)
    await sent(world, other, 3)
    await record(world, account, sender, *(told(line, "delivered") for line in lines[:4]))
    await applied(world)
    before = {what: measured("carillon_campaigns_repaired_total", what=what) for what in found}
    await world.admin(damage, account)
    assert await reconcile(world, account) == Counter(found)
    assert {what: measured("carillon_campaigns_repaired_total", what=what) - before[what] for what in found} == found
    assert await reconcile(world, account) == Counter()
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.delivered) == (10, 4)
    minutes = await timeline(world, account, campaign)
    assert sum(one.delivered for one in minutes) == 4
    assert len(await page_through(world, account, campaign, pb.RECIPIENT_STATUS_SENT, 4)) == 6


async def test_the_slow_loop_looks_at_each_in_turn(world: World, account: AccountId) -> None:
    campaigns = [await world.campaign(account) for _ in range(3)]
    await world.admin("UPDATE campaign_stats SET sent = 1, total = 1 WHERE account_id = $1", account)
    reconciler = Reconciler(world.work_db, interval=timedelta(hours=1))
    assert [await reconciler.step() for _ in range(4)] == [True, True, True, False]
    for campaign in campaigns:
        assert (await world.check_stats(account, campaign)).total == 0


async def test_the_numbers_add_up_whatever_happens(world: World, account: AccountId) -> None:
    """Random histories through the real statements: sends with every answer, receipts, links, repetitions, a cancel."""

    async def history(seed: int) -> None:
        chance = random.Random(seed)
        sender = await world.sender(account)
        campaign = await world.campaign(account, sender_id=sender.id)
        await world.upload(account, campaign, numbers_csv(chance.randrange(1, 60)))
        refused = chance.random()

        async def answers(message: dict[str, object]) -> tuple[int, dict[str, str]]:
            return (422 if chance.random() < refused / 2 else 200), {}

        world.provider.before = answers
        async with world.working():
            await world.start(account, campaign)
            await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
        lines = await world.recipients(account, campaign)
        for _ in range(chance.randrange(6)):
            some = chance.choices(lines, k=chance.randrange(1, 20))
            kinds = ["delivered", "failed", "opened", "clicked"]
            receipts = [{"id": line.provider_message_id or line.id, "status": chance.choice(kinds)} for line in some]
            await record(world, account, sender, *receipts)
            if chance.random() < 0.7:
                await applied(world)
        await applied(world)
        stats = await world.check_stats(account, campaign)
        assert stats.clicked <= stats.opened <= stats.delivered
        minutes = await timeline(world, account, campaign)
        assert all(sum(getattr(one, name) for one in minutes) == getattr(stats, name) for name in TIMED)
        by_state = {status: len(await page_through(world, account, campaign, status, 7)) for status in range(1, 10)}
        assert sum(by_state.values()) == stats.total

    for seed in range(6):
        await history(seed)
    assert await reconcile(world, account) == Counter()


async def test_pages_of_one_state_are_those_lines_in_order(world: World, account: AccountId) -> None:
    """Against the ledger read through, for random ledgers and page sizes, by cursor and by number."""
    chance = random.Random(7)
    for _ in range(12):
        weights = [chance.choice([0, 0, 1, 5, 30]) + 0.1 for _ in STATUSES]
        statuses = [chance.choices(STATUSES, weights)[0].value for _ in range(chance.randrange(1, 60))]
        campaign = await scatter(world, account, statuses)
        whole = await page_through(world, account, campaign, 0, 100)
        assert len(whole) == len(statuses)
        for status in range(1, 10):
            expected = [line.id for line in whole if line.status == status]
            size = chance.randrange(1, 9)
            assert [one.id for one in await page_through(world, account, campaign, status, size)] == expected
            for number in range(1, len(expected) // size + 3):
                request = pb.ListRecipientsRequest(
                    campaign_id=campaign.id,
                    status=status,  # type: ignore[arg-type]
                    page=number,
                    per_page=size,
                )
                page = await world.call(account, "ListRecipients", request)
                assert [one.id for one in page.recipients] == expected[(number - 1) * size : number * size]
                assert page.total == len(expected)
