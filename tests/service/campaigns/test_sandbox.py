"""Test keys: nothing that they set going reaches a provider."""

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import errors
from chassis.ids import AccountId
from tests.service.campaigns.world import World, numbers_csv, phone

TEST = ("campaigns:*", "sandbox")


async def made_with_a_test_key(world: World, account: AccountId) -> pb.Campaign:
    template, sender = await world.template(account), await world.sender(account)
    request = pb.CreateCampaignRequest(name="C", template_id=template.id, sender_id=sender.id)
    campaign: pb.Campaign = (await world.call(account, "CreateCampaign", request, scopes=TEST)).campaign
    await world.upload(account, campaign, numbers_csv(3))
    return campaign


async def test_a_test_campaign_is_sent_to_nobody(world: World, account: AccountId) -> None:
    campaign = await made_with_a_test_key(world, account)
    assert campaign.is_test
    # It remembers, whoever starts it.
    await world.start(account, campaign)
    async with world.working():
        found = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (found.is_test, found.stats.sent) == (True, 3)
    assert world.provider.requests == []
    names = {one.provider_message_id for one in await world.recipients(account, campaign)}
    assert all(name.startswith("sandbox_rcp_") for name in names)


async def test_test_messages_of_a_test_key_go_nowhere(world: World, account: AccountId) -> None:
    live = await world.ready(account, 1)
    request = pb.TestCampaignRequest(id=live.id, to=[phone(1)], variables_json='{"name": "A"}')
    answer = await world.call(account, "TestCampaign", request, scopes=TEST)
    assert answer.results[0].provider_message_id.startswith("sandbox_")
    sender = pb.TestSenderRequest(id=live.sender_id, to=phone(1), text="x")
    answer = await world.call(account, "TestSender", sender, scopes=TEST)
    assert answer.result.provider_message_id.startswith("sandbox_")
    assert world.provider.requests == []


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("UpdateCampaign", pb.UpdateCampaignRequest),
        ("StartCampaign", pb.StartCampaignRequest),
        ("PauseCampaign", pb.PauseCampaignRequest),
        ("ResumeCampaign", pb.ResumeCampaignRequest),
        ("CancelCampaign", pb.CancelCampaignRequest),
        ("DeleteCampaign", pb.DeleteCampaignRequest),
    ],
)
async def test_a_test_key_leaves_live_campaigns_alone(world: World, account: AccountId, name: str, make: type) -> None:
    live = await world.ready(account, 1)
    if name == "PauseCampaign":
        await world.start(account, live)
    if name == "ResumeCampaign":
        await world.start(account, live)
        await world.call(account, "PauseCampaign", pb.PauseCampaignRequest(id=live.id))
    before = await world.get(account, live)
    with pytest.raises(errors.PermissionDenied):
        await world.call(account, name, make(id=live.id), scopes=TEST)
    assert await world.get(account, live) == before


async def test_a_copy_is_of_whoever_makes_it(world: World, account: AccountId) -> None:
    live = await world.ready(account, 1)
    clone = pb.CloneCampaignRequest(id=live.id)
    test = (await world.call(account, "CloneCampaign", clone, scopes=TEST)).campaign
    assert test.is_test
    back = (await world.call(account, "CloneCampaign", pb.CloneCampaignRequest(id=test.id))).campaign
    assert not back.is_test


async def test_a_sandbox_sender_sends_nothing(world: World, account: AccountId) -> None:
    request = pb.CreateSenderRequest(name="S", channel=contacts_pb.CHANNEL_SMS, address="X", provider="sandbox")
    sender = (await world.call(account, "CreateSender", request)).sender
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(2))
    await world.start(account, campaign)
    async with world.working():
        found = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert (found.is_test, found.stats.sent, world.provider.requests) == (False, 2, [])
