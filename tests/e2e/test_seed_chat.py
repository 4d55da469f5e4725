"""Seed 003: the chat dialect. Every call as the document prints it, with the key as `apiKey`, in the query or in a
header, and every name as printed there, camelCase and snake_case mixed."""

import secrets
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.client import Answered, Api, Carrier, eventually
from tests.e2e.otlp import Spans
from tests.e2e.test_campaign import campaign, ended, marked
from tests.throwaway_stack import ThrowawayStack

BASE = "/compat/chat"
# The document's example.
PHONE = "+1234567890"
# Every field of the document's body.
EVERYTHING: dict[str, Any] = {
    "phoneNumber": PHONE,
    "firstName": "John",
    "lastName": "Doe",
    "email": "john@example.com",
    "instagramId": "john.doe",
    "currentCampaign": "spring",
    "currentCampaignData": {"step": 2, "seen": ["a", "b"]},
    "channel": "instagram",
    "isChatWindowOpen": True,
    "externalId": "crm-4711",
    "customChannel": "kiosk",
    "chatWidgetId": "widget-1",
    "is_bot_active": False,
    "do_not_disturb": True,
}
NULLABLE = (
    "instagramId",
    "currentCampaign",
    "currentCampaignData",
    "channel",
    "externalId",
    "customChannel",
    "chatWidgetId",
)
DEFAULTS = {
    "firstName": "Unknown",
    "lastName": "Unknown",
    "email": None,
    **dict.fromkeys(NULLABLE),
    "isChatWindowOpen": False,
    "is_bot_active": True,
    "do_not_disturb": False,
}


@dataclass
class Chat:
    """A client of the document: the key in the query, or in the header `apiKey`, and no other."""

    api: Api

    async def call(self, method: str, path: str, *, in_query: bool = True, **more: Any) -> Answered:
        headers = dict(more.pop("headers", {}))
        url = f"{self.api.url}{BASE}{path}"
        if in_query:
            url += f"{'&' if '?' in path else '?'}apiKey={self.api.key}"
        else:
            headers["apiKey"] = self.api.key
        async with self.api.http.request(method, url, headers=headers, **more) as answer:
            assert answer.content_type.endswith("json"), await answer.text()
            return Answered(answer.status, answer.headers, await answer.json(content_type=None))

    async def create(self, **fields: Any) -> dict[str, Any]:
        found: dict[str, Any] = (await self.call("POST", "/contacts", json={"phoneNumber": PHONE, **fields})).ok()
        return found


@pytest_asyncio.fixture
async def chat(api: Api) -> Chat:
    await api.empty_address_book()
    return Chat(api)


async def test_create_new_contact_with_a_phone_number_alone(chat: Chat, api: Api) -> None:
    contact = await chat.create()
    assert contact == {"id": contact["id"], "contactId": contact["id"], "phoneNumber": PHONE, **DEFAULTS}
    # The defaults are shown, and nothing of them is stored.
    stored = (await api.get(f"/v1/contacts/{contact['id']}")).ok()
    assert [stored[name] for name in ("first_name", "last_name", "name", "email")] == [None] * 4


async def test_create_new_contact_with_every_field(chat: Chat, api: Api) -> None:
    contact = await chat.create(**EVERYTHING)
    assert contact == {"id": contact["id"], "contactId": contact["id"], **EVERYTHING}
    stored = (await api.get(f"/v1/contacts/{contact['id']}")).ok()
    assert (stored["first_name"], stored["instagram_id"], stored["external_id"]) == ("John", "john.doe", "crm-4711")
    assert (stored["current_campaign_data"], stored["is_chat_window_open"]) == ({"step": 2, "seen": ["a", "b"]}, True)
    again = await chat.call("POST", "/contacts", json=EVERYTHING)
    assert again.refused(409, "contact_exists")["existing_id"] == contact["id"]


async def test_what_the_document_calls_nullable_may_be_null(chat: Chat) -> None:
    contact = await chat.create(**dict.fromkeys(NULLABLE))
    assert contact == {"id": contact["id"], "contactId": contact["id"], "phoneNumber": PHONE, **DEFAULTS}


@pytest.mark.parametrize("in_query", [True, False], ids=["key in the query", "key in a header"])
async def test_get_contact_by_phone_number_or_email(chat: Chat, in_query: bool) -> None:
    contact = await chat.create(**EVERYTHING)
    # A + means a blank in a query, and the document's example has it bare.
    for asked in (
        "phoneNumber=+1234567890",
        "phoneNumber=%2B1234567890",
        "email=john@example.com",
        "phoneNumber=&email=John@Example.com",
    ):
        assert (await chat.call("GET", f"/contacts?{asked}", in_query=in_query)).ok() == contact
    (await chat.call("GET", "/contacts?phoneNumber=%2B1234567899", in_query=in_query)).refused(404, "not_found")


@pytest.mark.parametrize("asked", ["", "?phoneNumber=%2B1234567890&email=john@example.com"], ids=["neither", "both"])
async def test_get_contact_takes_one_of_the_two(chat: Chat, asked: str) -> None:
    problem = (await chat.call("GET", f"/contacts{asked}")).refused(422, "validation_failed")
    assert problem["errors"][0]["pointer"] == "/phoneNumber"


async def test_update_contact(chat: Chat) -> None:
    contact = await chat.create(**EVERYTHING)
    path = f"/contacts/{contact['contactId']}"
    named = {"firstName": "Jane", "lastName": "Roe", "email": "jane@example.com"}
    changed = {**named, "is_bot_active": True, "do_not_disturb": False}
    answer = await chat.call("PUT", path, json=changed)
    assert answer.ok() == {**contact, **changed}
    assert "carillon-ignored-fields" not in answer.headers
    # Only the fields sent.
    assert (await chat.call("PUT", path, json={"lastName": None})).ok() == {**contact, **changed, "lastName": "Unknown"}
    (await chat.call("PUT", "/contacts/cnt_abc123", json=named)).refused(404, "not_found")


async def test_what_a_call_does_not_know_is_ignored_and_told(chat: Chat) -> None:
    contact = await chat.create()
    body = {"firstName": "Jane", "first_name": "Ann", "phoneNumber": "+14155550123", "größe": 3}
    answer = await chat.call("PUT", f"/contacts/{contact['id']}?verbose=1", json=body)
    assert answer.ok() == {**contact, "firstName": "Jane"}
    assert answer.headers["carillon-ignored-fields"] == "verbose, first_name, phoneNumber, gr%C3%B6%C3%9Fe"


async def test_errors_name_the_fields_of_the_document(chat: Chat) -> None:
    missing = (await chat.call("POST", "/contacts", json={"phone": PHONE})).refused(422, "validation_failed")
    assert [(one["pointer"], one["code"]) for one in missing["errors"]] == [("/phoneNumber", "required")]
    bad = (await chat.call("POST", "/contacts", json={"phoneNumber": "call me"})).refused(422, "invalid_phone")
    assert [one["pointer"] for one in bad["errors"]] == ["/phoneNumber"]
    body = {
        "phoneNumber": PHONE,
        "currentCampaignData": {"a": {"b": {"c": {"d": {"e": {}}}}}},
        "isChatWindowOpen": "no",
    }
    several = (await chat.call("POST", "/contacts", json=body)).refused(422, "validation_failed")
    assert {one["pointer"] for one in several["errors"]} == {"/currentCampaignData", "/isChatWindowOpen"}
    (await chat.call("GET", "/contacts?phoneNumber=%2B1234567890")).refused(404, "not_found")


async def test_add_contact_to_list_and_remove_it(chat: Chat, api: Api) -> None:
    contact = await chat.create()
    made = (await api.post("/v1/lists", {"name": "Newsletter"})).ok(201)
    body = {"contactId": contact["id"], "listId": made["id"]}
    for changed in (True, False):
        answer = await chat.call("POST", "/contacts/lists", json=body)
        assert answer.ok() == {**body, "isMember": True, "changed": changed}
        assert (await api.get(f"/v1/contacts/{contact['id']}")).ok()["lists"] == [made["id"]]
    for changed in (True, False):
        answer = await chat.call("DELETE", "/contacts/lists", json=body)
        assert answer.ok() == {**body, "isMember": False, "changed": changed}
        assert (await api.get(f"/v1/contacts/{contact['id']}")).ok()["lists"] == []
    for method in ("POST", "DELETE"):
        for wrong in ({"contactId": "cnt_abc123"}, {"listId": "lst_abc123"}):
            (await chat.call(method, "/contacts/lists", json=body | wrong)).refused(404, "not_found")
        half = (await chat.call(method, "/contacts/lists", json={"listId": made["id"]})).refused(
            422, "validation_failed"
        )
        assert half["errors"][0]["pointer"] == "/contactId"


async def test_get_contact_tags(chat: Chat, api: Api) -> None:
    contact = await chat.create()
    assert (await chat.call("GET", f"/contacts/tags/{contact['id']}")).ok() == []
    (await api.post(f"/v1/contacts/{contact['id']}/tags", {"tags": ["vip", "lead"]})).ok()
    assert (await chat.call("GET", f"/contacts/tags/{contact['id']}")).ok() == ["vip", "lead"]
    (await chat.call("GET", "/contacts/tags/cnt_abc123")).refused(404, "not_found")


async def test_get_contact_messages(chat: Chat, api: Api, carrier: Carrier, sender_id: str) -> None:
    # A number of its own: who did not want to be disturbed and was deleted still does not.
    phone = "+14155550177"
    contact = await chat.create(phoneNumber=phone, firstName="John")
    path = f"/contacts/messages/{contact['id']}"
    assert (await chat.call("GET", path)).ok() == []
    for _ in range(2):
        made = await campaign(api, mark=marked("chat"), sender=sender_id, contact_ids=[contact["id"]])
        (await api.post(f"/v1/campaigns/{made}/start")).ok()
        assert (await ended(api, made))["sent"] == 1
    found = await eventually(
        lambda: chat.call("GET", path),
        lambda answer: [one["status"] for one in answer.ok()] == ["delivered", "delivered"],
    )
    newest, first = found.body
    assert (newest["campaignId"], newest["channel"], newest["to"], newest["reason"]) == (made, "sms", phone, None)
    assert newest["id"].startswith("rcp_")
    assert newest["sentAt"].endswith("Z")
    assert newest["deliveredAt"] >= newest["sentAt"]
    assert (newest["openedAt"], newest["clickedAt"], newest["failedAt"]) == (None, None, None)
    assert "link" not in found.headers
    # The document knows no pages; where there are more, a header leads to them, without the key.
    one = await chat.call("GET", f"{path}?limit=1")
    assert one.ok() == [newest]
    more, _, relation = one.headers["link"].partition("; ")
    assert relation == 'rel="next"'
    assert api.key not in more
    assert (await chat.call("GET", more.strip("<>").removeprefix(BASE))).ok() == [first]
    (await chat.call("GET", "/contacts/messages/cnt_abc123")).refused(404, "not_found")


async def test_another_account_sees_nothing(chat: Chat, other: Api) -> None:
    contact = await chat.create()
    stranger = Chat(other)
    (await stranger.call("GET", "/contacts?phoneNumber=%2B1234567890")).refused(404, "not_found")
    (await stranger.call("PUT", f"/contacts/{contact['id']}", json={"firstName": "x"})).refused(404, "not_found")
    for kind in ("tags", "messages"):
        (await stranger.call("GET", f"/contacts/{kind}/{contact['id']}")).refused(404, "not_found")
    assert (await chat.call("GET", "/contacts?phoneNumber=%2B1234567890")).ok() == contact


async def test_a_key_in_the_query_counts_here_only(api: Api) -> None:
    for path in ("/v1/contacts", "/api/v1/contacts", "/compat/addressbook/contacts"):
        async with api.http.get(f"{api.url}{path}?apiKey={api.key}") as answer:
            assert answer.status == 401
            assert api.key not in await answer.text()
    async with api.http.get(f"{api.url}{BASE}/contacts/tags/cnt_abc123?apiKey=ck_live_unknown") as answer:
        assert answer.status == 401


async def test_a_key_in_the_query_is_written_down_nowhere(
    chat: Chat, api: Api, spans: Spans, stack: ThrowawayStack
) -> None:
    """Neither where the call succeeds nor where it fails, nor where there is no such call at all."""
    mark = f"scrub-{secrets.token_hex(6)}"
    trace_id = secrets.token_hex(16)
    headers = {"X-Request-Id": mark, "traceparent": f"00-{trace_id}-{'1' * 16}-01"}
    answers = [
        await chat.call("POST", "/contacts", json={"phoneNumber": PHONE}, headers=headers),
        await chat.call("POST", "/contacts", json={"phoneNumber": PHONE}, headers=headers),
        await chat.call("POST", "/contacts", data="{", headers={**headers, "Content-Type": "application/json"}),
        await chat.call("GET", "/contacts?nothing=1", headers=headers),
        await chat.call("GET", "/nothing", headers=headers),
        await chat.call("PATCH", "/contacts", headers=headers),
    ]
    assert [answer.status for answer in answers] == [200, 409, 400, 422, 404, 405]
    for answer in answers:
        assert api.key not in f"{answer.body} {answer.headers}"

    async def traced() -> list[str]:
        return [str(span) for process, span in spans.of_trace(trace_id) if process == "carillon-gateway-serve"]

    async def logged() -> list[str]:
        return [line for line in stack.log("gateway").read_text().splitlines() if mark in line]

    # An access line and a span for each, and the key in none of them.
    assert len(await eventually(logged, lambda found: len(found) >= len(answers))) == len(answers)
    await eventually(traced, lambda found: len(found) >= len(answers))
    assert api.key not in "".join(await traced())
    for log in stack.log("gateway").parent.iterdir():
        assert api.key not in log.read_text(errors="replace"), log.name
