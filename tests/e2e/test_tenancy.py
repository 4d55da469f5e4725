"""Another account's ids answer exactly as unknown ones do, on every call that takes an id."""

from typing import Any

import pytest_asyncio

from tests.e2e.client import Answered, Api, eventually

# Same form, nobody's.
UNKNOWN = "01h455vb4pex5vsknk084sn02q"
RULE = {"field": "tags", "operator": "contains", "value": "premium"}


@pytest_asyncio.fixture(scope="module")
async def owned(api: Api, sender_id: str) -> dict[str, str]:
    """One of everything, by its prefix."""
    contact = (await api.post("/v1/contacts", {"phone": "+1234567890", "tags": ["premium"]})).ok(201)["id"]
    imported = (await api.upload("/v1/contacts/import", b"phone\n+15550107777\n")).ok()["import_id"]
    suppression = (await api.post("/v1/suppressions", {"phone": "+15550108888"})).ok(201)["id"]
    segment = (await api.post("/v1/segments", {"name": "s", "conditions": [RULE]})).ok(201)["id"]
    listed = (await api.post("/v1/lists", {"name": "l"})).ok(201)["id"]
    template = (await api.post("/v1/templates", {"name": "t", "body": "Hi"})).ok(201)["id"]
    body = {"name": "c", "template_id": template, "sender_id": sender_id, "segment_id": segment}
    campaign = (await api.post("/v1/campaigns", body)).ok(201)["id"]
    return {
        "cnt": contact,
        "imp": imported,
        "sup": suppression,
        "seg": segment,
        "lst": listed,
        "tmpl": template,
        "sender": sender_id,
        "cmp": campaign,
    }


CALLS: list[tuple[str, str, str, Any]] = [
    ("cnt", "GET", "/v1/contacts/{}", None),
    ("cnt", "PUT", "/v1/contacts/{}", {"name": "Taken"}),
    ("cnt", "PATCH", "/v1/contacts/{}", {"tags": []}),
    ("cnt", "DELETE", "/v1/contacts/{}", None),
    ("cnt", "GET", "/v1/contacts/{}/tags", None),
    ("cnt", "POST", "/v1/contacts/{}/tags", {"tags": ["x"]}),
    ("cnt", "DELETE", "/v1/contacts/{}/tags/premium", None),
    ("cnt", "GET", "/v1/contacts/{}/segments", None),
    ("cnt", "PUT", "/v1/contacts/{}/preferences", {"sms": "opted_in"}),
    ("cnt", "GET", "/v1/contacts/{}/consents", None),
    ("cnt", "GET", "/v1/contacts/{}/activity", None),
    ("cnt", "POST", "/v1/contacts/{}/activity", {"type": "agent.note"}),
    ("cnt", "GET", "/v1/contacts/{}/messages", None),
    ("imp", "GET", "/v1/imports/{}", None),
    ("imp", "POST", "/v1/imports/{}/commit", {}),
    ("imp", "POST", "/v1/imports/{}/cancel", None),
    ("imp", "POST", "/v1/imports/{}/undo", None),
    ("imp", "GET", "/v1/imports/{}/errors", None),
    ("imp", "GET", "/v1/imports/{}/errors?format=csv", None),
    ("imp", "GET", "/v1/imports/{}/leftovers", None),
    ("imp", "GET", "/v1/imports/{}/events", None),
    ("sup", "DELETE", "/v1/suppressions/{}", None),
    ("seg", "GET", "/v1/segments/{}", None),
    ("seg", "PUT", "/v1/segments/{}", {"name": "Taken"}),
    ("seg", "DELETE", "/v1/segments/{}", None),
    ("seg", "GET", "/v1/segments/{}/members", None),
    ("seg", "GET", "/v1/contacts/segments/{}", None),
    ("lst", "GET", "/v1/lists/{}", None),
    ("lst", "PUT", "/v1/lists/{}", {"name": "Taken"}),
    ("lst", "DELETE", "/v1/lists/{}", None),
    ("lst", "GET", "/v1/contacts/lists/{}/members", None),
    ("lst", "POST", "/v1/lists/{}/members", {"contact_ids": ["cnt_01h455vb4pex5vsknk084sn02q"]}),
    ("lst", "DELETE", "/v1/lists/{}/members", {"contact_ids": ["cnt_01h455vb4pex5vsknk084sn02q"]}),
    ("tmpl", "GET", "/v1/templates/{}", None),
    ("tmpl", "PUT", "/v1/templates/{}", {"name": "Taken"}),
    ("tmpl", "DELETE", "/v1/templates/{}", None),
    ("sender", "GET", "/v1/senders/{}", None),
    ("sender", "PUT", "/v1/senders/{}", {"name": "Taken"}),
    ("sender", "DELETE", "/v1/senders/{}", None),
    ("cmp", "GET", "/v1/campaigns/{}", None),
    ("cmp", "PUT", "/v1/campaigns/{}", {"name": "Taken"}),
    ("cmp", "DELETE", "/v1/campaigns/{}", None),
    ("cmp", "GET", "/v1/campaigns/{}/recipients?page=1", None),
    ("cmp", "POST", "/v1/campaigns/{}/start", None),
    ("cmp", "POST", "/v1/campaigns/{}/pause", None),
    ("cmp", "POST", "/v1/campaigns/{}/resume", None),
    ("cmp", "POST", "/v1/campaigns/{}/cancel", None),
]


def told(answer: Answered) -> tuple[int, Any]:
    """The answer without what differs from one request to the next."""
    body = {name: value for name, value in answer.body.items() if name not in {"request_id", "instance", "detail"}}
    return answer.status, body


async def state(api: Api, owned: dict[str, str]) -> list[Any]:
    """All that the other account could have changed; member_count and as_of move by themselves."""
    paths = ["/v1/contacts", "/v1/lists", "/v1/suppressions", "/v1/templates", "/v1/senders", "/v1/campaigns"]
    segment = (await api.get(f"/v1/segments/{owned['seg']}")).ok()
    return [await api.everything(path) for path in paths] + [segment["name"], segment["version"]]


async def test_no_call_reaches_across(api: Api, other: Api, owned: dict[str, str]) -> None:
    before = await state(api, owned)
    for prefix, method, path, body in CALLS:
        foreign = await other.call(method, path.format(owned[prefix]), json=body)
        unknown = await other.call(method, path.format(f"{prefix}_{UNKNOWN}"), json=body)
        assert foreign.status == 404, f"{method} {path}: {foreign.status}"
        assert told(foreign) == told(unknown), f"{method} {path}"
    upload = await other.upload(f"/v1/campaigns/{owned['cmp']}/recipients", b"phone\n+1234567890\n")
    upload.refused(404, "not_found")
    assert await state(api, owned) == before


async def test_lists_and_lookups_show_nothing_of_another(other: Api, owned: dict[str, str]) -> None:
    paths = ("contacts", "lists", "suppressions", "segments", "templates", "senders", "campaigns")
    for path in paths:
        assert await other.everything(f"/v1/{path}") == [], path
    (await other.get("/v1/contacts/lookup?phone=%2B1234567890")).refused(404, "not_found")
    deleted = (await other.post("/v1/contacts/bulk-delete", {"contact_ids": [owned["cnt"]]})).ok()
    assert deleted == {"deleted": 0, "not_found": [owned["cnt"]]}


async def test_another_s_references_are_unknown(other: Api, owned: dict[str, str]) -> None:
    template = (await other.post("/v1/templates", {"name": "t", "body": "Hi"})).ok(201)["id"]
    for field, prefix in (("template_id", "tmpl"), ("sender_id", "sender"), ("segment_id", "seg")):
        body = {"name": "c", "template_id": template, "sender_id": owned["sender"], field: owned[prefix]}
        problem = (await other.post("/v1/campaigns", body)).refused(422, "validation_failed")
        assert f"/{field}" in {error["pointer"] for error in problem["errors"]} | {"/sender_id"}


async def test_two_accounts_may_have_the_same_contact(api: Api, other: Api, owned: dict[str, str]) -> None:
    mine = (await other.post("/v1/contacts", {"phone": "+1234567890", "tags": ["premium"]})).ok(201)
    assert mine["id"] != owned["cnt"]
    segment = (await other.post("/v1/segments", {"name": "s", "conditions": [RULE]})).ok(201)["id"]

    async def members(who: Api, of: str) -> list[str]:
        return [one["contact"]["id"] for one in await who.everything(f"/v1/segments/{of}/members")]

    await eventually(lambda: members(other, segment), lambda found: found == [mine["id"]])
    await eventually(lambda: members(api, owned["seg"]), lambda found: found == [owned["cnt"]])


async def test_a_scope_that_lacks_is_refused_and_no_key_is_no_entry(api: Api) -> None:
    anonymous = Api(api.url, "nonsense", api.http)
    for path in ("/v1/contacts", "/v1/segments", "/v1/campaigns", "/api/v1/contacts"):
        (await anonymous.get(path)).refused(401, "unauthenticated")
