"""Openings, clicks and opt-outs by the links of emails."""

import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import errors, ids
from chassis.ids import AccountId
from chassis.sealing import Sealer
from services.campaigns import mail_links, tracking
from tests.service.campaigns.hooks import applied, record, told
from tests.service.campaigns.world import PUBLIC_URL, SECRETS_KEY, World

OTHER_KEY = "b3RoZXIga2V5IG90aGVyIGtleSBvdGhlciBrZXkhISE="
SHOP = "https://shop.example/a?b=1&c=ü%20#d"


@pytest_asyncio.fixture
async def mailed(world: World, account: AccountId) -> AsyncIterator[tuple[pb.Sender, pb.Campaign, pb.Recipient]]:
    sender = await world.sender(account, channel=contacts_pb.CHANNEL_EMAIL)
    template = await world.template(account, channel=contacts_pb.CHANNEL_EMAIL, subject="Hi")
    campaign = await world.campaign(account, sender_id=sender.id, template_id=template.id)
    await world.upload(account, campaign, "email\nann@example.org\n")
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    (line,) = await world.recipients(account, campaign)
    yield sender, campaign, line


class Links:
    """Those of a deployment with these keys."""

    def __init__(self, keys: str) -> None:
        self.sealer = Sealer(keys)

    def open_url(self, account: AccountId, recipient: UUID) -> str:
        return mail_links.open_url(PUBLIC_URL, self.sealer, account=account, recipient=recipient)

    def click_url(self, account: AccountId, recipient: UUID, to: str) -> str:
        return mail_links.click_url(PUBLIC_URL, self.sealer, account=account, recipient=recipient, to=to)

    def unsubscribe_url(self, account: AccountId, recipient: UUID) -> str:
        return tracking.unsubscribe_url(PUBLIC_URL, self.sealer, account=account, recipient=recipient)


LINKS = Links(SECRETS_KEY)


def uuid_of(line: pb.Recipient) -> UUID:
    found = ids.decode("rcp", line.id)
    assert found is not None
    return found


async def follow(world: World, account: AccountId, url: str, *, unsubscribe: bool = False) -> pb.FollowLinkResponse:
    signed = url.rpartition("/")[2].partition(".")[2]
    request = pb.FollowLinkRequest(token=signed, unsubscribe=unsubscribe)
    answer: pb.FollowLinkResponse = await world.call(account, "FollowLink", request)
    return answer


async def test_an_opening_and_a_click_move_the_numbers(world: World, account: AccountId, mailed) -> None:
    _, campaign, line = mailed
    opening = await follow(world, account, LINKS.open_url(account, uuid_of(line)))
    assert (opening.kind, opening.url) == (pb.LINK_KIND_OPEN, "")
    await applied(world)
    stats = await world.check_stats(account, campaign)
    # No receipt said that it was delivered; whoever opened it has it.
    assert (stats.delivered, stats.opened, stats.clicked) == (1, 1, 0)
    for _ in range(2):
        click = await follow(world, account, LINKS.click_url(account, uuid_of(line), SHOP))
        assert (click.kind, click.url) == (pb.LINK_KIND_CLICK, SHOP)
    await applied(world)
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.delivered, stats.opened, stats.clicked) == (1, 1, 1, 1)
    (after,) = await world.recipients(account, campaign)
    assert after.HasField("opened_at")
    assert after.HasField("clicked_at")
    types = [row["type"] for row in await world.admin("SELECT type FROM outbox WHERE account_id = $1", account)]
    assert (types.count("message.opened"), types.count("message.clicked")) == (1, 1)


@pytest.mark.parametrize("late", ["delivered", "failed"])
async def test_a_receipt_behind_an_opening_changes_nothing(world: World, account: AccountId, mailed, late: str) -> None:
    sender, campaign, line = mailed
    await follow(world, account, LINKS.open_url(account, uuid_of(line)))
    await applied(world)
    await record(world, account, sender, told(line, late))
    await applied(world)
    stats = await world.check_stats(account, campaign)
    assert (stats.delivered, stats.failed, stats.opened) == (1, 0, 1)


async def test_links_of_a_rendered_email_lead_to_exactly_where_they_led(
    world: World, account: AccountId, mailed
) -> None:
    _, _, line = mailed
    urls = [SHOP, "https://shop.example/?next=https://evil.example/&q=a+b", "http://shop.example"]
    source = "".join(f'<a href="{url.replace("&", "&amp;")}">x</a>' for url in urls)
    unsubscribe = LINKS.unsubscribe_url(account, uuid_of(line))
    made = mail_links.tracked_html(
        f'{source}<a href="{unsubscribe}">no more</a>',
        public_url=PUBLIC_URL, sealer=LINKS.sealer, account=account, recipient=uuid_of(line),
    )  # fmt: skip
    *links, last = re.findall(r'href="([^"]+)"', made)
    assert [(await follow(world, account, link)).url for link in links] == urls
    assert last == unsubscribe
    (picture,) = re.findall(r'src="([^"]+)"', made)
    assert (await follow(world, account, picture)).kind == pb.LINK_KIND_OPEN


async def test_only_what_was_signed_here_leads_anywhere(world: World, account: AccountId, other: AccountId) -> None:
    """No open redirect: neither another URL nor another account nor another key."""
    recipient = ids.new()
    good = LINKS.click_url(account, recipient, SHOP)
    assert (await follow(world, account, good)).url == SHOP
    foreign = Links(OTHER_KEY)
    short, last = good[:-1], good[-1]
    bad = [
        foreign.click_url(account, recipient, SHOP),
        short,
        short + ("A" if last != "A" else "B") + "A",
        ".A".join(good.rsplit(".", 1)),
        f"{PUBLIC_URL}/t/x.{'A' * 100}",
        f"{PUBLIC_URL}/t/x.",
        f"{PUBLIC_URL}/t/x.é",
    ]
    for url in bad:
        with pytest.raises(errors.NotFound):
            await follow(world, account, url)
    with pytest.raises(errors.NotFound):
        await follow(world, other, good)


async def test_links_outlive_a_rotation_of_the_keys(account: AccountId) -> None:
    token = LINKS.click_url(account, ids.new(), SHOP).rpartition("/")[2]
    found = tracking.read(Sealer(f"{OTHER_KEY}, {SECRETS_KEY}"), token)
    assert found is not None
    assert found.extra.decode() == SHOP
    assert tracking.read(Sealer(OTHER_KEY), token) is None


async def test_only_web_addresses_are_signed(account: AccountId) -> None:
    for url in ("javascript:alert(1)", "//evil.example", "/path", "data:text/html,x", "https://a.example/\r\nX: y"):
        with pytest.raises(ValueError, match="http"):
            LINKS.click_url(account, ids.new(), url)


async def test_one_click_opts_out_and_looking_does_not(world: World, account: AccountId, mailed) -> None:
    _, campaign, line = mailed
    url = LINKS.unsubscribe_url(account, uuid_of(line))
    looked = await follow(world, account, url)
    assert (looked.kind, looked.applied) == (pb.LINK_KIND_UNSUBSCRIBE, False)
    assert not world.replies.taken
    assert (await follow(world, account, url, unsubscribe=True)).applied
    (reply,) = world.replies.taken.values()
    assert (reply.address, reply.channel) == ("ann@example.org", contacts_pb.CHANNEL_EMAIL)
    assert (reply.says, reply.source) == (contacts_pb.PREFERENCE_OPTED_OUT, "unsubscribe_link")
    assert (reply.is_message, reply.campaign_id, reply.recipient_id) == (False, campaign.id, line.id)
    # No message came.
    assert not await world.admin("SELECT FROM outbox WHERE type = 'message.received'")
    # Once more, after an opt-in perhaps: it opts out again.
    assert (await follow(world, account, url, unsubscribe=True)).applied
    assert len(world.replies.taken) == 2


async def test_an_opt_out_that_contacts_cannot_hear_is_kept(world: World, account: AccountId, mailed) -> None:
    _, _, line = mailed
    url = LINKS.unsubscribe_url(account, uuid_of(line))
    world.contacts.available = False
    for _ in range(2):
        assert not (await follow(world, account, url, unsubscribe=True)).applied
    assert len(await world.admin("SELECT FROM inbound WHERE done_at IS NULL")) == 1


async def test_links_of_what_is_gone_still_lead_on_and_write_nothing(world: World, account: AccountId) -> None:
    gone = ids.new()
    assert (await follow(world, account, LINKS.click_url(account, gone, SHOP))).url == SHOP
    assert (await follow(world, account, LINKS.unsubscribe_url(account, gone), unsubscribe=True)).applied
    assert not await world.admin("SELECT FROM receipts")
    assert not await world.admin("SELECT FROM inbound")
