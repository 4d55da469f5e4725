"""Each noun's calls: what is asked of its service, and the shape of what comes back."""

import asyncio
from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2
from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from chassis.errors import (
    FailedPrecondition,
    InvalidArgument,
    Reason,
    ResourceExhausted,
    to_status,
)
from tests.service.gateway.conftest import Gateway

CNT, CMP, TMPL, SENDER, SUP, RCP = (
    ids.encode(prefix, ids.new()) for prefix in ("cnt", "cmp", "tmpl", "sender", "sup", "rcp")
)


def stamp(message: Any, field: str, text: str) -> None:
    getattr(message, field).FromJsonString(text)


def campaign(**fields: Any) -> campaigns_pb2.Campaign:
    found = campaigns_pb2.Campaign(id=CMP, name="Spring Promotion", template_id=TMPL, sender_id=SENDER, version=4)
    found.status = campaigns_pb2.CAMPAIGN_STATUS_RUNNING
    found.stats.MergeFrom(campaigns_pb2.CampaignStats(total=10000, sent=7500, delivered=7200, failed=150, pending=2500))
    for name, value in fields.items():
        setattr(found, name, value)
    return found


async def test_contacts_are_listed_in_pages(gateway: Gateway) -> None:
    shown = b'[{"id":"%s","metadata":{"a":1}}]' % CNT.encode()
    gateway.contacts.answers["ListContacts"] = contacts_pb2.ListContactsResponse(contacts_json=shown, next_cursor="c2")
    answer = await gateway.call("GET", f"/v1/contacts?limit=1&cursor={gateway.cursor('c1')}&tag=a%2Fb&phone=+15550100")
    assert (answer.body["next_cursor"], answer.body["has_more"]) == (gateway.cursor("c2"), True)
    assert answer.body["data"] == [{"id": CNT, "metadata": {"a": 1}}]
    request = gateway.contacts.last("ListContacts").request
    assert (request.page_size, request.cursor, request.tag, request.phone) == (1, "c1", "a/b", "+15550100")
    assert (request.as_json, request.HasField("stage")) == (True, False)


async def test_a_contact_is_shown_whole(gateway: Gateway) -> None:
    found = contacts_pb2.Contact(id=CNT, metadata_json='{"a":1}', version=1, phone="+15550100")
    found.preferences["sms"] = contacts_pb2.PREFERENCE_OPTED_OUT
    found.phone_validity = contacts_pb2.VALIDITY_VALID
    gateway.contacts.answers["GetContact"] = contacts_pb2.GetContactResponse(contact=found)
    shown = (await gateway.call("GET", f"/v1/contacts/{CNT}")).body
    assert shown["preferences"] == {
        "sms": "opted_out", "whatsapp": "unknown", "email": "unknown",
        "rcs": "unknown", "viber": "unknown", "voice": "unknown",
    }  # fmt: skip
    assert shown["validity"] == {"phone": "valid", "email": "unknown"}
    assert (shown["metadata"], shown["email"], shown["created_at"]) == ({"a": 1}, None, "1970-01-01T00:00:00Z")


async def test_contacts_are_filtered_sorted_and_counted(gateway: Gateway) -> None:
    gateway.contacts.answers["ListContacts"] = contacts_pb2.ListContactsResponse(
        contacts_json=b"[]", total=7, total_is_estimate=True
    )
    query = (
        "search=joh+0123&gender=f&validity=email:unknown&channel=voice&list_id=lst_x&sort=-name&include_total=true"
        "&created_after=2026-03-01T09:00:00Z&created_before=2026-03-02T00:00:00.5Z&updated_after=2026-03-01T11:00:00%2B02:00"
    )
    answer = await gateway.call("GET", f"/v1/contacts?{query}")
    assert answer.body == {
        "data": [], "next_cursor": None, "has_more": False, "total": 7, "total_is_estimate": True
    }  # fmt: skip
    request = gateway.contacts.last("ListContacts").request
    assert (request.search, request.gender, request.list_id) == ("joh 0123", "f", "lst_x")
    assert (request.channel, request.order) == (contacts_pb2.CHANNEL_VOICE, contacts_pb2.CONTACT_ORDER_NAME_DESC)
    assert request.HasField("email_validity")
    assert not request.HasField("phone_validity")
    assert request.created_after == request.updated_after
    assert request.created_before.ToMilliseconds() % 1000 == 500
    without = await gateway.call("GET", "/v1/contacts?validity=invalid")
    assert "total" not in without.body
    request = gateway.contacts.last("ListContacts").request
    assert (request.phone_validity, request.include_total) == (contacts_pb2.VALIDITY_INVALID, False)
    assert request.order == contacts_pb2.CONTACT_ORDER_UNSPECIFIED


@pytest.mark.parametrize(
    "query",
    ["sort=stage", "validity=perhaps", "channel=fax", "created_after=yesterday", "serch=x", "include_total=maybe"],
)
async def test_what_a_list_does_not_know_is_refused_by_name(gateway: Gateway, query: str) -> None:
    answer = await gateway.call("GET", f"/v1/contacts?{query}")
    assert answer.status == 422
    assert answer.body["errors"][0]["pointer"] == "/" + query.split("=")[0]


async def test_a_lookup_takes_exactly_one_key(gateway: Gateway) -> None:
    gateway.contacts.answers["LookupContact"] = contacts_pb2.LookupContactResponse(
        contact=contacts_pb2.Contact(id=CNT, version=1), matches=2
    )
    answer = await gateway.call("GET", "/v1/contacts/lookup?email=a@example.com")
    assert (answer.body["id"], answer.body["matches"]) == (CNT, 2)
    for query in ("", "?email=a@example.com&phone=1"):
        assert (await gateway.call("GET", f"/v1/contacts/lookup{query}")).status == 422


async def test_tags_are_added_read_and_removed(gateway: Gateway) -> None:
    contact = contacts_pb2.Contact(id=CNT, version=2, tags=["a", "b/c"])
    gateway.contacts.answers["GetContact"] = contacts_pb2.GetContactResponse(contact=contact)
    gateway.contacts.answers["AddTags"] = contacts_pb2.AddTagsResponse(contact=contact)
    added = await gateway.call("POST", f"/v1/contacts/{CNT}/tags", json={"tags": ["a", "b/c"]})
    assert (added.status, added.body["tags"]) == (200, ["a", "b/c"])
    listed = await gateway.call("GET", f"/v1/contacts/{CNT}/tags")
    assert listed.body == {"data": ["a", "b/c"], "next_cursor": None, "has_more": False}
    removed = await gateway.call("DELETE", f"/v1/contacts/{CNT}/tags/b%2Fc")
    assert (removed.status, removed.body) == (204, b"")
    assert gateway.contacts.last("RemoveTag").request.tag == "b/c"


async def test_bulk_delete_answers_what_was_not_there(gateway: Gateway) -> None:
    gateway.contacts.answers["BulkDeleteContacts"] = contacts_pb2.BulkDeleteContactsResponse(
        deleted=1, not_found=["cnt_xyz789"]
    )
    answer = await gateway.call("POST", "/v1/contacts/bulk-delete", json={"contact_ids": [CNT, "cnt_xyz789"]})
    assert answer.body == {"deleted": 1, "not_found": ["cnt_xyz789"]}
    too_many = {"contact_ids": [CNT] * 1001}
    assert (await gateway.call("POST", "/v1/contacts/bulk-delete", json=too_many)).status == 422


async def test_suppressions(gateway: Gateway) -> None:
    made = contacts_pb2.Suppression(id=SUP, phone="+15550100", channels=[contacts_pb2.CHANNEL_SMS])
    gateway.contacts.answers["CreateSuppression"] = contacts_pb2.CreateSuppressionResponse(suppression=made)
    body = {"phone": "0155 50100", "channels": ["sms"], "reason": "asked"}
    answer = await gateway.call("POST", "/v1/suppressions?default_region=DE", json=body)
    assert answer.status == 201
    assert (answer.body["id"], answer.body["channels"], answer.body["reason"]) == (SUP, ["sms"], None)
    request = gateway.contacts.last("CreateSuppression").request
    assert (request.phone, request.default_region, request.HasField("email")) == ("0155 50100", "DE", False)
    assert (await gateway.call("DELETE", f"/v1/suppressions/{SUP}")).status == 204
    assert (await gateway.call("GET", "/v1/suppressions")).body["data"] == []


async def test_templates(gateway: Gateway) -> None:
    made = campaigns_pb2.Template(id=TMPL, name="T", channel=contacts_pb2.CHANNEL_SMS, body="Hi {{ name }}")
    made.variables.append("name")
    gateway.campaigns.answers["CreateTemplate"] = campaigns_pb2.CreateTemplateResponse(template=made)
    answer = await gateway.call("POST", "/v1/templates", json={"name": "T", "body": "Hi {{ name }}"})
    assert (answer.status, answer.body["channel"], answer.body["variables"]) == (201, "sms", ["name"])
    assert answer.body["subject"] is None
    await gateway.call("PUT", f"/v1/templates/{TMPL}", json={"subject": None})
    assert gateway.campaigns.last("UpdateTemplate").request.clear == ["subject"]


async def test_senders_never_read_their_secrets_back(gateway: Gateway) -> None:
    made = campaigns_pb2.Sender(id=SENDER, name="S", channel=contacts_pb2.CHANNEL_SMS, address="X", provider="http")
    made.settings_json = '{"url": "http://p"}'
    made.receipts_path = f"/hooks/{SENDER}/token/receipts"
    gateway.campaigns.answers["CreateSender"] = campaigns_pb2.CreateSenderResponse(sender=made)
    body = {"name": "S", "channel": "sms", "address": "X", "settings": {"url": "http://p"}, "secrets": {"a": "hidden"}}
    answer = await gateway.call("POST", "/v1/senders", json=body)
    assert answer.status == 201
    assert "hidden" not in str(answer.body)
    assert answer.body["receipts_url"] == f"{gateway.url}/hooks/{SENDER}/token/receipts"
    assert (answer.body["settings"], answer.body["rate_limit_per_second"]) == ({"url": "http://p"}, None)
    assert gateway.campaigns.last("CreateSender").request.secrets_json == '{"a":"hidden"}'


async def test_a_campaign_has_the_shape_of_the_seed(gateway: Gateway) -> None:
    gateway.campaigns.answers["CreateCampaign"] = campaigns_pb2.CreateCampaignResponse(campaign=campaign())
    body = {"name": "Spring", "template_id": TMPL, "sender_id": SENDER, "schedule_at": "2026-03-01T09:00:00+02:00"}
    answer = await gateway.call("POST", "/v1/campaigns", json=body)
    assert answer.status == 201
    assert answer.body["stats"] == {
        "total": 10000, "sent": 7500, "delivered": 7200, "failed": 150, "pending": 2500,
        "skipped": 0, "uncertain": 0, "opened": 0, "clicked": 0,
    }  # fmt: skip
    assert (answer.body["status"], answer.body["segment_id"], answer.body["schedule_at"]) == ("running", None, None)
    request = gateway.campaigns.last("CreateCampaign").request
    assert request.schedule_at.ToJsonString() == "2026-03-01T07:00:00Z"


@pytest.mark.parametrize("moment", ["2026-03-01", "2026-03-01T09:00:00", 1772355600, "soon", ""])
async def test_a_time_needs_its_offset(gateway: Gateway, moment: object) -> None:
    body = {"name": "x", "template_id": TMPL, "schedule_at": moment}
    answer = await gateway.call("POST", "/v1/campaigns", json=body)
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "/schedule_at")


async def test_an_update_of_a_campaign_clears_what_is_null(gateway: Gateway) -> None:
    await gateway.call("PUT", f"/v1/campaigns/{CMP}", json={"schedule_at": None, "segment_id": None, "variables": None})
    request = gateway.campaigns.last("UpdateCampaign").request
    assert list(request.clear) == ["schedule_at", "segment_id"]
    assert (request.variables_json, request.HasField("name")) == ("{}", False)
    assert (await gateway.call("PUT", f"/v1/campaigns/{CMP}", json={"sender_id": None})).status == 422


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "cancel"])
async def test_a_verb_answers_the_campaign_or_the_state_that_it_does_not_fit(gateway: Gateway, verb: str) -> None:
    rpc = f"{verb.capitalize()}Campaign"
    response = getattr(campaigns_pb2, f"{rpc}Response")
    gateway.campaigns.answers[rpc] = response(campaign=campaign())
    answer = await gateway.call("POST", f"/v1/campaigns/{CMP}/{verb}")
    assert (answer.status, answer.body["id"]) == (200, CMP)
    gateway.campaigns.answers[rpc] = FailedPrecondition(
        Reason.INVALID_STATE, "It is cancelled.", metadata={"status": "cancelled"}
    )
    refused = await gateway.call("POST", f"/v1/campaigns/{CMP}/{verb}")
    assert (refused.status, refused.code, refused.body["current_status"]) == (409, "invalid_state", "cancelled")
    assert (await gateway.call("POST", f"/v1/campaigns/{CMP}/{verb}", json={"force": True})).status == 422


async def test_recipients_by_number_and_by_cursor(gateway: Gateway) -> None:
    response = campaigns_pb2.ListRecipientsResponse(total=10000, next_cursor="next", channel=contacts_pb2.CHANNEL_SMS)
    one = response.recipients.add(id=RCP, address="+1234567890", variables_json='{"name":"John","code":"SAVE20"}')
    one.status = campaigns_pb2.RECIPIENT_STATUS_DELIVERED
    stamp(one, "sent_at", "2026-03-01T09:05:00Z")
    gateway.campaigns.answers["ListRecipients"] = response
    answer = await gateway.call("GET", f"/v1/campaigns/{CMP}/recipients?page=1&per_page=20")
    assert {**answer.body, "data": None} == {"data": None, "total": 10000, "page": 1, "per_page": 20}
    assert answer.body["data"][0] == {
        "phone": "+1234567890",
        "variables": {"name": "John", "code": "SAVE20"},
        "status": "delivered",
        "sent_at": "2026-03-01T09:05:00Z",
        "id": RCP,
        "contact_id": None,
        "reason": None,
        "delivered_at": None,
        "opened_at": None,
        "clicked_at": None,
    }
    by_cursor = await gateway.call("GET", f"/v1/campaigns/{CMP}/recipients?limit=7&status=delivered")
    assert (by_cursor.body["next_cursor"], by_cursor.body["has_more"]) == (gateway.cursor("next"), True)
    request = gateway.campaigns.last("ListRecipients").request
    assert (request.page, request.per_page) == (0, 7)
    assert request.status == campaigns_pb2.RECIPIENT_STATUS_DELIVERED
    deep = await gateway.call("GET", f"/v1/campaigns/{CMP}/recipients?page=2000&per_page=100")
    assert (deep.status, deep.body["errors"][0]["pointer"]) == (422, "/page")


TAKEN = campaigns_pb2.TakeHookResponse(stored=1, body=b"<Response/>", content_type="text/xml")


def hook_path(gateway: Gateway, name: str) -> str:
    return f"/hooks/{SENDER}/{gateway.account.account_id.removeprefix('acct_')}.s3cret/{name}"


@pytest.mark.parametrize(
    ("name", "hook"), [("receipts", campaigns_pb2.HOOK_RECEIPTS), ("inbound", campaigns_pb2.HOOK_INBOUND)]
)
async def test_what_providers_post_goes_on_as_it_came(gateway: Gateway, name: str, hook: int) -> None:
    gateway.campaigns.answers["TakeHook"] = TAKEN
    gateway.campaigns.answers["TakeReceipts"] = campaigns_pb2.TakeReceiptsResponse(
        results=[campaigns_pb2.TakenPost(taken=TAKEN)]
    )
    path = hook_path(gateway, name)
    body = b"MessageSid=SM1&Body=h%C3%A4+llo"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": "abc=", "X-Other": "x"}
    answer = await gateway.call("POST", f"{path}?bodySHA256=ff", key=None, data=body, headers=headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    (got,) = gateway.campaigns.received
    post = got.request.posts[0] if got.method == "TakeReceipts" else got.request
    assert got.call.account == gateway.account_id
    assert (post.sender_id, post.token, post.hook) == (SENDER, "s3cret", hook)
    assert (post.body, post.query) == (body, "bodySHA256=ff")
    assert post.content_type == "application/x-www-form-urlencoded"
    assert dict(post.signatures) == {"x-twilio-signature": "abc="}
    for bad in (f"/hooks/{SENDER}/short.s/{name}", f"/hooks/x/{path.split('/')[3]}/{name}"):
        assert (await gateway.call("POST", bad, key=None, data=body)).status == 404
    large = await gateway.call("POST", path, key=None, data=b"x" * ((1 << 20) + 1))
    assert (large.status, large.body["code"]) == (413, "payload_too_large")


async def test_receipts_that_come_together_are_handed_over_together_and_answered_each(gateway: Gateway) -> None:
    def take(request: campaigns_pb2.TakeReceiptsRequest) -> campaigns_pb2.TakeReceiptsResponse:
        bad = to_status(InvalidArgument(Reason.VALIDATION_FAILED, "bad")).SerializeToString()
        return campaigns_pb2.TakeReceiptsResponse(
            results=[
                campaigns_pb2.TakenPost(refused=bad)
                if post.body == b"7"
                else campaigns_pb2.TakenPost(
                    taken=campaigns_pb2.TakeHookResponse(body=post.body, content_type="application/json")
                )
                for post in request.posts
            ]
        )

    gateway.campaigns.answers["TakeReceipts"] = take
    path = hook_path(gateway, "receipts")
    answers = await asyncio.gather(
        *(gateway.call("POST", path, key=None, data=str(number).encode()) for number in range(20))
    )
    assert [answer.status for answer in answers] == [422 if number == 7 else 200 for number in range(20)]
    assert [answer.body for at, answer in enumerate(answers) if at != 7] == [at for at in range(20) if at != 7]
    assert sum(len(one.request.posts) for one in gateway.campaigns.received) == 20
    assert len(gateway.campaigns.received) < 20


@pytest.mark.parametrize("method", ["TakeReceipts", "TakeHook"])
async def test_beyond_the_capacity_providers_are_told_when_to_come_back(gateway: Gateway, method: str) -> None:
    full = ResourceExhausted(Reason.OVERLOADED, "later", metadata={"retry_after": "1"})
    gateway.campaigns.answers[method] = full
    path = hook_path(gateway, "receipts" if method == "TakeReceipts" else "inbound")
    answer = await gateway.call("POST", path, key=None, json={"receipts": []})
    assert (answer.status, answer.headers["retry-after"], answer.body["code"]) == (503, "1", "overloaded")
    assert len(gateway.campaigns.received) == 1


async def test_a_timeline_is_paged(gateway: Gateway) -> None:
    minute = campaigns_pb2.TimelineMinute(sent=5, failed=-1)
    stamp(minute, "minute", "2026-03-01T09:05:00Z")
    gateway.campaigns.answers["GetTimeline"] = campaigns_pb2.GetTimelineResponse(minutes=[minute], next_cursor="c2")
    answer = await gateway.call("GET", f"/v1/campaigns/{CMP}/timeline?limit=1&cursor={gateway.cursor('c1')}")
    assert answer.body == {
        "data": [
            {
                "minute": "2026-03-01T09:05:00Z", "sent": 5, "delivered": 0, "failed": -1, "skipped": 0,
                "uncertain": 0, "opened": 0, "clicked": 0,
            }
        ],
        "next_cursor": gateway.cursor("c2"),
        "has_more": True,
    }  # fmt: skip
    request = gateway.campaigns.last("GetTimeline").request
    assert (request.campaign_id, request.page_size, request.cursor) == (CMP, 1, "c1")
