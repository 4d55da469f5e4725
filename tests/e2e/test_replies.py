"""People answer: STOP is in force when it is acknowledged, a reply stands on the timeline and moves a segment."""

import asyncio

import aiohttp

from tests.e2e.client import Api, eventually

PHONE, STRANGER = "+491511234777", "+491511234778"


async def receive(api: Api, sender_id: str, http: aiohttp.ClientSession, text: str, *, id: str, phone: str) -> int:
    """The status that the provider is answered with."""
    url = (await api.get(f"/v1/senders/{sender_id}")).ok()["receipts_url"]
    inbound = url.removesuffix("/receipts") + "/inbound"
    message = {"id": id, "from": phone, "to": "CARILLON", "text": text}
    async with http.post(inbound, json={"messages": [message]}) as answer:
        return answer.status


async def test_a_campaign_is_answered(api: Api, sender_id: str, http: aiohttp.ClientSession) -> None:
    contact = (await api.post("/v1/contacts", {"phone": PHONE, "first_name": "Ann"})).ok(201)["id"]
    rule = {"field": "last_replied_at", "operator": "in_last", "value": "1d"}
    segment = (await api.post("/v1/segments", {"name": "R", "conditions": [rule]})).ok(201)["id"]
    template = (await api.post("/v1/templates", {"name": "T", "body": "Hi"})).ok(201)["id"]
    body = {"name": "C", "template_id": template, "sender_id": sender_id, "contact_ids": [contact]}
    campaign = (await api.post("/v1/campaigns", body)).ok(201)["id"]
    (await api.post(f"/v1/campaigns/{campaign}/start")).ok()
    await eventually(lambda: api.get(f"/v1/campaigns/{campaign}"), lambda found: found.body["stats"]["delivered"] == 1)

    assert await receive(api, sender_id, http, "Don't stop!", id="m1", phone=PHONE) == 200
    members = await eventually(
        lambda: api.get(f"/v1/segments/{segment}/members"), lambda found: len(found.body.get("data", [])) == 1
    )
    assert members.ok()["data"][0]["contact"]["id"] == contact
    messages = (await api.get(f"/v1/contacts/{contact}/messages")).ok()["data"]
    inbound = [one for one in messages if one["direction"] == "inbound"]
    assert [(one["from"], one["text"], one["campaign_id"]) for one in inbound] == [(PHONE, "Don't stop!", campaign)]
    assert (await api.get(f"/v1/contacts/{contact}")).ok()["preferences"]["sms"] == "unknown"

    # What is acknowledged is in force: no waiting here.
    assert await receive(api, sender_id, http, "Stopp.", id="m2", phone=PHONE) == 200
    assert (await api.get(f"/v1/contacts/{contact}")).ok()["preferences"]["sms"] == "opted_out"
    (evidence,) = (await api.get(f"/v1/contacts/{contact}/consents")).ok()["data"]
    assert (evidence["source"], evidence["text"]) == ("reply", "Stopp.")
    types = [one["type"] for one in (await api.get(f"/v1/contacts/{contact}/activity")).ok()["data"]]
    assert types.count("message.received") == 2
    assert "contact.opted_out" in types

    statuses = await asyncio.gather(
        *(receive(api, sender_id, http, "STOP", id=f"s{number}", phone=STRANGER) for number in range(5))
    )
    assert statuses == [200] * 5
    (entry,) = [one for one in await api.everything("/v1/suppressions") if one["phone"] == STRANGER]
    assert entry["channels"] == ["sms"]

    timeline = (await api.get(f"/v1/campaigns/{campaign}/timeline")).ok()["data"]
    assert (sum(one["sent"] for one in timeline), sum(one["delivered"] for one in timeline)) == (1, 1)
