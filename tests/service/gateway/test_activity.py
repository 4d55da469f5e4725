"""A contact's timeline and messages: what is asked, and the shape of what comes back."""

from typing import Any

import pytest

from carillon.contacts.v1 import activity_pb2 as pb
from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from tests.service.gateway.conftest import Gateway

CNT = ids.encode("cnt", ids.new())
AT = "2026-03-01T09:00:00Z"


async def test_a_timeline_is_read(gateway: Gateway) -> None:
    sent = pb.Activity(
        id="act_2", type="message.sent", channel=contacts_pb2.CHANNEL_SMS, message_id="rcp_1", campaign_id="cmp_1"
    )
    note = pb.Activity(id="act_1", type="agent.note", text="Hi", data_json='{"a":1}', actor="key_1")
    for one in (sent, note):
        one.at.FromJsonString(AT)
    gateway.activity.answers["ListActivity"] = pb.ListActivityResponse(activity=[sent, note], next_cursor="c2")
    answer = await gateway.call("GET", f"/v1/contacts/{CNT}/activity?limit=2&cursor={gateway.cursor('c1')}")
    assert answer.body == {
        "data": [
            {
                "id": "act_2", "type": "message.sent", "at": AT, "channel": "sms", "text": None, "data": {},
                "actor": None, "message_id": "rcp_1", "campaign_id": "cmp_1",
            },
            {
                "id": "act_1", "type": "agent.note", "at": AT, "channel": None, "text": "Hi", "data": {"a": 1},
                "actor": "key_1", "message_id": None, "campaign_id": None,
            },
        ],
        "next_cursor": gateway.cursor("c2"),
        "has_more": True,
    }  # fmt: skip
    request = gateway.activity.last("ListActivity").request
    assert (request.contact_id, request.page_size, request.cursor) == (CNT, 2, "c1")


async def test_an_entry_is_added(gateway: Gateway) -> None:
    made = pb.Activity(id="act_1", type="agent.note")
    gateway.activity.answers["AddActivity"] = pb.AddActivityResponse(activity=made)
    body = {"type": "agent.note", "text": "Hi", "data": {"a": 1}, "channel": "voice", "at": "2026-03-01T10:00:00+01:00"}
    path, headers = f"/v1/contacts/{CNT}/activity", {"Idempotency-Key": "k"}
    answer = await gateway.call("POST", path, json=body, headers=headers)
    assert (answer.status, answer.headers["location"], answer.body["id"]) == (201, path, "act_1")
    received = gateway.activity.last("AddActivity")
    request = received.request
    assert (request.type, request.text, request.data_json) == ("agent.note", "Hi", '{"a":1}')
    assert (request.channel, request.at.ToJsonString()) == (contacts_pb2.CHANNEL_VOICE, AT)
    assert request.actor.startswith("key_")
    assert received.call.idempotency is not None
    await gateway.call("POST", path, json={"type": "agent.note"})
    assert not gateway.activity.last("AddActivity").request.HasField("at")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/type"),
        ({"type": "agent.note", "at": "yesterday"}, "/at"),
        ({"type": "agent.note", "at": "0001-01-01T00:00:00+14:00"}, "/at"),
        ({"type": "agent.note", "at": "9999-12-31T23:59:59-14:00"}, "/at"),
        ({"type": "agent.note", "data": [1]}, "/data"),
        ({"type": "agent.note", "channel": "fax"}, "/channel"),
        ({"type": "agent.note", "note": "x"}, "/note"),
    ],
)
async def test_entries_that_are_refused(gateway: Gateway, body: Any, pointer: str) -> None:
    answer = await gateway.call("POST", f"/v1/contacts/{CNT}/activity", json=body)
    assert (answer.status, [one["pointer"] for one in answer.body["errors"]]) == (422, [pointer])


async def test_messages_are_listed(gateway: Gateway) -> None:
    message = pb.ContactMessage(
        id="rcp_1", campaign_id="cmp_1", channel=contacts_pb2.CHANNEL_SMS, address="+15550100", status="delivered"
    )
    message.sent_at.FromJsonString(AT)
    message.delivered_at.FromJsonString("2026-03-01T09:00:01.5Z")
    reply = pb.ContactMessage(
        id="msg_1", channel=contacts_pb2.CHANNEL_SMS, address="+15550100", status="received", text="Hi", to="+15550199"
    )
    reply.received_at.FromJsonString(AT)
    gateway.activity.answers["ListMessages"] = pb.ListMessagesResponse(messages=[message, reply])
    answer = await gateway.call("GET", f"/v1/contacts/{CNT}/messages")
    assert answer.body == {
        "data": [
            {
                "id": "rcp_1", "direction": "outbound", "campaign_id": "cmp_1", "channel": "sms", "from": None,
                "to": "+15550100", "text": None, "status": "delivered", "reason": None, "sent_at": AT,
                "delivered_at": "2026-03-01T09:00:01.500000Z", "opened_at": None, "clicked_at": None,
                "failed_at": None, "received_at": None,
            },
            {
                "id": "msg_1", "direction": "inbound", "campaign_id": None, "channel": "sms", "from": "+15550100",
                "to": "+15550199", "text": "Hi", "status": "received", "reason": None, "sent_at": None,
                "delivered_at": None, "opened_at": None, "clicked_at": None, "failed_at": None, "received_at": AT,
            },
        ],
        "next_cursor": None,
        "has_more": False,
    }  # fmt: skip
