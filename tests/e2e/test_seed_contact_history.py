"""Seed 002: tags, timeline, preferences and opt-outs, as the document names the calls; and how they meet: a
campaign's messages show on the timelines of those it reached, and of nobody who opted out."""

from typing import Any

import pytest_asyncio

from tests.e2e.client import Api, Carrier, eventually
from tests.e2e.test_campaign import campaign, ended, marked

PHONE = "+14155550110"


@pytest_asyncio.fixture
async def contact_id(api: Api) -> str:
    await api.empty_address_book()
    body = {"phone": PHONE, "email": "ann@example.com", "name": "Ann Archer", "tags": ["lead"]}
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


async def test_an_import_does_not_turn_an_opt_out_back(api: Api, contact_id: str) -> None:
    await api.call("PUT", f"/v1/contacts/{contact_id}/preferences", json={"sms": "opted_out"})
    rows = f"phone,name,sms,preferences\n{PHONE},Anna,opted_in,sms=opted_in\n".encode()
    for on_duplicate in ("skip", "merge", "update"):
        (await api.upload("/v1/contacts/import", rows, fields={"on_duplicate": on_duplicate})).ok()
        upsert = {"phone": PHONE, "first_name": "Ann"}
        assert (await api.post("/v1/contacts?on_conflict=update", upsert)).ok()["preferences"]["sms"] == "opted_out"


async def test_opt_outs(api: Api, contact_id: str) -> None:
    other = (await api.post("/v1/contacts", {"phone": "+14155550111"})).ok(201)["id"]
    for one, said in ((contact_id, {"sms": "opted_out"}), (other, {"sms": "opted_out", "viber": "opted_out"})):
        (await api.call("PUT", f"/v1/contacts/{one}/preferences", json={"preferences": said})).ok()
    assert [one["id"] for one in await api.everything("/v1/contacts/optouts")] == [other, contact_id]
    page = (await api.get("/v1/contacts/optouts?limit=1")).ok()
    assert (len(page["data"]), page["has_more"]) == (1, True)
    (viber,) = (await api.get("/v1/contacts/optouts?channel=viber")).ok()["data"]
    assert (viber["id"], viber["phone"]) == (other, "+14155550111")
    assert {entry["channel"] for entry in viber["optouts"]} == {"sms", "viber"}
    found = await eventually(lambda: api.get("/v1/contacts/optouts?search=ann+0110"), lambda found: found.ok()["data"])
    assert [one["id"] for one in found.body["data"]] == [contact_id]
    (await api.call("PUT", f"/v1/contacts/{other}/preferences", json={"viber": "opted_in"})).ok()
    assert (await api.get("/v1/contacts/optouts?channel=viber")).ok()["data"] == []


async def timeline(api: Api, contact_id: str) -> list[dict[str, Any]]:
    return await api.everything(f"/v1/contacts/{contact_id}/activity")


async def test_activity_and_messages_of_a_campaign(api: Api, contact_id: str, carrier: Carrier, sender_id: str) -> None:
    """One contact gets the message; the other opted out, and gets none."""
    silent = (await api.post("/v1/contacts", {"phone": "+14155550112", "tags": ["lead"]})).ok(201)["id"]
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
    assert [one["to"] for one in carrier.accepted(mark)] == [PHONE]

    found = await eventually(lambda: timeline(api, contact_id), lambda found: len(found) == 3)
    assert [one["type"] for one in found] == ["message.delivered", "message.sent", "agent.note"]
    assert {one["campaign_id"] for one in found[:2]} == {campaign_id}
    assert (found[2]["text"], found[2]["data"]) == (note["text"], note["data"])
    (message,) = (await api.get(f"/v1/contacts/{contact_id}/messages")).ok()["data"]
    assert (message["status"], message["to"], message["channel"]) == ("delivered", PHONE, "sms")
    assert message["id"] == found[0]["message_id"]
    assert [one["type"] for one in await timeline(api, silent)] == ["contact.opted_out"]
    assert (await api.get(f"/v1/contacts/{silent}/messages")).ok()["data"] == []


async def test_a_do_not_contact_file(api: Api) -> None:
    rows = b"phone,email,reason\n+14155550113,,asked by phone\n+1 415 555 0113,,\n,Stop@Example.com,\n12ab,,\n"
    found = (await api.upload("/v1/suppressions/import", rows, file_name="stop.csv", fields={"channels": "sms"})).ok()
    assert (found["imported"], found["updated"], found["duplicates"], found["failed"]) == (2, 0, 1, 1)
    assert [(one["row"], one["code"]) for one in found["errors"]] == [(5, "invalid_phone")]
    listed = {one["phone"] or one["email"]: one for one in await api.everything("/v1/suppressions")}
    assert set(listed) == {"+14155550113", "Stop@Example.com"}
    assert (listed["+14155550113"]["reason"], listed["+14155550113"]["channels"]) == ("asked by phone", ["sms"])
    (await api.upload("/v1/suppressions/import", b"name\nx\n")).refused(422, "unknown_columns")
    await api.delete_all(*[f"/v1/suppressions/{one['id']}" for one in listed.values()])
