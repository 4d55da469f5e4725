"""Seed 002: the calls on contacts themselves, and on segments under /v1/contacts, with every field and parameter that
the document describes. Tags, activity, preferences and opt-outs are in test_seed_contact_history.py, lists in
test_seed_lists.py."""

import functools
import operator
from typing import Any

import pytest_asyncio

from tests.e2e.client import Api, eventually

# Every attribute of the document's "Create Contact".
ANN: dict[str, Any] = {
    "phone": "+14155552671",
    "email": "ann@example.com",
    "first_name": "Ann",
    "last_name": "Archer",
    "country": "US",
    "stage": "lead",
    "tags": ["newsletter", "vip"],
    "metadata": {"plan": "pro", "seats": 3},
}


@pytest_asyncio.fixture(autouse=True)
async def empty_address_book(api: Api) -> None:
    await api.empty_address_book()


async def test_create_and_get_a_contact(api: Api) -> None:
    answer = await api.post("/v1/contacts", ANN)
    contact = answer.ok(201)
    assert answer.headers["location"] == f"/v1/contacts/{contact['id']}"
    assert {name: contact[name] for name in ANN} == ANN
    assert contact["name"] == "Ann Archer"
    assert (await api.get(f"/v1/contacts/{contact['id']}")).ok() == contact
    (await api.get("/v1/contacts/con_abc123")).refused(404, "not_found")


async def test_list_contacts_by_cursor_search_stage_and_country(api: Api) -> None:
    ann = (await api.post("/v1/contacts", ANN)).ok(201)["id"]
    bob = {"phone": "+905301234567", "first_name": "Bob", "country": "TR", "stage": "customer"}
    bob_id = (await api.post("/v1/contacts", bob)).ok(201)["id"]
    eve = (await api.post("/v1/contacts", {"email": "eve@example.com", "stage": "customer"})).ok(201)["id"]

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await api.get(f"/v1/contacts{query}")).ok()["data"]]

    assert await found("") == [eve, bob_id, ann]
    assert await found("?stage=customer") == [eve, bob_id]
    assert await found("?country=TR") == [bob_id]
    assert await found("?stage=customer&country=US") == []
    for search, expected in {"archer": [ann], "ann%40exam": [ann], "1234567": [bob_id], "eve": [eve]}.items():
        await eventually(functools.partial(found, f"?search={search}"), functools.partial(operator.eq, expected))
    first = (await api.get("/v1/contacts?limit=2")).ok()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == ([eve, bob_id], True)
    second = (await api.get(f"/v1/contacts?limit=2&cursor={first['next_cursor']}")).ok()
    assert ([one["id"] for one in second["data"]], second["has_more"], second["next_cursor"]) == ([ann], False, None)
    (await api.get("/v1/contacts?limit=101")).refused(422, "validation_failed")


async def test_update_one_or_more_fields(api: Api) -> None:
    contact = (await api.post("/v1/contacts", ANN)).ok(201)
    path = f"/v1/contacts/{contact['id']}"
    changed = {
        "phone": "+14155552672",
        "email": "anna@example.com",
        "first_name": "Anna",
        "last_name": "Baker",
        "stage": "churned",
    }
    updated = (await api.call("PUT", path, json=changed)).ok()
    assert {name: updated[name] for name in changed} == changed
    assert (updated["tags"], updated["metadata"]) == (ANN["tags"], ANN["metadata"])
    # "Updated custom metadata (merged with existing)".
    merged = (await api.call("PUT", path, json={"metadata": {"seats": 4, "since": 2024}})).ok()
    assert merged["metadata"] == {"plan": "pro", "seats": 4, "since": 2024}
    assert merged["stage"] == "churned"


async def test_delete_a_contact(api: Api) -> None:
    contact = (await api.post("/v1/contacts", ANN)).ok(201)
    answer = await api.call("DELETE", f"/v1/contacts/{contact['id']}")
    assert (answer.status, answer.body) == (204, b"")
    (await api.get(f"/v1/contacts/{contact['id']}")).refused(404, "not_found")


async def test_segments_with_filter_rules_under_contacts(api: Api) -> None:
    ann = (await api.post("/v1/contacts", ANN)).ok(201)["id"]
    (await api.post("/v1/contacts", {"phone": "+14155552673", "stage": "lead"})).ok(201)
    rules = {
        "all": [
            {"field": "stage", "operator": "equals", "value": "lead"},
            {"not": {"field": "metadata.plan", "operator": "not_exists"}},
        ]
    }
    made = (await api.post("/v1/contacts/segments", {"name": "Leads with a plan", "rules": rules})).ok(201)
    assert (made["name"], made["rules"]) == ("Leads with a plan", rules)
    second = (await api.post("/v1/contacts/segments", {"name": "Second", "rules": rules})).ok(201)
    first_page = (await api.get("/v1/contacts/segments?limit=1")).ok()
    assert ([one["id"] for one in first_page["data"]], first_page["has_more"]) == ([second["id"]], True)
    last_page = (await api.get(f"/v1/contacts/segments?limit=1&cursor={first_page['next_cursor']}")).ok()
    assert ([one["id"] for one in last_page["data"]], last_page["has_more"]) == ([made["id"]], False)

    async def members() -> list[str]:
        return [one["contact"]["id"] for one in await api.everything(f"/v1/contacts/segments/{made['id']}/members")]

    await eventually(members, lambda found: found == [ann])
    for one in (made, second):
        assert (await api.call("DELETE", f"/v1/contacts/segments/{one['id']}")).status == 204
        (await api.get(f"/v1/contacts/segments/{one['id']}")).refused(404, "not_found")
    # Contacts are not affected.
    assert (await api.get("/v1/contacts?limit=100")).ok()["data"][1]["id"] == ann
