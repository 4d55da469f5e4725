"""Seed 004: the address book dialect, every call of the document. It shows no bodies; what they are is written in
docs/dialects.md."""

from typing import Any

import pytest_asyncio

from tests import workbooks
from tests.e2e.client import Answered, Api, eventually

BASE = "/compat/addressbook"
JOHN: dict[str, Any] = {
    "name": "John Doe",
    "phone": "+1234567890",
    "email": "john@example.com",
    "gender": "male",
    "custom_fields": {"city": "Austin", "visits": 3},
}
CARDS = (
    b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada Lovelace\r\nTEL;TYPE=CELL:+1 415 555 2671\r\nEMAIL:ada@example.com\r\n"
    b"END:VCARD\r\nBEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bob\r\nTEL:+14155552672\r\nEND:VCARD\r\n"
)


@pytest_asyncio.fixture(autouse=True)
async def empty_address_book(api: Api) -> None:
    await api.empty_address_book()


async def create(api: Api, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await api.post(f"{BASE}/contacts", fields)).ok(201)
    return found


async def listed(api: Api, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(f"{BASE}/contacts{query}")).ok()
    return found


def names(page: dict[str, Any]) -> list[str]:
    return [one["name"] for one in page["data"]]


async def test_create_and_get_a_contact(api: Api) -> None:
    answer = await api.post(f"{BASE}/contacts", JOHN)
    contact = answer.ok(201)
    assert answer.headers["location"] == f"{BASE}/contacts/{contact['id']}"
    assert {name: contact[name] for name in JOHN} == JOHN
    assert set(contact) == {"id", *JOHN, "validity", "channels", "lists", "created_at", "updated_at"}
    read = await api.get(f"{BASE}/contacts/{contact['id']}")
    assert (read.ok(), read.headers["etag"]) == (contact, '"1"')
    # The same contact as the canonical API has it.
    canonical = (await api.get(f"/v1/contacts/{contact['id']}")).ok()
    assert (canonical["metadata"], canonical["first_name"]) == (JOHN["custom_fields"], "John")
    assert (await api.post(f"{BASE}/contacts", JOHN)).refused(409, "contact_exists")["existing_id"] == contact["id"]


async def test_update_a_contact(api: Api) -> None:
    contact = await create(api, **JOHN)
    path = f"{BASE}/contacts/{contact['id']}"
    body = {"gender": "other", "custom_fields": {"visits": None, "vip": True}}
    updated = (await api.call("PUT", path, json=body)).ok()
    assert updated["gender"] == "other"
    assert updated["custom_fields"] == {"city": "Austin", "vip": True}
    same = ("id", "name", "phone", "email", "created_at")
    assert [updated[name] for name in same] == [contact[name] for name in same]
    stale = await api.call("PUT", path, json=body, headers={"If-Match": '"1"'})
    stale.refused(412, "version_mismatch")
    (await api.call("PUT", f"{BASE}/contacts/cnt_abc123", json=body)).refused(404, "not_found")


async def test_search_and_filter(api: Api) -> None:
    await create(api, **JOHN)
    await create(api, name="Jane Smith", phone="+14155552671", gender="female")
    await create(api, name="Ada", email="ada@example.com", gender="female")
    for query, expected in {
        "": ["Ada", "Jane Smith", "John Doe"],
        "?phone=+14155552671": ["Jane Smith"],
        "?email=john@example.com": ["John Doe"],
        "?gender=female": ["Ada", "Jane Smith"],
        "?validity=valid": ["Jane Smith"],
        "?channel=sms": ["Jane Smith", "John Doe"],
        "?channel=email": ["Ada", "John Doe"],
        "?channel=email&gender=female": ["Ada"],
        "?phone=%2B14155550000": [],
    }.items():
        page = await listed(api, query)
        assert (names(page), page["total"], page["page"], page["per_page"]) == (expected, len(expected), 1, 50), query
    # By how the name's words begin; it may lag a write by a second.
    await eventually(lambda: listed(api, "?name=jan+smi"), lambda page: names(page) == ["Jane Smith"])
    problem = (await api.get(f"{BASE}/contacts?validity=perhaps&channel=fax")).refused(422, "validation_failed")
    assert {one["pointer"] for one in problem["errors"]} == {"/validity", "/channel"}


async def test_contacts_are_paginated(api: Api) -> None:
    rows = "phone,name\n" + "".join(f"+1415555{at:04},Person {at}\n" for at in range(250))
    (await api.upload("/v1/contacts/import", rows.encode())).ok()
    pages = [await listed(api, f"?page={number}&per_page=60") for number in range(1, 7)]
    assert [len(page["data"]) for page in pages] == [60, 60, 60, 60, 10, 0]
    assert {(page["total"], page["total_is_estimate"], page["per_page"]) for page in pages} == {(250, False, 60)}
    assert [page["page"] for page in pages] == [1, 2, 3, 4, 5, 6]
    in_order = [one["id"] for page in pages for one in page["data"]]
    assert in_order == [one["id"] for one in await api.everything("/v1/contacts")]
    for query, pointer in {"page=0": "/page", "per_page=101": "/per_page", "page=101&per_page=100": "/page"}.items():
        problem = (await api.get(f"{BASE}/contacts?{query}")).refused(422, "validation_failed")
        assert [one["pointer"] for one in problem["errors"]] == [pointer]


async def test_delete_contacts(api: Api) -> None:
    one, two, three = [(await create(api, phone=f"+1415555000{at}"))["id"] for at in range(3)]
    body = {"ids": [one, two, "cnt_abc123"]}
    assert (await api.call("DELETE", f"{BASE}/contacts", json=body)).ok() == {"deleted": 2, "not_found": ["cnt_abc123"]}
    assert (await listed(api))["total"] == 1
    (await api.call("DELETE", f"{BASE}/contacts", json={"ids": []})).refused(422, "validation_failed")
    answer = await api.call("DELETE", f"{BASE}/contacts/{three}")
    assert (answer.status, answer.body) == (204, b"")
    (await api.call("DELETE", f"{BASE}/contacts/{three}")).refused(404, "not_found")
    (await api.get(f"{BASE}/contacts/{three}")).refused(404, "not_found")


async def mapped(api: Api, kind: str, **body: Any) -> Answered:
    return await api.post(f"{BASE}/contacts/mapped/{kind}", body)


async def test_csv_upload_and_its_mapping(api: Api) -> None:
    data = b"Full name,Mobile,City,Mobile\nJohn Doe,+1 415 555 2671,Austin,x\nJane,+14155552672,Rome,y\n,nonsense,,\n"
    answer = await api.upload(f"{BASE}/contacts/upload", data, fields={"delimiter": "comma"})
    uploaded = answer.ok(201)
    assert answer.headers["carillon-ignored-fields"] == "delimiter"
    assert set(uploaded) == {"import_id", "columns", "rows", "suggested_mapping"}
    assert uploaded["columns"] == ["Full name", "Mobile", "City", "Mobile"]
    assert uploaded["rows"][0] == ["John Doe", "+1 415 555 2671", "Austin", "x"]
    assert len(uploaded["rows"]) == 3
    suggested = uploaded["suggested_mapping"]
    assert set(suggested) == {"Full name", "#2", "City", "#4"}
    assert (suggested["Full name"], suggested["#2"]) == ("name", "phone")
    # Nothing is imported before the mapping is confirmed.
    assert (await listed(api))["total"] == 0
    assert (await api.get(answer.headers["location"])).ok()["status"] == "uploaded"

    mapping = {**suggested, "City": "custom_fields.town", "#4": "skip"}
    found = (await mapped(api, "file", import_id=uploaded["import_id"], mapping=mapping)).ok()
    assert (found["imported"], found["failed"], found["duplicates"]) == (2, 1, 0)
    assert [(error["row"], error["reason"]) for error in found["errors"]] == [(4, "Invalid phone format")]
    john = (await listed(api, "?phone=%2B14155552671"))["data"][0]
    assert (john["name"], john["custom_fields"]) == ("John Doe", {"town": "Austin"})
    (await mapped(api, "file", import_id=uploaded["import_id"])).refused(409, "invalid_state")


async def test_the_suggested_mapping_can_be_sent_back_as_it_is(api: Api) -> None:
    uploaded = (await api.upload(f"{BASE}/contacts/upload", b"name;phone;gender;City\nAda;+14155552671;f;Rome\n")).ok(
        201
    )
    assert uploaded["suggested_mapping"]["City"] == "custom_fields.City"
    body = {"import_id": uploaded["import_id"], "mapping": uploaded["suggested_mapping"]}
    assert (await mapped(api, "file", **body)).ok()["imported"] == 1
    (ada,) = (await listed(api))["data"]
    assert (ada["name"], ada["gender"], ada["custom_fields"]) == ("Ada", "f", {"City": "Rome"})


async def test_excel_upload(api: Api) -> None:
    rows = [["Telefon", "Name"], [14155552671, "Ada Lovelace"]]
    uploaded = (await api.upload(f"{BASE}/contacts/upload", workbooks.table(rows), file_name="contacts.xlsx")).ok(201)
    assert (uploaded["columns"], uploaded["rows"]) == (["Telefon", "Name"], [["14155552671", "Ada Lovelace"]])
    assert (await mapped(api, "file", import_id=uploaded["import_id"])).ok()["imported"] == 1
    assert names(await listed(api)) == ["Ada Lovelace"]


async def test_a_mapping_that_does_not_fit_names_the_column(api: Api) -> None:
    uploaded = (await api.upload(f"{BASE}/contacts/upload", b"Mobile,City\n+14155552671,Rome\n")).ok(201)
    wrong = await mapped(api, "file", import_id=uploaded["import_id"], mapping={"City": "shoe size", "Town": "name"})
    problem = wrong.refused(422, "validation_failed")
    assert {one["pointer"] for one in problem["errors"]} == {"/mapping/City", "/mapping/Town"}
    (await mapped(api, "file", import_id="imp_abc123")).refused(404, "not_found")
    missing = (await mapped(api, "file", mapping={})).refused(422, "validation_failed")
    assert missing["errors"][0]["pointer"] == "/import_id"
    assert (await listed(api))["total"] == 0


async def test_vcard_upload_with_its_standard_mapping(api: Api) -> None:
    uploaded = (await api.upload(f"{BASE}/contacts/upload/vcard", CARDS, file_name="contacts.vcf")).ok(201)
    assert {"name", "phone", "email"} <= set(uploaded["suggested_mapping"].values())
    assert len(uploaded["rows"]) == 2
    assert (await listed(api))["total"] == 0
    found = (await mapped(api, "vcard", import_id=uploaded["import_id"])).ok()
    assert (found["imported"], found["failed"], found["duplicates"], found["errors"]) == (2, 0, 0, [])
    ada = (await listed(api, "?phone=%2B14155552671"))["data"][0]
    assert (ada["name"], ada["email"]) == ("Ada Lovelace", "ada@example.com")


async def test_an_import_that_nobody_waits_for(api: Api) -> None:
    uploaded = (await api.upload(f"{BASE}/contacts/upload", b"phone\n+14155552671\n")).ok(201)
    started = await api.post(
        f"{BASE}/contacts/mapped/file",
        {"import_id": uploaded["import_id"]},
        headers={"Prefer": "respond-async", "Idempotency-Key": "commit-once"},
    )
    assert started.ok(202)["id"] == uploaded["import_id"]
    done = await eventually(
        lambda: api.get(started.headers["location"]), lambda answer: answer.ok()["status"] == "completed"
    )
    assert done.body["imported"] == 1


async def test_contact_lists(api: Api) -> None:
    answer = await api.post(f"{BASE}/contacts/list", {"name": "Newsletter", "description": "Asked for it"})
    news = answer.ok(201)
    assert (news["name"], news["description"], news["member_count"]) == ("Newsletter", "Asked for it", 0)
    assert (await api.get(answer.headers["location"])).ok() == news
    vips = (await api.post(f"{BASE}/contacts/list", {"name": "VIPs"})).ok(201)
    assert (await api.get(f"{BASE}/contacts/list")).ok() == {
        "data": [vips, news], "total": 2, "total_is_estimate": False, "page": 1, "per_page": 50
    }  # fmt: skip
    second = (await api.get(f"{BASE}/contacts/list?page=2&per_page=1")).ok()
    assert (second["data"], second["total"]) == ([news], 2)
    first = (await api.get(f"{BASE}/contacts/list?page=1&per_page=1")).ok()
    assert (first["data"], first["total"]) == ([vips], 2)
    (await api.post(f"{BASE}/contacts/list", {"description": "no name"})).refused(422, "validation_failed")

    one, two, three = [await create(api, phone=f"+1415555000{at}") for at in range(3)]
    both = {"contact_ids": [one["id"], two["id"], three["id"], "cnt_abc123"], "list_ids": [news["id"], vips["id"]]}
    added = (await api.post(f"{BASE}/contacts/list/contacts", both)).ok()
    assert added == {"added": 6, "not_found": ["cnt_abc123"], "errors": []}
    path = f"{BASE}/contacts/list/{news['id']}/contacts"
    page = (await api.get(f"{path}?page=2&per_page=2")).ok()
    assert [member["id"] for member in page["data"]] == [one["id"]]
    assert (page["total"], page["page"], page["per_page"]) == (3, 2, 2)
    assert page["data"][0] == {**one, "lists": [news["id"], vips["id"]], "updated_at": page["data"][0]["updated_at"]}

    some = {"contact_ids": [one["id"]], "list_ids": [news["id"]]}
    removed = await api.call("DELETE", f"{BASE}/contacts/list/contacts", json=some)
    assert removed.ok() == {"removed": 1, "not_found": []}
    assert (await api.get(path)).ok()["total"] == 2
    # The contact itself stays, and so does its place on the other list.
    assert (await api.get(f"{BASE}/contacts/{one['id']}")).ok()["lists"] == [vips["id"]]
    for method in ("POST", "DELETE"):
        unknown = await api.call(method, f"{BASE}/contacts/list/contacts", json=some | {"list_ids": ["lst_abc123"]})
        unknown.refused(404, "not_found")
    (await api.get(f"{BASE}/contacts/list/lst_abc123/contacts")).refused(404, "not_found")
    await api.delete_all(f"/v1/lists/{news['id']}", f"/v1/lists/{vips['id']}")


async def exported(api: Api, **more: Any) -> bytes:
    started = await api.post(f"{BASE}/exports/contacts", **more)
    made = started.ok(202)
    assert started.headers["location"] == f"{BASE}/exports/{made['id']}"
    done = await eventually(
        lambda: api.get(started.headers["location"]), lambda answer: answer.ok()["status"] == "completed"
    )
    assert done.body["download_path"] == f"{BASE}/exports/{made['id']}/download"
    file = await api.get(done.body["download_path"])
    assert file.headers["content-disposition"].startswith("attachment")
    raw: bytes = file.ok()
    return raw


async def test_export_contacts(api: Api) -> None:
    await create(api, **JOHN)
    await create(api, name="Jane Smith", phone="+14155552671", gender="female")
    everybody = (await exported(api)).decode("utf-8-sig").splitlines()
    assert len(everybody) == 3
    assert {"phone", "email"} <= set(everybody[0].split(","))
    women = await exported(api, body={"format": "vcf", "filter": {"gender": "female"}})
    assert women.count(b"BEGIN:VCARD") == 1
    assert b"+14155552671" in women
    (await api.get(f"{BASE}/exports/exp_abc123")).refused(404, "not_found")
    (await api.get(f"{BASE}/exports/exp_abc123/download")).refused(404, "not_found")


async def test_what_a_call_does_not_know_is_ignored_and_told(api: Api) -> None:
    answer = await api.post(f"{BASE}/contacts?source=crm", {**JOHN, "company": "Acme", "metadata": {"a": 1}})
    assert answer.headers["carillon-ignored-fields"] == "source, company, metadata"
    assert answer.ok(201)["custom_fields"] == JOHN["custom_fields"]
    searched = await api.get(f"{BASE}/contacts?limit=1")
    assert (searched.headers["carillon-ignored-fields"], len(searched.ok()["data"])) == ("limit", 1)
    export = await api.post(f"{BASE}/exports/contacts", {"type": "all", "filter": {"gender": "x", "age": 3}})
    assert (export.status, export.headers["carillon-ignored-fields"]) == (202, "type, filter/age")
    bad = (await api.call("POST", f"{BASE}/contacts", json={"phone": "1", "custom_fields": []})).refused(
        422, "validation_failed"
    )
    assert bad["errors"][0]["pointer"] == "/custom_fields"


async def test_another_account_sees_nothing(api: Api, other: Api) -> None:
    contact = await create(api, **JOHN)
    made = (await api.post(f"{BASE}/contacts/list", {"name": "Mine"})).ok(201)
    uploaded = (await api.upload(f"{BASE}/contacts/upload", b"phone\n+14155552671\n")).ok(201)
    assert (await listed(other))["total"] == 0
    assert (await other.get(f"{BASE}/contacts/list")).ok()["total"] == 0
    for path in (f"/contacts/{contact['id']}", f"/contacts/list/{made['id']}/contacts"):
        (await other.get(BASE + path)).refused(404, "not_found")
    (await mapped(other, "file", import_id=uploaded["import_id"])).refused(404, "not_found")
    body = {"ids": [contact["id"]]}
    assert (await other.call("DELETE", f"{BASE}/contacts", json=body)).ok()["not_found"] == [contact["id"]]
    assert (await listed(api))["total"] == 1
