"""Seed 002: tags, timeline, preferences and opt-outs, as the document names the calls; and how they meet: a
campaign's messages show on the timelines of those it reached, and of nobody who opted out."""

import itertools
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.client import Api, Carrier, eventually
from tests.e2e.test_campaign import campaign, ended, marked

NUMBERS = itertools.count(110)


@pytest.fixture
def phone() -> str:
    """Each test's own: who opted out and was deleted stays opted out."""
    return f"+1415555{next(NUMBERS):04d}"


@pytest_asyncio.fixture
async def contact_id(api: Api, phone: str) -> str:
    await api.empty_address_book()
    body = {"phone": phone, "email": "ann@example.com", "name": "Ann Archer", "tags": ["lead"]}
    return str((await api.post("/v1/contacts", body)).ok(201)["id"])


async def test_tags(api: Api, contact_id: str) -> None:
    path = f"/v1/contacts/{contact_id}/tags"
    assert (await api.post(path, {"tags": ["vip", "lead", "vip"]})).ok()["tags"] == ["lead", "vip"]
    assert (await api.get(path)).ok() == {"data": ["lead", "vip"], "next_cursor": None, "has_more": False}
    assert (await api.call("DELETE", f"{path}/lead")).status == 204
    (await api.call("DELETE", f"{path}/lead")).refused(404, "not_found")
    assert (await api.get(path)).ok()["data"] == ["vip"]


async def test_channel_preferences(api: Api, contact_id: str) -> None:
    path = f"/v1/contacts/{contact_id}/preferences"
    body = {"preferences": {"sms": "opted_out"}, "source": "phone call", "text": "No more SMS, please."}
    changed = (await api.call("PUT", path, json=body)).ok()
    assert (changed["preferences"]["sms"], changed["preferences"]["email"]) == ("opted_out", "unknown")
    bare = await api.call("PUT", path, json={"email": "opted_in"}, headers={"If-Match": f'"{changed["version"]}"'})
    assert bare.ok()["preferences"]["email"] == "opted_in"
    stale = await api.call("PUT", path, json={"email": "unknown"}, headers={"If-Match": '"1"'})
    stale.refused(412, "version_mismatch")
    email, sms = (await api.get(f"/v1/contacts/{contact_id}/consents")).ok()["data"]
    assert (email["channel"], email["before"], email["after"], email["source"]) == (
        "email",
        "unknown",
        "opted_in",
        "api",
    )
    assert (sms["channel"], sms["after"], sms["text"]) == ("sms", "opted_out", "No more SMS, please.")
    assert sms["actor"].startswith("key_")


async def test_an_import_does_not_turn_an_opt_out_back(api: Api, contact_id: str, phone: str) -> None:
    await api.call("PUT", f"/v1/contacts/{contact_id}/preferences", json={"sms": "opted_out"})
    rows = f"phone,name,sms,preferences\n{phone},Anna,opted_in,sms=opted_in\n".encode()
    for on_duplicate in ("skip", "merge", "update"):
        (await api.upload("/v1/contacts/import", rows, fields={"on_duplicate": on_duplicate})).ok()
        upsert = {"phone": phone, "first_name": "Ann"}
        assert (await api.post("/v1/contacts?on_conflict=update", upsert)).ok()["preferences"]["sms"] == "opted_out"


async def test_opt_outs(api: Api, contact_id: str, phone: str) -> None:
    other = (await api.post("/v1/contacts", {"phone": "+14155550911"})).ok(201)["id"]
    for one, said in ((contact_id, {"sms": "opted_out"}), (other, {"sms": "opted_out", "viber": "opted_out"})):
        (await api.call("PUT", f"/v1/contacts/{one}/preferences", json={"preferences": said})).ok()
    assert [one["id"] for one in await api.everything("/v1/contacts/optouts")] == [other, contact_id]
    page = (await api.get("/v1/contacts/optouts?limit=1")).ok()
    assert (len(page["data"]), page["has_more"]) == (1, True)
    (viber,) = (await api.get("/v1/contacts/optouts?channel=viber")).ok()["data"]
    assert (viber["id"], viber["phone"]) == (other, "+14155550911")
    assert {entry["channel"] for entry in viber["optouts"]} == {"sms", "viber"}
    found = await eventually(
        lambda: api.get(f"/v1/contacts/optouts?search=ann+{phone[-4:]}"), lambda found: found.ok()["data"]
    )
    assert [one["id"] for one in found.body["data"]] == [contact_id]
    (await api.call("PUT", f"/v1/contacts/{other}/preferences", json={"viber": "opted_in"})).ok()
    assert (await api.get("/v1/contacts/optouts?channel=viber")).ok()["data"] == []


async def timeline(api: Api, contact_id: str) -> list[dict[str, Any]]:
    return await api.everything(f"/v1/contacts/{contact_id}/activity")


async def test_activity_and_messages_of_a_campaign(
    api: Api, contact_id: str, phone: str, carrier: Carrier, sender_id: str
) -> None:
    """One contact gets the message; the other opted out, and gets none."""
    silent = (await api.post("/v1/contacts", {"phone": "+14155550912", "tags": ["lead"]})).ok(201)["id"]
    (await api.call("PUT", f"/v1/contacts/{silent}/preferences", json={"sms": "opted_out"})).ok()
    note = {"type": "agent.note", "text": "Wants to hear of offers.", "data": {"ticket": 7}}
    added = (await api.post(f"/v1/contacts/{contact_id}/activity", note)).ok(201)
    assert added["id"].startswith("act_")
    rule = {"field": "tags", "operator": "contains", "value": "lead"}
    segment = (await api.post("/v1/segments", {"name": "Leads", "conditions": [rule]})).ok(201)["id"]
    await eventually(lambda: api.get(f"/v1/segments/{segment}"), lambda answer: answer.ok()["member_count"] == 2)
    mark = marked("history")
    campaign_id = await campaign(api, mark=mark, sender=sender_id, segment_id=segment)
    (await api.post(f"/v1/campaigns/{campaign_id}/start")).ok()
    figures = await ended(api, campaign_id)
    assert (figures["sent"], figures["delivered"]) == (1, 1)
    assert [one["to"] for one in carrier.accepted(mark)] == [phone]

    found = await eventually(lambda: timeline(api, contact_id), lambda found: len(found) == 3)
    assert [one["type"] for one in found] == ["message.delivered", "message.sent", "agent.note"]
    assert {one["campaign_id"] for one in found[:2]} == {campaign_id}
    assert (found[2]["text"], found[2]["data"]) == (note["text"], note["data"])
    (message,) = (await api.get(f"/v1/contacts/{contact_id}/messages")).ok()["data"]
    assert (message["status"], message["to"], message["channel"]) == ("delivered", phone, "sms")
    assert message["id"] == found[0]["message_id"]
    assert [one["type"] for one in await timeline(api, silent)] == ["contact.opted_out"]
    assert (await api.get(f"/v1/contacts/{silent}/messages")).ok()["data"] == []


async def test_a_do_not_contact_file(api: Api) -> None:
    rows = b"phone,email,reason\n+14155550913,,asked by phone\n+1 415 555 0913,,\n,Stop@Example.com,\n12ab,,\n"
    found = (await api.upload("/v1/suppressions/import", rows, file_name="stop.csv", fields={"channels": "sms"})).ok()
    assert (found["imported"], found["updated"], found["duplicates"], found["failed"]) == (2, 0, 1, 1)
    assert [(one["row"], one["code"]) for one in found["errors"]] == [(5, "invalid_phone")]
    listed = {
        one["phone"] or one["email"]: one
        for one in await api.everything("/v1/suppressions")
        if one["phone"] or one["email"]
    }
    assert set(listed) == {"+14155550913", "Stop@Example.com"}
    assert (listed["+14155550913"]["reason"], listed["+14155550913"]["channels"]) == ("asked by phone", ["sms"])
    (await api.upload("/v1/suppressions/import", b"name\nx\n")).refused(422, "unknown_columns")
    await api.delete_all(*[f"/v1/suppressions/{one['id']}" for one in listed.values()])


async def test_an_account_that_asks_for_opt_in(api: Api, contact_id: str, carrier: Carrier, sender_id: str) -> None:
    """Of two contacts only the one that opted in gets the message; the rule is read as each message is sent."""
    asked = (await api.post("/v1/contacts", {"phone": "+14155550914", "tags": ["lead"]})).ok(201)["id"]
    (await api.call("PUT", f"/v1/contacts/{asked}/preferences", json={"sms": "opted_in"})).ok()
    assert (await api.get("/v1/consent-rules")).ok() == {"require_opt_in": False}
    rule = {"field": "tags", "operator": "contains", "value": "lead"}
    segment = (await api.post("/v1/segments", {"name": "Asked", "conditions": [rule]})).ok(201)["id"]
    await eventually(lambda: api.get(f"/v1/segments/{segment}"), lambda answer: answer.ok()["member_count"] == 2)
    mark = marked("asked")
    campaign_id = await campaign(api, mark=mark, sender=sender_id, segment_id=segment)
    (await api.call("PUT", "/v1/consent-rules", json={"require_opt_in": True})).ok()
    (await api.post(f"/v1/campaigns/{campaign_id}/start")).ok()
    figures = await ended(api, campaign_id)
    assert figures["sent"] == 1
    assert [one["to"] for one in carrier.accepted(mark)] == ["+14155550914"]
    relaxed = await api.call("PUT", "/v1/consent-rules", json={"require_opt_in": False})
    assert relaxed.ok() == {"require_opt_in": False}
