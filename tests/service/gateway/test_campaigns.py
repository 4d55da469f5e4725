"""Campaigns at the edge: audiences, and what they made of people."""

from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from tests.service.gateway.conftest import Gateway

CMP, TMPL, SEG, LST, CNT, RCP = (
    ids.encode(prefix, ids.new()) for prefix in ("cmp", "tmpl", "seg", "lst", "cnt", "rcp")
)
NEW: dict[str, Any] = {"name": "x", "template_id": TMPL}


@pytest.mark.parametrize("fields", [{"list_id": LST}, {"contact_ids": [CNT]}, {"exclude_segment_ids": [SEG]}])
async def test_every_kind_of_audience_goes_in_and_comes_back(gateway: Gateway, fields: dict[str, Any]) -> None:
    made = pb.Campaign(id=CMP, name="x", template_id=TMPL, **fields)
    gateway.campaigns.answers["CreateCampaign"] = pb.CreateCampaignResponse(campaign=made)
    answer = await gateway.call("POST", "/v1/campaigns", json=NEW | fields)
    assert answer.status == 201
    nobody: dict[str, Any] = {"segment_id": None, "list_id": None, "contact_ids": None, "exclude_segment_ids": []}
    assert {name: answer.body[name] for name in nobody} == nobody | fields
    request = gateway.campaigns.last("CreateCampaign").request
    assert request == pb.CreateCampaignRequest(**NEW, variables_json="{}", **fields)


async def test_an_update_exchanges_the_audience(gateway: Gateway) -> None:
    body = {"segment_id": None, "contact_ids": [CNT], "exclude_segment_ids": []}
    await gateway.call("PATCH", f"/v1/campaigns/{CMP}", json=body)
    request = gateway.campaigns.last("UpdateCampaign").request
    assert request == pb.UpdateCampaignRequest(
        id=CMP, clear=["segment_id"], contact_ids=pb.Ids(values=[CNT]), exclude_segment_ids=pb.Ids()
    )


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"contact_ids": []}, "/contact_ids"),
        ({"contact_ids": [CNT] * 1001}, "/contact_ids"),
        ({"contact_ids": "all"}, "/contact_ids"),
        ({"exclude_segment_ids": [SEG] * 11}, "/exclude_segment_ids"),
    ],
)
async def test_audiences_have_limits(gateway: Gateway, fields: dict[str, Any], pointer: str) -> None:
    answer = await gateway.call("POST", "/v1/campaigns", json=NEW | fields)
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, pointer)


FUNNEL = pb.Funnel(matched=28, excluded=1, no_address=2, invalid=3, opted_out=4, do_not_contact=5, duplicate=6, final=7)
COUNTS = {
    "matched": 28, "excluded": 1, "no_address": 2, "invalid": 3, "opted_out": 4, "dnc": 5, "duplicate": 6, "final": 7,
}  # fmt: skip


async def test_the_funnel_and_why_a_contact_is_not_in_it(gateway: Gateway) -> None:
    line = pb.Recipient(id=RCP, address="+1234567890", status=pb.RECIPIENT_STATUS_SENT, variables_json="{}")
    found = pb.GetAudienceResponse(
        funnel=FUNNEL,
        frozen=True,
        place=pb.PLACE_LEFT_OUT,
        reason="duplicate",
        instead=line,
        channel=contacts_pb2.CHANNEL_SMS,
    )
    gateway.campaigns.answers["GetAudience"] = found
    answer = await gateway.call("GET", f"/v1/campaigns/{CMP}/audience")
    assert answer.body == COUNTS | {"frozen": True}
    answer = await gateway.call("GET", f"/v1/campaigns/{CMP}/audience?contact_id={CNT}")
    contact = answer.body["contact"]
    assert (contact["contact_id"], contact["outcome"], contact["reason"]) == (CNT, "left_out", "duplicate")
    assert (contact["recipient"], contact["instead"]["phone"]) == (None, "+1234567890")
    assert gateway.campaigns.last("GetAudience").request == pb.GetAudienceRequest(campaign_id=CMP, contact_id=CNT)
    assert (await gateway.call("GET", f"/v1/campaigns/{CMP}/audience?contact_id=x")).status == 404


async def test_a_recipient_that_was_not_reached_says_why(gateway: Gateway) -> None:
    line = pb.Recipient(id=RCP, status=pb.RECIPIENT_STATUS_SKIPPED, reason="opted_out", variables_json="{}")
    gateway.campaigns.answers["GetAudience"] = pb.GetAudienceResponse(place=pb.PLACE_RECIPIENT, recipient=line)
    answer = await gateway.call("GET", f"/v1/campaigns/{CMP}/audience?contact_id={CNT}")
    contact = answer.body["contact"]
    assert (contact["outcome"], contact["reason"]) == ("recipient", "opted_out")
    assert contact["recipient"]["status"] == "skipped"


async def test_an_estimate(gateway: Gateway) -> None:
    gateway.campaigns.answers["EstimateAudience"] = pb.EstimateAudienceResponse(funnel=FUNNEL, estimate=True)
    answer = await gateway.call("POST", f"/v1/campaigns/{CMP}/estimate")
    assert (answer.status, answer.body) == (200, COUNTS | {"estimate": True})


async def test_a_clone_is_a_new_resource(gateway: Gateway) -> None:
    made = pb.Campaign(id=CMP, name="x (copy)", template_id=TMPL, schedule_max_late_seconds=3600)
    gateway.campaigns.answers["CloneCampaign"] = pb.CloneCampaignResponse(campaign=made)
    answer = await gateway.call("POST", f"/v1/campaigns/{CMP}/clone")
    assert (answer.status, answer.body["name"], answer.headers["location"]) == (201, "x (copy)", f"/v1/campaigns/{CMP}")


async def test_a_test_message_tells_its_end_for_each_address(gateway: Gateway) -> None:
    sent = pb.TestResult(address="+1234567890", status=pb.RECIPIENT_STATUS_SENT, text="Hi", provider_message_id="p1")
    left = pb.TestResult(address="+1234567891", status=pb.RECIPIENT_STATUS_SKIPPED, reason="opted_out")
    found = pb.TestCampaignResponse(results=[sent, left], channel=contacts_pb2.CHANNEL_SMS)
    gateway.campaigns.answers["TestCampaign"] = found
    body = {"to": ["+1234567890", "+1234567891"], "variables": {"name": "A"}, "contact_id": CNT}
    answer = await gateway.call("POST", f"/v1/campaigns/{CMP}/test", json=body)
    unsent = {"reason": "opted_out", "text": None, "subject": None, "provider_message_id": None}
    shown = {"reason": None, "text": "Hi", "subject": None, "provider_message_id": "p1"}
    assert answer.body["results"] == [
        {"phone": "+1234567890", "status": "sent"} | shown,
        {"phone": "+1234567891", "status": "skipped"} | unsent,
    ]
    request = gateway.campaigns.last("TestCampaign").request
    assert (request.contact_id, request.variables_json, list(request.to)) == (CNT, '{"name":"A"}', body["to"])
    wrong: list[dict[str, Any]] = [{}, {"to": []}, {"to": ["+1"] * 11}]
    for bad in wrong:
        assert (await gateway.call("POST", f"/v1/campaigns/{CMP}/test", json=bad)).status == 422


@pytest.mark.parametrize("seconds", [59, 604_801, "60", 60.5])
async def test_lateness_has_limits(gateway: Gateway, seconds: object) -> None:
    answer = await gateway.call("POST", "/v1/campaigns", json=NEW | {"schedule_max_late_seconds": seconds})
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "/schedule_max_late_seconds")


async def test_lateness_goes_on_and_null_is_the_default(gateway: Gateway) -> None:
    await gateway.call("PATCH", f"/v1/campaigns/{CMP}", json={"schedule_max_late_seconds": 7200})
    assert gateway.campaigns.last("UpdateCampaign").request.schedule_max_late_seconds == 7200
    await gateway.call("PATCH", f"/v1/campaigns/{CMP}", json={"schedule_max_late_seconds": None})
    request = gateway.campaigns.last("UpdateCampaign").request
    assert (request.HasField("schedule_max_late_seconds"), request.schedule_max_late_seconds) == (True, 0)


WINDOWS = {
    "timezone": "Europe/Berlin",
    "windows": [
        {"days": ["monday", "friday"], "start": "09:00", "end": "12:30"},
        {"days": ["sunday"], "start": "00:00", "end": "24:00"},
    ],
}


async def test_sending_windows_go_in_and_come_back(gateway: Gateway) -> None:
    gateway.campaigns.answers["CreateCampaign"] = lambda request: pb.CreateCampaignResponse(
        campaign=pb.Campaign(id=CMP, sending_windows=request.sending_windows)
    )
    answer = await gateway.call("POST", "/v1/campaigns", json=NEW | {"sending_windows": WINDOWS})
    assert (answer.status, answer.body["sending_windows"]) == (201, WINDOWS)
    sent = gateway.campaigns.last("CreateCampaign").request.sending_windows.windows[0]
    assert (list(sent.days), sent.start_minute, sent.end_minute) == ([1, 5], 540, 750)
    await gateway.call("PATCH", f"/v1/campaigns/{CMP}", json={"sending_windows": None})
    assert list(gateway.campaigns.last("UpdateCampaign").request.clear) == ["sending_windows"]
    await gateway.call("PATCH", f"/v1/campaigns/{CMP}", json={"sending_windows": WINDOWS})
    assert gateway.campaigns.last("UpdateCampaign").request.sending_windows.timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("window", "pointer"),
    [
        ({"days": [], "start": "09:00", "end": "10:00"}, "/sending_windows/windows/0/days"),
        ({"days": ["Monday"], "start": "09:00", "end": "10:00"}, "/sending_windows/windows/0/days/0"),
        ({"days": ["monday"], "start": "9:00", "end": "10:00"}, "/sending_windows/windows/0/start"),
        ({"days": ["monday"], "start": "09:00", "end": "24:01"}, "/sending_windows/windows/0/end"),
        ({"days": ["monday"], "start": "09:00"}, "/sending_windows/windows/0/end"),
    ],
)
async def test_windows_that_cannot_be_read_point_at_their_field(
    gateway: Gateway, window: dict[str, Any], pointer: str
) -> None:
    answer = await gateway.call("POST", "/v1/campaigns", json=NEW | {"sending_windows": {"windows": [window]}})
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, pointer)


async def test_quiet_hours_are_set_read_and_removed(gateway: Gateway) -> None:
    nothing = {"start": None, "end": None, "timezone": None}
    assert (await gateway.call("GET", "/v1/quiet-hours")).body == nothing
    given = {"start": "21:00", "end": "08:00", "timezone": "Europe/Berlin"}
    gateway.campaigns.answers["SetQuietHours"] = lambda request: pb.SetQuietHoursResponse(
        quiet_hours=request.quiet_hours if request.HasField("quiet_hours") else None
    )
    assert (await gateway.call("PUT", "/v1/quiet-hours", json=given)).body == given
    assert gateway.campaigns.last("SetQuietHours").request.quiet_hours.start_minute == 1260
    assert (await gateway.call("PUT", "/v1/quiet-hours", json={"start": None, "end": None})).body == nothing
    assert not gateway.campaigns.last("SetQuietHours").request.HasField("quiet_hours")
    half = await gateway.call("PUT", "/v1/quiet-hours", json={"start": "21:00", "end": None})
    assert (half.status, half.body["errors"][0]["pointer"]) == (422, "/end")
