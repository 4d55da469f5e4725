"""Another account's things answer exactly as things that are not there, on every RPC."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.campaigns.v1.campaigns_pb2_grpc import CampaignsServiceStub
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import errors, ids
from chassis.call import Outgoing
from chassis.grpc_client import Client
from chassis.ids import AccountId
from services.campaigns.tables import TABLES
from tests.service.campaigns.world import World, numbers_csv

METHODS = pb.DESCRIPTOR.services_by_name["CampaignsService"].methods_by_name
# RPCs that name a thing by its id, by the prefix of the id.
BY_ID = {
    "tmpl": ("GetTemplate", "UpdateTemplate", "DeleteTemplate", "RenderTemplate"),
    "sender": ("GetSender", "UpdateSender", "DeleteSender", "TestSender"),
    "cmp": (
        "GetCampaign",
        "UpdateCampaign",
        "DeleteCampaign",
        "StartCampaign",
        "PauseCampaign",
        "ResumeCampaign",
        "CancelCampaign",
        "CloneCampaign",
        "TestCampaign",
    ),
}
# The others, each with a test of its own below, in test_receipts or in test_links.
OTHERS = {
    "CreateTemplate",
    "ListTemplates",
    "CreateSender",
    "ListSenders",
    "CreateCampaign",
    "ListCampaigns",
    "UploadRecipients",
    "ListRecipients",
    "TakeHook",
    "TakeReceipts",
    "FollowLink",
    "GetTimeline",
    "GetAudience",
    "EstimateAudience",
    "GetQuietHours",
    "SetQuietHours",
}


def test_every_rpc_is_walked() -> None:
    assert set(METHODS) == OTHERS | {name for names in BY_ID.values() for name in names}


async def things(world: World, account: AccountId) -> dict[str, str]:
    template, sender = await world.template(account), await world.sender(account)
    campaign = await world.campaign(account, template_id=template.id, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(3))
    return {"tmpl": template.id, "sender": sender.id, "cmp": campaign.id}


def without_id(error: errors.CarillonError, thing: str) -> tuple[object, ...]:
    return type(error), error.reason, error.detail.replace(thing, ""), error.metadata, error.violations


async def test_ids_of_another_account_are_unknown(world: World, account: AccountId, other: AccountId) -> None:
    mine = await things(world, account)
    before = {table: await world.admin(f"SELECT * FROM {table}") for table in TABLES}
    for prefix, names in BY_ID.items():
        for name in names:
            request_class = getattr(pb, name + "Request")
            found = []
            for thing in (mine[prefix], ids.encode(prefix, ids.new())):
                with pytest.raises(errors.NotFound) as caught:
                    more = {"to": ["+15550000001"]} if name == "TestCampaign" else {}
                    await world.call(other, name, request_class(id=thing, **more))
                found.append(without_id(caught.value, thing))
            assert found[0] == found[1], name
    assert {table: await world.admin(f"SELECT * FROM {table}") for table in TABLES} == before


async def test_lists_hold_only_ones_own(world: World, account: AccountId, other: AccountId) -> None:
    await things(world, account)
    for name, field in (("ListTemplates", "templates"), ("ListSenders", "senders"), ("ListCampaigns", "campaigns")):
        request_class = getattr(pb, name + "Request")
        assert len(getattr(await world.call(account, name, request_class()), field)) == 1
        assert len(getattr(await world.call(other, name, request_class()), field)) == 0


async def test_references_to_another_account_are_refused(world: World, account: AccountId, other: AccountId) -> None:
    mine, theirs = await things(world, account), await things(world, other)
    for fields in ({"template_id": mine["tmpl"]}, {"sender_id": mine["sender"]}):
        given: dict[str, Any] = {"name": "C", "template_id": theirs["tmpl"], "sender_id": theirs["sender"]} | fields
        with pytest.raises(errors.InvalidArgument) as caught:
            await world.call(other, "CreateCampaign", pb.CreateCampaignRequest(**given))
        assert caught.value.violations[0].pointer == "/" + next(iter(fields))


async def test_the_ledger_of_another_account_is_closed(world: World, account: AccountId, other: AccountId) -> None:
    mine = await things(world, account)
    for name in ("ListRecipients", "GetAudience", "EstimateAudience", "GetTimeline"):
        with pytest.raises(errors.NotFound):
            await world.call(other, name, getattr(pb, name + "Request")(campaign_id=mine["cmp"]))

    async def messages() -> AsyncIterator[pb.UploadRecipientsRequest]:
        yield pb.UploadRecipientsRequest(options=pb.UploadRecipientsOptions(campaign_id=mine["cmp"]))
        yield pb.UploadRecipientsRequest(chunk=numbers_csv(9).encode())
        yield pb.UploadRecipientsRequest(end=True)

    with pytest.raises(errors.NotFound):
        await world.client.stream_in(world.client.stub.UploadRecipients, messages(), call=Outgoing(other), timeout=10)
    assert len(await world.admin("SELECT 1 FROM recipients")) == 3


async def test_a_query_that_forgets_the_account_sees_nothing(
    world: World, account: AccountId, other: AccountId
) -> None:
    await things(world, account)
    async with world.serve_db.read(other) as tx:
        for table in TABLES:
            assert await tx.fetch(f"SELECT 1 FROM {table}") == [], table
    async with world.serve_db.read(account) as tx:
        assert len(await tx.fetch("SELECT 1 FROM recipients")) == 3


async def test_who_may_not_call_is_refused(world: World, account: AccountId) -> None:
    client = Client(world.target, CampaignsServiceStub, audience="campaigns", signer=world.keys.signer("segments"))
    request = pb.CreateTemplateRequest(name="T", channel=contacts_pb.CHANNEL_SMS, body="x")
    with pytest.raises(errors.PermissionDenied):
        await client.unary(client.stub.CreateTemplate, request, call=Outgoing(account), timeout=5)
    await client.stop()
