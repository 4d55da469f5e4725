"""Lists and bulk changes: what is asked of the contacts service, and the shape of what comes back."""

import json
from typing import Any

import pytest

from carillon.contacts.v1 import bulk_pb2, contacts_pb2, lists_pb2
from chassis import ids
from chassis.errors import InvalidArgument, Reason
from tests.service.gateway.conftest import Gateway

LST, CNT, JOB = (ids.encode(prefix, ids.new()) for prefix in ("lst", "cnt", "job"))
BASES = ["/v1/lists", "/v1/contacts/lists", "/api/v1/lists"]


def made() -> lists_pb2.List:
    found = lists_pb2.List(id=LST, name="Friends", member_count=2, version=3)
    found.created_at.FromJsonString("2026-03-01T09:00:00Z")
    return found


@pytest.mark.parametrize("base", BASES)
async def test_a_list_is_made_read_changed_and_deleted(gateway: Gateway, base: str) -> None:
    gateway.lists.answers["CreateList"] = lists_pb2.CreateListResponse(list=made())
    gateway.lists.answers["GetList"] = lists_pb2.GetListResponse(list=made())
    gateway.lists.answers["UpdateList"] = lists_pb2.UpdateListResponse(list=made())
    gateway.lists.answers["ListLists"] = lists_pb2.ListListsResponse(lists=[made()], next_cursor="c2")
    created = await gateway.call("POST", base, json={"name": " Friends "})
    assert (created.status, created.headers["etag"]) == (201, '"3"')
    assert created.headers["location"].endswith(f"/lists/{LST}")
    assert created.body == {
        "id": LST, "name": "Friends", "description": None, "member_count": 2, "version": 3,
        "created_at": "2026-03-01T09:00:00Z", "updated_at": "1970-01-01T00:00:00Z",
    }  # fmt: skip
    assert not gateway.lists.last("CreateList").request.HasField("description")
    assert (await gateway.call("GET", f"{base}/{LST}")).body == created.body
    listed = await gateway.call("GET", f"{base}?limit=1&cursor={gateway.cursor('c1')}")
    assert (listed.body["data"], listed.body["next_cursor"], listed.body["has_more"]) == (
        [created.body],
        gateway.cursor("c2"),
        True,
    )
    headers = {"If-Match": '"3"'}
    await gateway.call("PUT", f"{base}/{LST}", json={"description": None}, headers=headers)
    request = gateway.lists.last("UpdateList").request
    assert (request.clear_description, request.HasField("description"), request.HasField("name")) == (
        True,
        False,
        False,
    )
    assert request.if_version == 3
    await gateway.call("PATCH", f"{base}/{LST}", json={"name": "New", "description": "x"})
    request = gateway.lists.last("UpdateList").request
    assert (request.name, request.description, request.clear_description) == ("New", "x", False)
    gone = await gateway.call("DELETE", f"{base}/{LST}", headers=headers)
    assert (gone.status, gone.body, gateway.lists.last("DeleteList").request.if_version) == (204, b"", 3)


@pytest.mark.parametrize(
    "body", [{}, {"name": None}, {"name": ""}, {"name": "x" * 201}, {"name": "x", "colour": "red"}]
)
async def test_a_list_needs_a_name(gateway: Gateway, body: Any) -> None:
    assert (await gateway.call("POST", "/v1/lists", json=body)).code == "validation_failed"


@pytest.mark.parametrize("base", BASES)
async def test_members_come_and_go_by_bodies_of_post_and_delete(gateway: Gateway, base: str) -> None:
    failed = [lists_pb2.ContactFailure(contact_id=CNT, code="validation_failed", detail="too many")]
    gateway.lists.answers["AddListMembers"] = lists_pb2.AddListMembersResponse(added=1, not_found=["x"], failed=failed)
    gateway.lists.answers["RemoveListMembers"] = lists_pb2.RemoveListMembersResponse(removed=1)
    gateway.lists.answers["ListListMembers"] = lists_pb2.ListListMembersResponse(
        contacts=[contacts_pb2.Contact(id=CNT, version=1)]
    )
    many: dict[str, Any] = {"contact_ids": [CNT, "x"], "list_ids": [LST]}
    one: dict[str, Any] = {"contact_ids": [CNT, "x"]}
    for path, body in ((f"{base}/{LST}/members", one), (f"{base}/members", many)):
        added = await gateway.call("POST", path, json=body)
        assert (added.status, added.body) == (
            200,
            {
                "added": 1,
                "not_found": ["x"],
                "errors": [{"contact_id": CNT, "code": "validation_failed", "detail": "too many"}],
            },
        )
        request = gateway.lists.last("AddListMembers").request
        assert (list(request.list_ids), list(request.contact_ids)) == ([LST], [CNT, "x"])
        removed = await gateway.call("DELETE", path, json=body)
        assert (removed.status, removed.body) == (200, {"removed": 1, "not_found": []})
        request = gateway.lists.last("RemoveListMembers").request
        assert (list(request.list_ids), list(request.contact_ids)) == ([LST], [CNT, "x"])
    listed = await gateway.call("GET", f"{base}/{LST}/members?limit=5")
    assert [contact["id"] for contact in listed.body["data"]] == [CNT]


async def test_what_a_delete_with_a_body_refuses(gateway: Gateway) -> None:
    path = f"/v1/lists/{LST}/members"
    assert (await gateway.call("DELETE", path)).code == "invalid_request"
    assert (await gateway.call("DELETE", path, json={"contact_ids": []})).code == "validation_failed"
    assert (await gateway.call("DELETE", path, data="x", headers={"Content-Type": "text/plain"})).status == 415
    large = {"contact_ids": ["x" * (1 << 20)]}
    assert (await gateway.call("DELETE", path, json=large)).code == "payload_too_large"
    assert (await gateway.call("DELETE", "/v1/lists/nonsense/members", json={"contact_ids": [CNT]})).status == 404


async def test_a_bulk_change_is_answered_with_what_it_did(gateway: Gateway) -> None:
    outcome = bulk_pb2.BulkOutcome(changed=2, unchanged=1, not_found=["x"])
    gateway.bulk.answers["BulkChangeContacts"] = bulk_pb2.BulkChangeContactsResponse(outcome=outcome)
    answer = await gateway.call("POST", "/v1/contacts/bulk-tag", json={"contact_ids": [CNT, "x"], "add": ["a"]})
    assert answer.body == {"changed": 2, "unchanged": 1, "failed": 0, "not_found": ["x"], "errors": []}
    request = gateway.bulk.last("BulkChangeContacts").request
    assert (list(request.ids.values), list(request.add_tags), list(request.remove_tags)) == ([CNT, "x"], ["a"], [])
    await gateway.call("POST", "/v1/contacts/bulk-list", json={"filter": {"tag": "t"}, "remove": [LST]})
    request = gateway.bulk.last("BulkChangeContacts").request
    assert (request.filter.tag, request.filter.HasField("stage"), list(request.remove_lists)) == ("t", False, [LST])


async def test_a_large_bulk_change_is_a_job(gateway: Gateway) -> None:
    job = bulk_pb2.BulkJob(id=JOB, status=bulk_pb2.BULK_STATUS_RUNNING, changed=3, unchanged=2, failed=1)
    gateway.bulk.answers["BulkChangeContacts"] = bulk_pb2.BulkChangeContactsResponse(job=job)
    gateway.bulk.answers["GetBulkJob"] = bulk_pb2.GetBulkJobResponse(job=job)
    answer = await gateway.call("POST", "/v1/contacts/bulk-tag", json={"filter": {}, "add": ["a"]})
    assert (answer.status, answer.headers["location"]) == (202, f"/v1/bulk-jobs/{JOB}")
    assert (answer.body["status"], answer.body["progress"]) == ("running", {"contacts_done": 6})
    assert (answer.body["error"], answer.body["finished_at"]) == (None, None)
    assert (await gateway.call("GET", answer.headers["location"])).body == answer.body


@pytest.mark.parametrize(
    "body",
    [
        {"add": ["a"]},
        {"contact_ids": [CNT], "filter": {}, "add": ["a"]},
        {"contact_ids": [], "add": ["a"]},
        {"contact_ids": [CNT] * 1001, "add": ["a"]},
        {"filter": {"tgs": "a"}, "add": ["a"]},
        {"contact_ids": [CNT], "add": [""]},
    ],
    ids=["nobody", "ids and a filter", "no ids", "too many ids", "an unknown filter", "an empty tag"],
)
async def test_a_bulk_change_names_whom_it_means(gateway: Gateway, body: Any) -> None:
    assert (await gateway.call("POST", "/v1/contacts/bulk-tag", json=body)).code == "validation_failed"
    assert not gateway.bulk.received


async def test_a_batch_goes_on_as_it_came_and_what_is_refused_is_told_as_of_one_contact(gateway: Gateway) -> None:
    def failed(at: int, code: str) -> dict[str, Any]:
        return {"index": at, "outcome": "failed", "id": None, "version": None, "error": {"code": code}}

    created = {"index": 1, "outcome": "created", "id": CNT, "version": 1, "error": None}
    told = [failed(0, "theirs"), created, failed(2, "theirs"), failed(3, "invalid_phone"), failed(4, "theirs")]
    gateway.bulk.answers["UpsertBatch"] = bulk_pb2.UpsertBatchResponse(
        results_json=json.dumps(told).encode(), created=1, failed=4
    )
    rows: list[Any] = [{"phone": 5}, {"phone": "+1", "stage": None}, "nonsense", {"phone": "x"}, {"phne": "1"}]
    answer = await gateway.call("POST", "/v1/contacts/batch?default_region=DE", json={"contacts": rows})
    assert {name: answer.body[name] for name in ("created", "updated", "unchanged", "failed")} == {
        "created": 1, "updated": 0, "unchanged": 0, "failed": 4
    }  # fmt: skip
    results = answer.body["results"]
    assert (results[1], results[3]) == (created, told[3])
    assert (results[0]["id"], results[0]["version"], results[0]["error"]["existing_ids"]) == (None, None, [])
    assert [
        (one["index"], one["outcome"], one["error"]["code"], one["error"]["errors"][0]["pointer"])
        for one in (results[i] for i in (0, 2, 4))
    ] == [
        (0, "failed", "validation_failed", "/contacts/0/phone"),
        (2, "failed", "validation_failed", "/contacts/2"),
        (4, "failed", "validation_failed", "/contacts/4/phne"),
    ]
    assert [results[i]["error"]["errors"][0]["code"] for i in (0, 2, 4)] == [
        "wrong_type",
        "wrong_type",
        "unknown_field",
    ]
    request = gateway.bulk.last("UpsertBatch").request
    assert json.loads(request.body_json) == {"contacts": rows}
    assert request.default_region == "DE"


async def test_a_batch_of_rows_that_can_all_be_taken_is_handed_on(gateway: Gateway) -> None:
    results = [{"index": 0, "outcome": "created", "id": CNT, "version": 1, "error": None}]
    gateway.bulk.answers["UpsertBatch"] = bulk_pb2.UpsertBatchResponse(
        results_json=json.dumps(results).encode(), created=1
    )
    row = {"email": "a@example.com", "tags": [" a "], "metadata": {"a": [1, None]}, "is_bot_active": False}
    answer = await gateway.call("POST", "/v1/contacts/batch", json={"contacts": [row]})
    assert answer.body == {"created": 1, "updated": 0, "unchanged": 0, "failed": 0, "results": results}
    assert json.loads(gateway.bulk.last("UpsertBatch").request.body_json) == {"contacts": [row]}


@pytest.mark.parametrize(
    ("body", "code", "fault"),
    [
        (b"{", "invalid_request", None),
        (b"[]", "validation_failed", ("", "wrong_type")),
        (b"{}", "validation_failed", ("/contacts", "required")),
        (b'{"contacts": {}}', "validation_failed", ("/contacts", "wrong_type")),
        (b'{"contacts": []}', "validation_failed", ("/contacts", "too_short")),
        (b'{"contacts": [%s1]}' % (b"1," * 1000), "validation_failed", ("/contacts", "too_long")),
        (b'{"contacts": [1], "more": 1}', "validation_failed", ("/more", "unknown_field")),
        # What only the service refuses is told in its words.
        (b'{"contacts": [{}]}', "identity_required", None),
    ],
    ids=["no JSON", "an array", "nothing", "an object", "no rows", "too many", "more beside", "the service's"],
)
async def test_what_is_no_batch_is_refused_as_any_body_is(
    gateway: Gateway, body: bytes, code: str, fault: tuple[str, str] | None
) -> None:
    gateway.bulk.answers["UpsertBatch"] = InvalidArgument(Reason.IDENTITY_REQUIRED, "The service's words.")
    answer = await gateway.call("POST", "/v1/contacts/batch", data=body, headers={"Content-Type": "application/json"})
    assert answer.code == code
    if fault is not None:
        assert [(one["pointer"], one["code"]) for one in answer.body["errors"]] == [fault]


@pytest.mark.parametrize(("body", "at"), [("[]", ""), ('{"contacts": [5]}', "/contacts/0")])
async def test_what_is_no_object_is_told_as_of_one_contact(gateway: Gateway, body: str, at: str) -> None:
    failed = {"index": 0, "outcome": "failed", "id": None, "version": None, "error": {}}
    gateway.bulk.answers["UpsertBatch"] = (
        bulk_pb2.UpsertBatchResponse(results_json=json.dumps([failed]).encode(), failed=1)
        if at
        else InvalidArgument(Reason.VALIDATION_FAILED, "The service's words.")
    )
    headers = {"Content-Type": "application/json"}
    one = await gateway.call("POST", "/v1/contacts", data="[]", headers=headers)
    batch = await gateway.call("POST", "/v1/contacts/batch", data=body, headers=headers)
    told = batch.body["results"][0]["error"] if at else batch.body
    assert told["errors"] == [one.body["errors"][0] | {"pointer": at}]


async def test_a_batch_may_be_eight_mebibytes_large(gateway: Gateway) -> None:
    gateway.bulk.answers["UpsertBatch"] = bulk_pb2.UpsertBatchResponse(results_json=b"[]", created=480)
    row = {"phone": "+1", "metadata": {"a": "x" * 16_000}}
    assert (await gateway.call("POST", "/v1/contacts/batch", json={"contacts": [row] * 480})).body["created"] == 480
    larger = await gateway.call("POST", "/v1/contacts/batch", json={"contacts": [row] * 530})
    assert (larger.code, larger.body["limit_bytes"]) == ("payload_too_large", 8 << 20)


async def test_a_row_of_nothing_but_unknown_fields_is_answered_shortly(gateway: Gateway) -> None:
    result = {"index": 0, "outcome": "failed", "id": None, "version": None, "error": {"code": "theirs"}}
    gateway.bulk.answers["UpsertBatch"] = bulk_pb2.UpsertBatchResponse(
        results_json=json.dumps([result]).encode(), failed=1
    )
    row = {f"field {at}": at for at in range(100_000)}
    answer = await gateway.call("POST", "/v1/contacts/batch", json={"contacts": [row]})
    error = answer.body["results"][0]["error"]
    assert [(one["pointer"], one["code"]) for one in error["errors"]] == [
        (f"/contacts/0/field {at}", "unknown_field") for at in range(100)
    ]
