"""The dialects in front of fake services: what is asked of them, how errors are named, and how far pages go."""

from typing import Any

import aiohttp
import pytest

from carillon.contacts.v1 import activity_pb2, contacts_pb2, exports_pb2, imports_pb2, lists_pb2
from chassis import ids
from chassis.errors import InvalidArgument, NotFound, Reason, Violation
from tests.service.gateway.conftest import Gateway

CNT, LST, IMP, EXP = (ids.encode(prefix, ids.new()) for prefix in ("cnt", "lst", "imp", "exp"))
CHAT, BOOK = "/compat/chat", "/compat/addressbook"


def contact(**fields: Any) -> contacts_pb2.Contact:
    return contacts_pb2.Contact(id=CNT, version=3, is_bot_active=True, **fields)


def form(data: bytes, **fields: str) -> aiohttp.FormData:
    found = aiohttp.FormData()
    for name, value in fields.items():
        found.add_field(name, value)
    found.add_field("file", data, filename="a.csv", content_type="text/csv")
    found.add_field("behind", "x")
    return found


async def test_only_what_was_sent_is_asked_for(gateway: Gateway) -> None:
    gateway.contacts.answers["CreateContact"] = contacts_pb2.CreateContactResponse(contact=contact(), created=True)
    body = {"phoneNumber": "+1", "instagramId": None, "currentCampaignData": {"a": 1}, "is_bot_active": False, "x": 1}
    answer = await gateway.call("POST", f"{CHAT}/contacts", json=body)
    assert (answer.status, answer.headers["etag"]) == (200, '"3"')
    assert "location" not in answer.headers
    sent = gateway.contacts.last("CreateContact").request
    expected = contacts_pb2.ContactPatch(
        phone="+1", current_campaign_data_json='{"a":1}', is_bot_active=False, clear=["instagram_id"]
    )
    assert sent == contacts_pb2.CreateContactRequest(contact=expected)


async def test_a_service_s_errors_are_named_as_the_dialect_names_fields(gateway: Gateway) -> None:
    violations = [
        Violation(pointer, "wrong", "Wrong.") for pointer in ("/phone", "/metadata/a/b", "/metadatum", "/email", "")
    ]
    error = InvalidArgument(Reason.VALIDATION_FAILED, "Wrong.", violations=violations)
    gateway.contacts.answers["UpdateContact"] = error
    chat = await gateway.call("PUT", f"{CHAT}/contacts/{CNT}", json={"firstName": "x"})
    assert [one["pointer"] for one in chat.body["errors"]] == [
        "/phoneNumber", "/metadata/a/b", "/metadatum", "/email", ""
    ]  # fmt: skip
    assert chat.body["instance"] == f"{CHAT}/contacts/{CNT}"
    book = await gateway.call("PUT", f"{BOOK}/contacts/{CNT}", json={"name": "x"})
    assert [one["pointer"] for one in book.body["errors"]] == [
        "/phone", "/custom_fields/a/b", "/metadatum", "/email", ""
    ]  # fmt: skip


async def test_conditions_travel(gateway: Gateway) -> None:
    for base in (CHAT, BOOK):
        await gateway.call("PUT", f"{base}/contacts/{CNT}", json={}, headers={"If-Match": '"7"'})
        assert gateway.contacts.last("UpdateContact").request.if_version == 7


async def test_a_request_is_the_same_however_its_key_is_sent(gateway: Gateway) -> None:
    """A repetition under the same Idempotency-Key is known again, also where the key moved out of the query."""
    prints = []
    for query, key in (("", ""), (f"?apiKey={gateway.account.key}", None)):
        headers = {"Idempotency-Key": "once"}
        body = {"phoneNumber": "+1"}
        await gateway.call("POST", f"{CHAT}/contacts{query}", key=key, json=body, headers=headers)
        sent = gateway.contacts.last("CreateContact").call.idempotency
        assert sent is not None
        assert sent.key == "once"
        prints.append(sent.fingerprint)
    assert prints[0] == prints[1]


async def test_a_list_that_is_full_refuses_the_contact(gateway: Gateway) -> None:
    failure = lists_pb2.ContactFailure(contact_id=CNT, code=Reason.VALIDATION_FAILED, detail="On 100 lists.")
    gateway.lists.answers["AddListMembers"] = lists_pb2.AddListMembersResponse(failed=[failure])
    answer = await gateway.call("POST", f"{CHAT}/contacts/lists", json={"contactId": CNT, "listId": LST})
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert answer.body["errors"] == [{"pointer": "/contactId", "code": "validation_failed", "detail": "On 100 lists."}]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_a_list_call_for_a_contact_that_is_not_there_is_not_found(gateway: Gateway, method: str) -> None:
    gateway.lists.answers["AddListMembers"] = lists_pb2.AddListMembersResponse(not_found=[CNT])
    gateway.lists.answers["RemoveListMembers"] = lists_pb2.RemoveListMembersResponse(not_found=[CNT])
    answer = await gateway.call(method, f"{CHAT}/contacts/lists", json={"contactId": CNT, "listId": LST})
    assert (answer.status, answer.code) == (404, "not_found")


async def test_a_page_of_messages_leads_to_the_next(gateway: Gateway) -> None:
    gateway.activity.answers["ListMessages"] = activity_pb2.ListMessagesResponse(next_cursor="c2")
    answer = await gateway.call("GET", f"{CHAT}/contacts/messages/{CNT}?limit=7&apiKey={gateway.account.key}", key=None)
    path, _, relation = answer.headers["link"].partition("; ")
    assert (answer.body, relation) == ([], 'rel="next"')
    assert path.startswith(f"<{CHAT}/contacts/messages/{CNT}?limit=7&cursor=")
    assert gateway.account.key not in path
    await gateway.call("GET", path.strip("<>"))
    assert gateway.activity.last("ListMessages").request.cursor == "c2"


def paged(gateway: Gateway, *, knows_skip: bool = True) -> None:
    def contacts(request: Any) -> contacts_pb2.ListContactsResponse:
        found = contacts_pb2.ListContactsResponse(contacts=[contact()], next_cursor="more", total=430)
        found.total_is_estimate, found.skipped = True, request.skip if knows_skip else 0
        return found

    def new(request: Any) -> dict[str, Any]:
        return {"total": 430, "skipped": request.skip} if knows_skip else {}

    def lists(request: Any) -> lists_pb2.ListListsResponse:
        return lists_pb2.ListListsResponse(lists=[lists_pb2.List()], **new(request))

    def members(request: Any) -> lists_pb2.ListListMembersResponse:
        return lists_pb2.ListListMembersResponse(contacts=[contact()], **new(request))

    gateway.contacts.answers["ListContacts"] = contacts
    gateway.lists.answers |= {"ListLists": lists, "ListListMembers": members}


NUMBERED = pytest.mark.parametrize("at", ["contacts", "contacts/list", "contacts/list/ID/contacts"])


@NUMBERED
async def test_a_page_by_number_is_one_call(gateway: Gateway, at: str) -> None:
    paged(gateway)
    path, service = f"{BOOK}/{at.replace('ID', LST)}", gateway.contacts if at == "contacts" else gateway.lists
    for page, per_page, skipped in ((1, 50, 0), (7, 40, 240), (100, 100, 9_900)):
        service.received.clear()
        found = (await gateway.call("GET", f"{path}?page={page}&per_page={per_page}")).body
        assert (len(found["data"]), found["total"], found["page"], found["per_page"]) == (1, 430, page, per_page)
        assert found["total_is_estimate"] == (at == "contacts")
        (asked,) = (one.request for one in service.received)
        assert (asked.page_size, asked.skip, asked.cursor) == (per_page, skipped, "")
        assert getattr(asked, "include_total", True)
    service.received.clear()
    too_deep = await gateway.call("GET", f"{path}?page=201&per_page=50")
    assert (too_deep.status, too_deep.body["errors"][0]["pointer"]) == (422, "/page")
    assert service.received == []


@NUMBERED
async def test_contacts_of_the_version_before_answer_no_wrong_page(gateway: Gateway, at: str) -> None:
    paged(gateway, knows_skip=False)
    path = f"{BOOK}/{at.replace('ID', LST)}"
    # Lists it did not count.
    assert (await gateway.call("GET", f"{path}?page=1")).status == (200 if at == "contacts" else 503)
    second = await gateway.call("GET", f"{path}?page=2")
    assert (second.status, second.code, second.headers["retry-after"]) == (503, "unavailable", "1")


async def test_an_upload_takes_any_field_and_tells_it(gateway: Gateway) -> None:
    column = contacts_pb2.ImportColumn(title="City", suggested_target="metadata.City")
    held: dict[str, Any] = {
        "import": contacts_pb2.Import(id=IMP, status=contacts_pb2.IMPORT_STATUS_UPLOADED),
        "preview": contacts_pb2.ImportPreview(columns=[column, contacts_pb2.ImportColumn(index=1)]),
    }
    gateway.contacts.answers["CreateImport"] = contacts_pb2.CreateImportResponse(**held)
    answer = await gateway.call("POST", f"{BOOK}/contacts/upload?mode=fast", data=form(b"City,\nRome,\n", before="y"))
    assert (answer.status, answer.headers["location"]) == (201, f"/v1/imports/{IMP}")
    assert answer.headers["carillon-ignored-fields"] == "mode, before, behind"
    assert answer.body == {
        "import_id": IMP,
        "columns": ["City", ""],
        "rows": [],
        "suggested_mapping": {"City": "custom_fields.City", "#2": ""},
    }
    requests = gateway.contacts.last("CreateImport").requests
    assert (requests[0].options.hold, requests[-1].end) == (True, True)
    canonical = await gateway.call("POST", "/v1/imports", data=form(b"City\n", before="y"))
    assert canonical.status == 422


@pytest.mark.parametrize("kind", ["file", "vcard"])
async def test_a_mapping_is_confirmed_under_the_canonical_names(gateway: Gateway, kind: str) -> None:
    done: dict[str, Any] = {
        "import": contacts_pb2.Import(id=IMP, status=contacts_pb2.IMPORT_STATUS_COMPLETED, imported=2)
    }
    gateway.imports.answers["CommitImport"] = imports_pb2.CommitImportResponse(**done)
    body = {"import_id": IMP, "mapping": {"City": "custom_fields.town", "#2": "custom_fields", "M": "phone"}}
    answer = await gateway.call("POST", f"{BOOK}/contacts/mapped/{kind}", json=body)
    assert (answer.status, answer.body["imported"], answer.body["errors"]) == (200, 2, [])
    sent = gateway.imports.last("CommitImport").request
    assert (sent.id, {one.column: one.target for one in sent.mapping}) == (
        IMP, {"City": "metadata.town", "#2": "custom_fields", "M": "phone"}
    )  # fmt: skip


async def test_an_import_that_goes_on_is_accepted(gateway: Gateway) -> None:
    running: dict[str, Any] = {"import": contacts_pb2.Import(id=IMP, status=contacts_pb2.IMPORT_STATUS_RUNNING)}
    gateway.imports.answers["CommitImport"] = imports_pb2.CommitImportResponse(**running)
    gateway.contacts.answers["GetImport"] = contacts_pb2.GetImportResponse(**running)
    answer = await gateway.call("POST", f"{BOOK}/contacts/mapped/file", json={"import_id": IMP})
    assert (answer.status, answer.headers["location"], answer.body["status"]) == (202, f"/v1/imports/{IMP}", "running")


async def test_an_export_needs_no_body(gateway: Gateway) -> None:
    gateway.exports.answers["CreateExport"] = exports_pb2.CreateExportResponse(export=exports_pb2.Export(id=EXP))
    answer = await gateway.call("POST", f"{BOOK}/exports/contacts")
    assert (answer.status, answer.headers["location"]) == (202, f"{BOOK}/exports/{EXP}")
    sent = gateway.exports.last("CreateExport").request
    assert (sent.resource, sent.format) == (exports_pb2.EXPORT_RESOURCE_CONTACTS, exports_pb2.EXPORT_FORMAT_CSV)
    body = {"format": "xlsx", "filter": {"name": "jo", "validity": "email:invalid", "channel": "sms"}}
    await gateway.call("POST", f"{BOOK}/exports/contacts", json=body)
    sent = gateway.exports.last("CreateExport").request
    assert (sent.format, sent.contacts.search) == (exports_pb2.EXPORT_FORMAT_XLSX, "jo")
    assert sent.contacts.email_validity == contacts_pb2.VALIDITY_INVALID
    assert sent.contacts.channel == contacts_pb2.CHANNEL_SMS


async def test_any_other_call_still_needs_its_body(gateway: Gateway) -> None:
    for method, path in (("POST", f"{BOOK}/contacts"), ("POST", f"{CHAT}/contacts"), ("DELETE", f"{BOOK}/contacts")):
        answer = await gateway.call(method, path)
        assert (answer.status, answer.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", f"{CHAT}/contacts/lists", "DELETE, POST"),
        ("GET", f"{BOOK}/contacts/upload", "POST"),
        ("DELETE", f"{BOOK}/contacts/list", "GET, HEAD, POST"),
        ("GET", f"{BOOK}/exports/contacts", "POST"),
    ],
)
async def test_a_path_of_its_own_is_no_id(gateway: Gateway, method: str, path: str, allowed: str) -> None:
    answer = await gateway.call(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)


async def test_a_list_that_is_not_there_has_no_pages(gateway: Gateway) -> None:
    gateway.lists.answers["ListListMembers"] = NotFound(Reason.NOT_FOUND, "There is no list with that id.")
    answer = await gateway.call("GET", f"{BOOK}/contacts/list/{LST}/contacts")
    assert (answer.status, answer.code) == (404, "not_found")
