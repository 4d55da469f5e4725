"""Senders of every kind that the carrier simulator speaks, and what a template says before it is sent."""

from typing import Any

import pytest

from tests.e2e.client import Api, Carrier, eventually
from tests.e2e.test_campaign import ended, marked


async def sender(api: Api, provider: str, settings: dict[str, Any], **more: Any) -> str:
    body = {"name": provider, "channel": "sms", "address": "+15550100", "provider": provider, "settings": settings}
    return str((await api.post("/v1/senders", body | more)).ok(201)["id"])


async def test_a_campaign_in_batches(api: Api, carrier: Carrier) -> None:
    mark = marked("batches")
    settings = {"url": f"{carrier.url}/messages", "batch_url": f"{carrier.url}/messages/batch", "max_batch": 20}
    template = {"name": mark, "body": mark + " {{ name }}{% if plan %}, {{ plan }}{% endif %}"}
    template_id = (await api.post("/v1/templates", template)).ok(201)["id"]
    body = {"name": mark, "template_id": template_id, "sender_id": await sender(api, "http", settings)}
    made = (await api.post("/v1/campaigns", body)).ok(201)["id"]
    rows = "phone,name\n" + "".join(f"+1555040{number:04d},N{number}\n" for number in range(99)) + "+15550409999,\n"
    (await api.upload(f"/v1/campaigns/{made}/recipients", rows.encode())).ok()
    (await api.post(f"/v1/campaigns/{made}/start")).ok()
    found = await ended(api, made)
    assert (found["sent"], found["delivered"], found["skipped"]) == (99, 99, 1)
    assert len(carrier.accepted(mark)) == 99
    skipped = (await api.get(f"/v1/campaigns/{made}/recipients?status=skipped")).ok()["data"]
    assert [(one["phone"], one["reason"]) for one in skipped] == [("+15550409999", "missing_variable:name")]


@pytest.mark.parametrize(("channel", "prefix"), [("sms", ""), ("whatsapp", "whatsapp:")])
async def test_a_sender_of_twilio_is_tried_out(api: Api, carrier: Carrier, channel: str, prefix: str) -> None:
    mark = marked("twilio")
    made = await sender(
        api, "twilio", {"account_sid": "AC1", "base_url": carrier.url}, channel=channel, secrets={"auth_token": "t"}
    )
    answer = (await api.post(f"/v1/senders/{made}/test", {"to": "+15550400001", "text": mark})).ok()
    (line,) = carrier.accepted(mark)
    assert (answer["status"], answer["provider_message_id"], line["to"]) == (
        "sent",
        line["id"],
        f"{prefix}+15550400001",
    )


async def test_what_a_provider_does_not_know_is_refused(api: Api) -> None:
    body = {"name": "x", "channel": "sms", "address": "+1", "provider": "twilio", "settings": {"url": "http://x"}}
    answer = await api.post("/v1/senders", body)
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "/settings/url")


async def test_a_template_shows_what_it_says(api: Api) -> None:
    (await api.post("/v1/contacts", {"phone": "+15550409001", "first_name": "Zoë", "metadata": {"plan": "gold"}})).ok(
        201
    )
    contact = (await api.get("/v1/contacts/lookup?phone=%2B15550409001")).ok()["id"]
    body = {"name": "T", "body": "Hi {{ first_name }}, your plan is {{ plan }}. {{ code }}"}
    template = (await api.post("/v1/templates", body)).ok(201)["id"]
    shown = (await api.post(f"/v1/templates/{template}/render", {"contact_id": contact})).ok()
    assert shown == {
        "channel": "sms", "text": "Hi Zoë, your plan is gold. ", "subject": None, "html": None, "whatsapp": None,
        "encoding": "ucs2", "characters": 27, "parts": 1, "missing": ["code"],
    }  # fmt: skip
    mail = {"name": "M", "channel": "email", "subject": "S", "body": "B", "html": "<p>{{ name }}</p>"}
    made = (await api.post("/v1/templates", mail)).ok(201)
    shown = (await api.post(f"/v1/templates/{made['id']}/render", {"variables": {"name": "<3"}})).ok()
    assert (shown["html"], shown["parts"]) == ("<p>&lt;3</p>", None)
    cleared = (await api.call("PATCH", f"/v1/templates/{made['id']}", json={"html": None})).ok()
    assert (cleared["html"], cleared["subject"]) == (None, "S")


async def test_a_test_keys_campaign_reaches_nobody(api: Api, carrier: Carrier) -> None:
    mark = marked("test-key")
    asked = {"name": mark, "mode": "test", "scopes": ["campaigns:*"]}
    key = (await api.post("/v1/api-keys", asked)).ok(201)["key"]
    testing = Api(api.url, key, api.http)
    live = await sender(api, "http", {"url": f"{carrier.url}/messages"})
    template = (await testing.post("/v1/templates", {"name": mark, "body": mark})).ok(201)["id"]
    body = {"name": mark, "template_id": template, "sender_id": live}
    made = (await testing.post("/v1/campaigns", body)).ok(201)
    assert made["test"] is True
    (await testing.upload(f"/v1/campaigns/{made['id']}/recipients", b"phone\n+15550409101\n+15550409102\n")).ok()
    (await testing.post(f"/v1/campaigns/{made['id']}/start")).ok()
    found = await eventually(
        lambda: testing.get(f"/v1/campaigns/{made['id']}"), lambda answer: answer.ok()["status"] == "completed"
    )
    assert found.body["stats"]["sent"] == 2
    assert carrier.accepted(mark) == []
    # What reaches people is not a test key's to start.
    real = (await api.post("/v1/campaigns", body)).ok(201)["id"]
    assert (await testing.post(f"/v1/campaigns/{real}/start")).status == 403
