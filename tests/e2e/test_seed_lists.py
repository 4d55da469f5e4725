"""Seed 002: every call on lists and segments, under /v1/contacts as the document has them."""

from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.client import Api, eventually


@pytest_asyncio.fixture(autouse=True)
async def empty_address_book(api: Api) -> None:
    await api.empty_address_book()


async def people(api: Api, number: int, **fields: object) -> list[str]:
    return [
        (await api.post("/v1/contacts", {"phone": f"+1415555{at:04}", **fields})).ok(201)["id"] for at in range(number)
    ]


@pytest.mark.parametrize("base", ["/v1/contacts/lists", "/api/v1/contacts/lists", "/v1/lists"])
async def test_a_list_from_its_creation_to_its_end(api: Api, base: str) -> None:
    created = await api.post(base, {"name": "Newsletter", "description": "Asked for it"})
    made = created.ok(201)
    path = f"{base}/{made['id']}"
    assert made["id"].startswith("lst_")
    assert (made["name"], made["description"], made["member_count"]) == ("Newsletter", "Asked for it", 0)
    assert (await api.get(created.headers["location"])).ok() == made
    assert made in await api.everything(base)

    changed = await api.call("PUT", path, json={"name": "News"}, headers={"If-Match": created.headers["etag"]})
    assert (changed.ok()["name"], changed.body["description"]) == ("News", "Asked for it")
    stale = await api.call("PUT", path, json={"name": "x"}, headers={"If-Match": created.headers["etag"]})
    stale.refused(412, "version_mismatch")

    ann, bob, eve = await people(api, 3)
    body = {"contact_ids": [ann, bob, "cnt_xyz789"]}
    assert (await api.post(f"{path}/members", body)).ok() == {"added": 2, "not_found": ["cnt_xyz789"], "errors": []}
    both = {"contact_ids": [bob, eve], "list_ids": [made["id"]]}
    assert (await api.post(f"{base}/members", both)).ok()["added"] == 1
    first = (await api.get(f"{path}/members?limit=2")).ok()
    assert (len(first["data"]), first["has_more"]) == (2, True)
    members = await api.everything(f"{path}/members")
    assert [one["id"] for one in members] == [eve, bob, ann]
    assert members[2] == (await api.get(f"/v1/contacts/{ann}")).ok()
    assert members[2]["lists"] == [made["id"]]
    assert await api.everything(f"/v1/contacts?list_id={made['id']}") == members

    assert (await api.call("DELETE", f"{path}/members", json={"contact_ids": [ann]})).ok()["removed"] == 1
    assert (await api.call("DELETE", f"{base}/members", json=both)).ok()["removed"] == 2
    assert (await api.get(path)).ok()["member_count"] == 0
    await api.post(f"{path}/members", {"contact_ids": [ann]})

    assert (await api.call("DELETE", path)).status == 204
    (await api.call("DELETE", path)).refused(404, "not_found")
    (await api.get(f"{path}/members")).refused(404, "not_found")
    # Members are not deleted, only the association is removed.
    assert (await api.get(f"/v1/contacts/{ann}")).ok()["lists"] == []


async def test_segments_answer_under_contacts(api: Api) -> None:
    (ann,) = await people(api, 1, tags=["vip"])
    rule = {"field": "tags", "operator": "contains", "value": "vip"}
    made = (await api.post("/v1/contacts/segments", {"name": "VIP", "conditions": [rule]})).ok(201)
    listed = (await api.get("/v1/contacts/segments?limit=100")).ok()
    assert made["id"] in [one["id"] for one in listed["data"]]

    async def members() -> list[str]:
        return [one["contact"]["id"] for one in await api.everything(f"/v1/contacts/segments/{made['id']}/members")]

    await eventually(members, lambda found: found == [ann])
    assert (await api.call("DELETE", f"/v1/contacts/segments/{made['id']}")).status == 204
    (await api.get(f"/v1/contacts/segments/{made['id']}")).refused(404, "not_found")
    # Contacts are not affected.
    (await api.get(f"/v1/contacts/{ann}")).ok()


async def test_a_bulk_change_of_a_thousand_goes_on_in_the_background(api: Api) -> None:
    rows = "phone,tags\n" + "".join(f"+1415666{at:04},crowd\n" for at in range(1100))
    (await api.upload("/v1/contacts/import", rows.encode())).ok()
    made = (await api.post("/v1/lists", {"name": "Everybody"})).ok(201)
    started = await api.post("/v1/contacts/bulk-list", {"filter": {"tag": "crowd"}, "add": [made["id"]]})
    started.ok(202)
    job = await eventually(
        lambda: api.get(started.headers["location"]), lambda answer: answer.ok()["status"] == "completed"
    )
    assert (job.body["changed"], job.body["unchanged"], job.body["failed"]) == (1100, 0, 0)
    assert (await api.get(f"/v1/lists/{made['id']}")).ok()["member_count"] == 1100
    assert (await api.call("DELETE", f"/v1/lists/{made['id']}")).status == 204

    async def left() -> set[tuple[str, ...]]:
        return {tuple(one["lists"]) for one in await api.everything("/v1/contacts?tag=crowd")}

    await eventually(left, lambda found: found == {()})
    ids = [one["id"] for one in (await api.get("/v1/contacts?tag=crowd")).ok()["data"]]
    changed = (await api.post("/v1/contacts/bulk-tag", {"contact_ids": ids, "remove": ["crowd"]})).ok()
    assert (changed["changed"], changed["not_found"]) == (len(ids), [])


async def test_a_batch_writes_its_good_rows(api: Api) -> None:
    rows: list[Any] = [
        {"phone": "+14155550001", "name": "Ann"},
        {"phone": "call me"},
        {"phone": "+14155550001", "tags": ["vip"]},
        {"phone": 5, "stge": "lead"},
    ]
    headers = {"Idempotency-Key": "batch-of-three"}
    answer = await api.post("/v1/contacts/batch", {"contacts": rows}, headers=headers)
    assert [row["outcome"] for row in answer.ok()["results"]] == ["created", "failed", "updated", "failed"]
    assert answer.body["results"][1]["error"]["errors"][0]["pointer"] == "/contacts/1/phone"
    assert [(one["pointer"], one["code"]) for one in answer.body["results"][3]["error"]["errors"]] == [
        ("/contacts/3/phone", "wrong_type"), ("/contacts/3/stge", "unknown_field")
    ]  # fmt: skip
    (ann,) = await api.everything("/v1/contacts")
    assert (ann["id"], ann["name"], ann["tags"]) == (answer.body["results"][0]["id"], "Ann", ["vip"])
    again = await api.post("/v1/contacts/batch", {"contacts": rows}, headers=headers)
    assert (again.body, again.headers["idempotent-replayed"]) == (answer.body, "true")
