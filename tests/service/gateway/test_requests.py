"""What holds for every request: keys, scopes, ids, bodies, conditions, headers."""

import asyncio
import gc
import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.errors import Aborted, AlreadyExists, NotFound, Reason, Unavailable
from services.gateway import draining, service
from tests.service.gateway.conftest import Gateway

CONTACT_ID = ids.encode("cnt", ids.new())


def contact(**fields: Any) -> pb.Contact:
    return pb.Contact(id=CONTACT_ID, version=3, metadata_json="{}", is_bot_active=True, **fields)


@pytest.fixture
def with_contact(gateway: Gateway) -> Gateway:
    gateway.contacts.answers["GetContact"] = pb.GetContactResponse(contact=contact(phone="+15550100"))
    gateway.contacts.answers["CreateContact"] = pb.CreateContactResponse(contact=contact(), created=True)
    gateway.contacts.answers["UpdateContact"] = pb.UpdateContactResponse(contact=contact())
    return gateway


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "apiKey"])
async def test_the_key_may_stand_in_three_headers(with_contact: Gateway, header: str) -> None:
    key = with_contact.account.key
    value = f"Bearer {key}" if header == "Authorization" else key
    answer = await with_contact.call("GET", f"/v1/contacts/{CONTACT_ID}", key=None, headers={header: value})
    assert answer.status == 200
    assert with_contact.contacts.last("GetContact").call.account == with_contact.account_id


@pytest.mark.parametrize("key", [None, "nonsense", "ck_live_" + "0" * 48])
async def test_without_a_known_key_nothing_is_asked(gateway: Gateway, key: str | None) -> None:
    answer = await gateway.call("GET", f"/v1/contacts/{CONTACT_ID}", key=key)
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert gateway.contacts.received == []


async def test_a_key_is_refused_when_it_lacks_the_scope(with_contact: Gateway) -> None:
    reader = await service.create_account(with_contact.work, "Reader", scopes=["contacts:read"])
    read = await with_contact.call("GET", f"/v1/contacts/{CONTACT_ID}", key=reader.key)
    assert read.status == 200
    written = await with_contact.call("POST", "/v1/contacts", key=reader.key, json={"phone": "+15550100"})
    assert (written.status, written.code, written.body["scope"]) == (403, "permission_denied", "contacts:write")


async def test_a_key_ends_when_it_is_revoked_and_when_it_expires(with_contact: Gateway) -> None:
    made = await service.create_account(with_contact.work, "Brief", scopes=["admin"])
    account = ids.decode_account(made.account_id)
    path = f"/v1/contacts/{CONTACT_ID}"
    assert (await with_contact.call("GET", path, key=made.key)).status == 200
    async with with_contact.work.across() as tx:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await tx.execute("UPDATE api_keys SET expires_at = $2 WHERE account_id = $1", account, past)
    assert (await with_contact.call("GET", path, key=made.key)).status == 401
    async with with_contact.work.across() as tx:
        sql = "UPDATE api_keys SET expires_at = NULL, revoked_at = now() WHERE account_id = $1"
        await tx.execute(sql, account)
    assert (await with_contact.call("GET", path, key=made.key)).status == 401


async def test_the_use_of_a_key_is_noted(with_contact: Gateway) -> None:
    made = await service.create_account(with_contact.work, "Used", scopes=["admin"])
    account = ids.decode_account(made.account_id)
    await with_contact.call("GET", f"/v1/contacts/{CONTACT_ID}", key=made.key)
    async with with_contact.work.across() as tx:
        used = await tx.fetchval("SELECT last_used_at FROM api_keys WHERE account_id = $1", account)
    assert used is not None


@pytest.mark.parametrize(
    "path",
    [
        "/v1/contacts/nothing",
        "/v1/contacts/cnt_short",
        "/v1/contacts/seg_01m7y46evme3tvxstkhnbb2rf5",
        "/v1/segments/x",
        "/v1/campaigns/cmp_x",
        "/v1/imports/1",
        "/v1/templates/tmpl_abc123",
        "/v1/senders/1",
        "/v1/contacts/CNT_01M7Y46EVME3TVXSTKHNBB2RF5",
    ],
)
async def test_what_is_no_id_is_not_found(gateway: Gateway, path: str) -> None:
    answer = await gateway.call("GET", path)
    assert (answer.status, answer.code) == (404, "not_found")


async def test_an_unknown_route_and_method_are_problems_too(gateway: Gateway) -> None:
    unknown = await gateway.call("GET", "/v1/nonsense")
    assert (unknown.status, unknown.code) == (404, "route_not_found")
    answer = await gateway.call("PATCH", "/v1/contacts")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    for path in ("/v1/contacts/lookup", "/openapi.json", "/docs", "/readyz"):
        assert (await gateway.call("POST", path)).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/v1/contacts", "/compat/chat/contacts", "/v1/contacts/cnt_1/activity"])
@pytest.mark.parametrize("key", ["", None])
async def test_a_path_with_a_line_break_behind_it_is_another(gateway: Gateway, path: str, key: str | None) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await gateway.call(method, f"{path}%0A", key=key)
        assert (answer.status, answer.code) == (404, "route_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/contacts/lists", "GET, HEAD, POST"),
        ("PUT", "/api/v1/contacts/segments", "GET, HEAD, POST"),
        ("DELETE", "/v1/contacts/lookup", "GET, HEAD"),
        ("GET", "/v1/segments/preview", "POST"),
        ("PATCH", "/api/v1/contacts/segments/preview", "POST"),
        ("GET", "/v1/contacts/bulk-delete", "POST"),
        ("GET", "/v1/lists/members", "DELETE, POST"),
        ("PATCH", "/v1/contacts/lists/members", "DELETE, POST"),
    ],
)
async def test_a_path_of_its_own_is_no_id(gateway: Gateway, method: str, path: str, allowed: str) -> None:
    answer = await gateway.call(method, path)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("body", "status", "code", "pointers"),
    [
        (b"{", 400, "invalid_request", None),
        (b"", 400, "invalid_request", None),
        (b'{"phone": "\xff"}', 400, "invalid_request", None),
        (b"[]", 422, "validation_failed", {"": "wrong_type"}),
        (b'{"phone": 5}', 422, "validation_failed", {"/phone": "wrong_type"}),
        (b'{"fone": "+1"}', 422, "validation_failed", {"/fone": "unknown_field"}),
        (b'{"name": "x\\u0000"}', 422, "validation_failed", {"/name": "invalid_format"}),
        (b'{"tags": ["a", 5]}', 422, "validation_failed", {"/tags/1": "wrong_type"}),
        (b'{"tags": "a"}', 422, "validation_failed", {"/tags": "wrong_type"}),
        (b'{"is_bot_active": "yes"}', 422, "validation_failed", {"/is_bot_active": "wrong_type"}),
        (b'{"name": "%s"}' % (b"x" * 201), 422, "validation_failed", {"/name": "too_long"}),
        (b'{"metadata": {"a": [[[[[1]]]]]}}', 422, "validation_failed", {"/metadata": "out_of_range"}),
        (b'{"metadata": {"a": "%s"}}' % (b"x" * 17000), 422, "validation_failed", {"/metadata": "too_long"}),
    ],
)
async def test_a_bad_body_is_named(
    gateway: Gateway, body: bytes, status: int, code: str, pointers: dict[str, str] | None
) -> None:
    answer = await gateway.call("POST", "/v1/contacts", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (status, code)
    found = {error["pointer"]: error["code"] for error in answer.body.get("errors", ())}
    assert found == (pointers or {})
    assert gateway.contacts.received == []


async def test_a_body_that_is_no_json_is_not_left_to_the_collector(gateway: Gateway) -> None:
    """It looks seldom, and the body may be large."""
    headers = {"Content-Type": "application/json"}
    gc.collect()
    gc.disable()
    try:
        answer = await gateway.call("POST", "/v1/contacts", data=b'{"name": left behind', headers=headers)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert [one for one in gc.get_objects() if isinstance(one, json.JSONDecodeError)] == []
    finally:
        gc.enable()


async def test_bodies_over_a_mebibyte_are_refused(gateway: Gateway) -> None:
    big = b'{"name": "' + b"x" * (1 << 20) + b'"}'
    headers = {"Content-Type": "application/json"}
    declared = await gateway.call("POST", "/v1/contacts", data=big, headers=headers)
    assert (declared.status, declared.code, declared.body["limit_bytes"]) == (413, "payload_too_large", 1 << 20)

    async def chunks():
        for at in range(0, len(big), 100_000):
            yield big[at : at + 100_000]

    streamed = await gateway.call("POST", "/v1/contacts", data=chunks(), headers=headers)
    assert (streamed.status, streamed.code) == (413, "payload_too_large")


async def test_a_body_ends_where_it_says_and_its_connection_goes_on(with_contact: Gateway) -> None:
    """By its length, or by the end that it has itself; a request behind it, on its way already, is one of its own."""
    host, _, port = with_contact.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/contacts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {with_contact.account.key}\r\n"
    bodies = [b'{"phone": "+15550100", "name": "%s"}' % name + b" " * 100_000 for name in (b"one", b"two", b"three")]
    for at, body in enumerate(bodies):
        lengths = [f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"]
        writer.write(f"{head}{lengths[at % 2]}\r\n\r\n".encode())
        writer.write(body if at % 2 == 0 else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    for _ in bodies:
        assert (await reader.readline()).startswith(b"HTTP/1.1 201")
        headers = await reader.readuntil(b"\r\n\r\n")
        (length,) = re.findall(rb"(?i)content-length: (\d+)", headers)
        await reader.readexactly(int(length))
    writer.close()
    asked = [one.request.contact.name for one in with_contact.contacts.received]
    assert asked == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("path", "kind", "beginning", "code"),
    [
        ("/v1/contacts", "application/json", b"{", "invalid_request"),
        ("/v1/contacts/import", "multipart/form-data; boundary=b", b"--b\r\n", "upload_incomplete"),
    ],
    ids=["JSON", "form"],
)
async def test_a_body_that_does_not_come_is_not_waited_for(
    gateway: Gateway, path: str, kind: str, beginning: bytes, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "BODY_SECONDS", 0.05)
    given = asyncio.Event()

    async def body():
        yield beginning
        await given.wait()

    answer = await gateway.call("POST", path, data=body(), headers={"Content-Type": kind})
    given.set()
    assert (answer.status, answer.code) == (400, code)
    assert gateway.contacts.received == []


@pytest.mark.parametrize("path", ["/v1/contacts", "/v1/contacts/import"])
async def test_an_encoded_body_is_not_unpacked(gateway: Gateway, path: str) -> None:
    kind = "application/json" if path == "/v1/contacts" else "multipart/form-data; boundary=b"
    headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
    answer = await gateway.call("POST", path, data=gzip.compress(b'{"name": "x"}'), headers=headers)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert "Content-Encoding" in answer.body["detail"]


@pytest.mark.parametrize("body", [b'{"x": 1}', b"[1]", b'"x"', b"{"])
async def test_a_call_that_takes_no_body_refuses_one_by_name(gateway: Gateway, body: bytes) -> None:
    path = f"/v1/campaigns/{ids.encode('cmp', ids.new())}/start"
    answer = await gateway.call("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code, answer.body["errors"][0]["pointer"]) == (422, "validation_failed", "")
    assert gateway.campaigns.received == []


async def test_a_body_without_a_type_is_json(with_contact: Gateway) -> None:
    body = b'{"phone": "+15550100"}'
    answer = await with_contact.call("POST", "/v1/contacts", data=body, skip_auto_headers=["Content-Type"])
    assert answer.status == 201
    assert with_contact.contacts.last("CreateContact").request.contact.phone == "+15550100"


@pytest.mark.parametrize("noun", ["suppressions/sup", "api-keys/key"])
async def test_a_condition_that_would_be_ignored_is_refused(gateway: Gateway, noun: str) -> None:
    path = f"/v1/{noun.partition('/')[0]}/{ids.encode(noun.partition('/')[2], ids.new())}"
    answer = await gateway.call("DELETE", path, headers={"If-Match": '"3"'})
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert answer.body["errors"][0]["pointer"] == "/If-Match"
    assert gateway.campaigns.received == gateway.contacts.received == []
    assert (await gateway.call("DELETE", path, headers={"If-Match": "*"})).status in {204, 404}


@pytest.mark.parametrize("noun", ["campaigns/cmp", "senders/sender", "templates/tmpl"])
async def test_a_deletion_may_be_conditional(gateway: Gateway, noun: str) -> None:
    path = f"/v1/{noun.partition('/')[0]}/{ids.encode(noun.partition('/')[2], ids.new())}"
    assert (await gateway.call("DELETE", path, headers={"If-Match": '"3"'})).status == 204
    assert gateway.campaigns.received[-1].request.if_version == 3
    assert (await gateway.call("DELETE", path)).status == 204
    assert not gateway.campaigns.received[-1].request.HasField("if_version")


async def test_another_type_than_json_is_refused(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "/v1/contacts", data=b"phone=1", headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "stagee=lead", "limit=5&x=1"])
async def test_bad_parameters_are_refused(gateway: Gateway, query: str) -> None:
    answer = await gateway.call("GET", f"/v1/contacts?{query}")
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert gateway.contacts.received == []


async def test_a_pointer_to_a_parameter_is_escaped(gateway: Gateway) -> None:
    answer = await gateway.call("GET", "/v1/contacts?a%2Fb~c=1")
    assert answer.body["errors"][0]["pointer"] == "/a~1b~0c"


async def test_an_etag_is_answered_and_if_match_travels(with_contact: Gateway) -> None:
    path = f"/v1/contacts/{CONTACT_ID}"
    assert (await with_contact.call("GET", path)).headers["etag"] == '"3"'
    await with_contact.call("PUT", path, json={"tags": ["a"]}, headers={"If-Match": '"3"'})
    assert with_contact.contacts.last("UpdateContact").request.if_version == 3
    await with_contact.call("PUT", path, json={"tags": ["a"]}, headers={"If-Match": "*"})
    assert not with_contact.contacts.last("UpdateContact").request.HasField("if_version")
    never_issued = await with_contact.call("PUT", path, json={}, headers={"If-Match": '"abc"'})
    assert (never_issued.status, never_issued.code) == (412, "version_mismatch")
    error = Aborted(Reason.VERSION_MISMATCH, "Changed.", metadata={"version": "7"})
    with_contact.contacts.answers["UpdateContact"] = error
    mismatch = await with_contact.call("PATCH", path, json={"tags": []}, headers={"If-Match": '"3"'})
    assert (mismatch.status, mismatch.code, mismatch.body["version"]) == (412, "version_mismatch", 7)


async def test_an_update_sends_only_what_was_sent(with_contact: Gateway) -> None:
    body: dict[str, Any] = {"tags": [], "email": None, "metadata": {"a": 9007199254740993, "b": None}}
    await with_contact.call("PUT", f"/v1/contacts/{CONTACT_ID}", json=body)
    patch = with_contact.contacts.last("UpdateContact").request.patch
    assert [name.name for name, _ in patch.ListFields()] == ["tags", "metadata_json", "clear"]
    assert list(patch.clear) == ["email"]
    assert patch.metadata_json == '{"a":9007199254740993,"b":null}'


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_what_is_created_is_found_under_the_prefix_used(with_contact: Gateway, prefix: str) -> None:
    answer = await with_contact.call("POST", f"{prefix}/contacts", json={"phone": "+15550100"})
    assert answer.status == 201
    assert answer.headers["location"] == f"{prefix}/contacts/{CONTACT_ID}"


async def test_an_upsert_that_changed_something_is_no_creation(with_contact: Gateway) -> None:
    with_contact.contacts.answers["CreateContact"] = pb.CreateContactResponse(contact=contact(), created=False)
    answer = await with_contact.call("POST", "/v1/contacts?on_conflict=update", json={"phone": "+15550100"})
    assert answer.status == 200
    assert with_contact.contacts.last("CreateContact").request.on_conflict == pb.ON_CONFLICT_UPDATE


async def test_the_idempotency_key_travels_with_a_fingerprint_of_the_request(with_contact: Gateway) -> None:
    prints = []
    for body in ({"phone": "+15550100"}, {"phone": "+15550100"}, {"phone": "+15550101"}):
        await with_contact.call("POST", "/v1/contacts", json=body, headers={"Idempotency-Key": "k1"})
        idempotency = with_contact.contacts.last("CreateContact").call.idempotency
        assert idempotency is not None
        assert idempotency.key == "k1"
        prints.append(idempotency.fingerprint)
    assert prints[0] == prints[1] != prints[2]
    await with_contact.call("GET", f"/v1/contacts/{CONTACT_ID}", headers={"Idempotency-Key": "k1"})
    assert with_contact.contacts.last("GetContact").call.idempotency is None
    bad = await with_contact.call("POST", "/v1/contacts", json={}, headers={"Idempotency-Key": "k" * 256})
    assert (bad.status, bad.code) == (400, "invalid_request")


async def test_errors_of_a_service_come_out_as_problems(with_contact: Gateway) -> None:
    contacts = with_contact.contacts
    metadata = {"existing_id": CONTACT_ID}
    contacts.answers["CreateContact"] = AlreadyExists(Reason.CONTACT_EXISTS, "There already.", metadata=metadata)
    clash = await with_contact.call("POST", "/v1/contacts", json={"phone": "+15550100"})
    assert (clash.status, clash.code, clash.body["existing_id"]) == (409, "contact_exists", CONTACT_ID)
    contacts.answers["GetContact"] = NotFound(Reason.NOT_FOUND, "No.")
    assert (await with_contact.call("GET", f"/v1/contacts/{CONTACT_ID}")).status == 404
    contacts.answers["GetContact"] = Unavailable(Reason.UNAVAILABLE, "Down.")
    down = await with_contact.call("GET", f"/v1/contacts/{CONTACT_ID}")
    assert (down.status, down.headers["retry-after"]) == (503, "1")
    contacts.answers["GetContact"] = RuntimeError("a secret of the inside")
    broken = await with_contact.call("GET", f"/v1/contacts/{CONTACT_ID}")
    assert (broken.status, broken.code) == (500, "internal")
    assert "secret" not in str(broken.body)
    assert broken.body["request_id"] == broken.headers["x-request-id"]


async def test_a_request_id_is_echoed_or_made_and_travels(with_contact: Gateway) -> None:
    path = f"/v1/contacts/{CONTACT_ID}"
    given = await with_contact.call("GET", path, headers={"X-Request-Id": "abc-123"})
    assert given.headers["x-request-id"] == "abc-123"
    assert with_contact.contacts.last("GetContact").call.request_id == "abc-123"
    made = await with_contact.call("GET", path, headers={"X-Request-Id": "not a good one!"})
    assert made.headers["x-request-id"].startswith("req_")


async def test_head_is_get_without_the_body(with_contact: Gateway) -> None:
    answer = await with_contact.call("HEAD", f"/v1/contacts/{CONTACT_ID}")
    assert (answer.status, answer.headers["etag"], answer.body) == (200, '"3"', b"")


async def test_health_openapi_and_docs_need_no_key(gateway: Gateway) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        assert (await gateway.call("GET", path, key=None)).status == 200
    document = (await gateway.call("GET", "/openapi.json", key=None)).body
    assert document["openapi"].startswith("3.1")
    answer = await gateway.call("GET", "/docs", key=None)
    page = answer.body.decode()
    # Nothing is fetched, and a browser would not fetch it either.
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.findall(r"<(?:script|link|img|iframe|object)|\bsrc=|url\(", page)
    for path, item in document["paths"].items():
        for operation in item.values():
            assert f'<details id="{operation["operationId"]}">' in page, path
    assert "&quot;phone&quot;: &quot;+1234567890&quot;" in page
    assert "http://" not in page
    assert "https://" not in re.sub(r"https://(provider\.example|example\.com)", "", page)


async def test_many_requests_at_once_keep_apart(with_contact: Gateway) -> None:
    def echo(request: pb.GetContactRequest) -> pb.GetContactResponse:
        return pb.GetContactResponse(contact=pb.Contact(id=request.id, version=1, metadata_json="{}"))

    with_contact.contacts.answers["GetContact"] = echo
    wanted = [ids.encode("cnt", ids.new()) for _ in range(50)]
    answers = await asyncio.gather(*(with_contact.call("GET", f"/v1/contacts/{one}") for one in wanted))
    assert [answer.body["id"] for answer in answers] == wanted
