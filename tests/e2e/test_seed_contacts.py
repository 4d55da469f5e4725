"""Seed 000: contacts, import, segments, and a campaign to a segment. Every request as the document prints it."""

import functools
import operator as operator_

import pytest_asyncio

from tests import workbooks
from tests.e2e.client import Answered, Api, eventually

CREATE = """curl -X POST https://api-message.nativehub.live/api/v1/contacts \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "phone": "+1234567890",
    "name": "John Doe",
    "email": "john@example.com",
    "tags": ["premium", "active"]
  }'"""
UPDATE = """curl -X PUT https://api-message.nativehub.live/api/v1/contacts/cnt_abc123 \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "tags": ["premium", "vip"]
  }'"""
DELETE = """curl -X DELETE https://api-message.nativehub.live/api/v1/contacts/cnt_abc123 \\
  -H "Authorization: Bearer YOUR_TOKEN\""""
CSV = b"""phone,name,email,tags
+1234567890,John Doe,john@example.com,"premium,active"
+9876543210,Jane Smith,jane@example.com,basic
"""
IMPORT = """curl -X POST https://api-message.nativehub.live/api/v1/contacts/import \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -F "file=@contacts.csv\""""
BULK_DELETE = """curl -X POST https://api-message.nativehub.live/api/v1/contacts/bulk-delete \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "contact_ids": ["cnt_abc123", "cnt_xyz789"]
  }'"""
SEGMENT = """curl -X POST https://api-message.nativehub.live/api/v1/segments \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Premium Customers",
    "conditions": [
      {"field": "tags", "operator": "contains", "value": "premium"}
    ]
  }'"""
SEGMENT_OF_TWO = """curl -X POST https://api-message.nativehub.live/api/v1/segments \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Active Premium Users",
    "conditions": [
      {"field": "tags", "operator": "contains", "value": "premium"},
      {"field": "tags", "operator": "contains", "value": "active"}
    ]
  }'"""
CAMPAIGN = """curl -X POST https://api-message.nativehub.live/api/v1/campaigns \\
  -H "Authorization: Bearer YOUR_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Premium Offer",
    "template_id": "tmpl_abc123",
    "segment_id": "seg_xyz789"
  }'"""


@pytest_asyncio.fixture(autouse=True)
async def empty_address_book(api: Api) -> None:
    await api.empty_address_book()


async def test_create_contact(api: Api) -> None:
    answer = await api.curl(CREATE)
    contact = answer.ok(201)
    assert answer.headers["location"] == f"/api/v1/contacts/{contact['id']}"
    assert contact["id"].startswith("cnt_")
    assert (contact["phone"], contact["name"], contact["email"]) == ("+1234567890", "John Doe", "john@example.com")
    assert (contact["first_name"], contact["last_name"]) == ("John", "Doe")
    assert contact["tags"] == ["premium", "active"]
    assert (contact["is_bot_active"], contact["do_not_disturb"], contact["version"]) == (True, False, 1)
    read = await api.get(f"/api/v1/contacts/{contact['id']}")
    assert (read.ok(), read.headers["etag"]) == (contact, '"1"')
    again = await api.curl(CREATE)
    assert again.refused(409, "contact_exists")["existing_id"] == contact["id"]


async def test_update_contact(api: Api) -> None:
    created = (await api.curl(CREATE)).ok(201)
    updated = (await api.curl(UPDATE, ids={"cnt_abc123": created["id"]})).ok()
    assert updated["tags"] == ["premium", "vip"]
    unchanged = {"id", "phone", "name", "email", "created_at", "metadata"}
    assert {name: updated[name] for name in unchanged} == {name: created[name] for name in unchanged}
    assert updated["version"] > created["version"]


async def test_delete_contact(api: Api) -> None:
    ids = {"cnt_abc123": (await api.curl(CREATE)).ok(201)["id"]}
    answer = await api.curl(DELETE, ids=ids)
    assert (answer.status, answer.body) == (204, b"")
    (await api.curl(DELETE, ids=ids)).refused(404, "not_found")
    (await api.get(f"/api/v1/contacts/{ids['cnt_abc123']}")).refused(404, "not_found")


async def test_import_contacts(api: Api) -> None:
    answer = await api.curl(IMPORT, files={"contacts.csv": CSV})
    found = answer.ok()
    seeds = {name: found[name] for name in ("imported", "failed", "duplicates", "errors")}
    assert seeds == {"imported": 2, "failed": 0, "duplicates": 0, "errors": []}
    john = (await api.get("/api/v1/contacts/lookup?phone=%2B1234567890")).ok()
    assert (john["name"], john["email"], john["tags"]) == ("John Doe", "john@example.com", ["premium", "active"])
    jane = (await api.get("/api/v1/contacts/lookup?email=jane@example.com")).ok()
    assert (jane["phone"], jane["tags"], jane["matches"]) == ("+9876543210", ["basic"], 1)


async def test_import_counts_duplicates_and_names_bad_rows(api: Api) -> None:
    await api.curl(IMPORT, files={"contacts.csv": CSV})
    rows = CSV + b"not a phone,Bob,,\n+9876543210,Jane again,,\n"
    found = (await api.curl(IMPORT, files={"contacts.csv": rows})).ok()
    assert (found["imported"], found["failed"], found["duplicates"]) == (0, 1, 3)
    (error,) = found["errors"]
    assert (error["row"], error["reason"]) == (4, "Invalid phone format")
    assert len(await api.everything("/api/v1/contacts")) == 2


async def test_import_contacts_from_a_workbook_and_from_cards(api: Api) -> None:
    """The same call, whatever the file is called."""
    rows = [["Telefon", "Name", "Tags"], [14155552671, "Ada Lovelace", "premium"], ["12ab", "Nobody", None]]
    found = (await api.curl(IMPORT, files={"contacts.csv": workbooks.table(rows)})).ok()
    assert (found["imported"], found["failed"], found["duplicates"]) == (1, 1, 0)
    cards = (
        b"BEGIN:VCARD\nFN:Ada\nTEL;CELL:+1 415 555 2671\nEND:VCARD\nBEGIN:VCARD\nFN:Bob\nTEL:+14155552672\nEND:VCARD\n"
    )
    found = (await api.curl(IMPORT, files={"contacts.csv": cards})).ok()
    assert (found["imported"], found["failed"], found["duplicates"]) == (1, 0, 1)
    assert len(await api.everything("/api/v1/contacts")) == 2


async def test_bulk_delete(api: Api) -> None:
    ids = {"cnt_abc123": (await api.curl(CREATE)).ok(201)["id"]}
    assert (await api.curl(BULK_DELETE, ids=ids)).ok() == {"deleted": 1, "not_found": ["cnt_xyz789"]}
    assert (await api.curl(BULK_DELETE, ids=ids)).ok()["deleted"] == 0


async def members(api: Api, segment_id: str) -> set[str]:
    return {one["contact"]["phone"] for one in await api.everything(f"/api/v1/segments/{segment_id}/members")}


async def test_create_segment(api: Api) -> None:
    (await api.curl(IMPORT, files={"contacts.csv": CSV})).ok()
    answer = await api.curl(SEGMENT)
    segment = answer.ok(201)
    assert answer.headers["location"] == f"/api/v1/segments/{segment['id']}"
    assert segment["id"].startswith("seg_")
    assert segment["name"] == "Premium Customers"
    assert segment["conditions"] == [{"field": "tags", "operator": "contains", "value": "premium"}]
    ready = await eventually(
        lambda: api.get(f"/api/v1/segments/{segment['id']}"), lambda answer: answer.ok()["status"] == "ready"
    )
    assert ready.body["conditions"] == segment["conditions"]

    async def found() -> tuple[set[str], int]:
        return await members(api, segment["id"]), (await api.get(f"/api/v1/segments/{segment['id']}")).ok()[
            "member_count"
        ]

    await eventually(found, lambda seen: seen == ({"+1234567890"}, 1))


async def test_create_segment_with_several_conditions(api: Api) -> None:
    (await api.curl(CREATE)).ok(201)
    premium_only = {"phone": "+12345678901", "tags": ["premium"]}
    (await api.post("/api/v1/contacts", premium_only)).ok(201)
    segment = (await api.curl(SEGMENT_OF_TWO)).ok(201)
    assert len(segment["conditions"]) == 2
    await eventually(lambda: members(api, segment["id"]), lambda found: found == {"+1234567890"})


async def test_segment_conditions_take_strings_and_arrays_on_every_field(api: Api) -> None:
    (await api.curl(IMPORT, files={"contacts.csv": CSV})).ok()
    john, jane = "+1234567890", "+9876543210"
    cases: list[tuple[str, str, object, set[str]]] = [
        ("name", "equals", "john doe", {john}),
        ("name", "starts_with", ["Jo", "Ja"], {john, jane}),
        ("phone", "starts_with", "+98", {jane}),
        ("phone", "contains", "4567", {john}),
        ("email", "ends_with", "@example.com", {john, jane}),
        ("email", "equals", ["jane@example.com", "x@example.com"], {jane}),
        ("tags", "contains", ["basic", "active"], {john, jane}),
        ("tags", "starts_with", "prem", {john}),
        ("tags", "equals", "basic", {jane}),
        ("name", "contains", "nobody", set()),
    ]
    for field, operator, value, expected in cases:
        condition = {"field": field, "operator": operator, "value": value}
        segment = (await api.post("/api/v1/segments", {"name": "case", "conditions": [condition]})).ok(201)
        assert segment["conditions"] == [condition]

        async def settled(segment_id: str = segment["id"]) -> tuple[str, set[str]]:
            status = (await api.get(f"/api/v1/segments/{segment_id}")).ok()["status"]
            return status, await members(api, segment_id)

        assert await eventually(settled, functools.partial(operator_.eq, ("ready", expected)))


async def test_campaign_to_a_segment(api: Api, sender_id: str) -> None:
    template = (await api.post("/api/v1/templates", {"name": "t", "channel": "sms", "body": "Hi {{ name }}"})).ok(201)
    segment = (await api.curl(SEGMENT)).ok(201)
    answer: Answered = await api.curl(CAMPAIGN, ids={"tmpl_abc123": template["id"], "seg_xyz789": segment["id"]})
    campaign = answer.ok(201)
    assert answer.headers["location"] == f"/api/v1/campaigns/{campaign['id']}"
    assert campaign["id"].startswith("cmp_")
    assert (campaign["name"], campaign["status"]) == ("Premium Offer", "draft")
    assert (campaign["template_id"], campaign["segment_id"]) == (template["id"], segment["id"])
    # The account's default for the template's channel.
    assert campaign["sender_id"] == sender_id
