"""What is wrong is refused with a stable code, and leaves nothing half done."""

import asyncio
import os
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.client import Answered, Api

IMPORT = "/v1/contacts/import"
NOWHERE = "01h455vb4pex5vsknk084sn02q"


@pytest_asyncio.fixture(scope="module")
async def draft(api: Api, sender_id: str) -> str:
    """A campaign to which recipients could be uploaded."""
    template = (await api.post("/v1/templates", {"name": "t", "body": "Hi"})).ok(201)
    body = {"name": "c", "template_id": template["id"], "sender_id": sender_id}
    return str((await api.post("/v1/campaigns", body)).ok(201)["id"])


async def everything(api: Api, draft: str) -> list[Any]:
    """All that a faulty upload could have left behind."""
    recipients = await api.everything(f"/v1/campaigns/{draft}/recipients")
    return [await api.everything("/v1/contacts"), recipients]


FILES = {
    "empty": (b"", 422, "file_empty"),
    "header only": (b"phone,name\n", 422, "file_empty"),
    "unknown columns": (b"colour,size\nred,5\nblue,6\n", 422, "unknown_columns"),
    "binary": (bytes(range(256)) * 64, 422, "file_unreadable"),
    "an image": (b"\x89PNG\r\n\x1a\n" + os.urandom(4096), 422, "file_unreadable"),
}


@pytest.mark.parametrize("name", FILES)
async def test_a_bad_file_of_contacts(api: Api, draft: str, name: str) -> None:
    data, status, code = FILES[name]
    before = await everything(api, draft)
    (await api.upload(IMPORT, data)).refused(status, code)
    assert await everything(api, draft) == before


@pytest.mark.parametrize("name", FILES)
async def test_a_bad_file_of_recipients(api: Api, draft: str, name: str) -> None:
    data, status, code = FILES[name]
    before = await everything(api, draft)
    (await api.upload(f"/v1/campaigns/{draft}/recipients", data)).refused(status, code)
    assert await everything(api, draft) == before


# A quote that is never closed swallows the rest of the file.
MALFORMED = b'phone,name\n"+15550001111,Never closed\n' + b"".join(
    b"+1555000%04d,Swallowed\n" % number for number in range(2000, 2050)
)


async def test_a_malformed_file_of_contacts_loses_no_row_silently(api: Api, draft: str) -> None:
    """Either the file is refused and nothing of it is there, or each of its rows is told of."""
    before = len(await api.everything("/v1/contacts"))
    answer = await api.upload(IMPORT, MALFORMED)
    after = len(await api.everything("/v1/contacts"))
    if answer.status == 200:
        found = answer.body
        assert [error["row"] for error in found["errors"]] == [2]
        assert (found["imported"], found["failed"], after - before) == (50, 1, 50)
    else:
        answer.refused(422, "file_unreadable")
        assert after == before


async def test_a_malformed_file_of_recipients_is_refused_whole(api: Api, draft: str) -> None:
    before = await everything(api, draft)
    (await api.upload(f"/v1/campaigns/{draft}/recipients", MALFORMED)).refused(422, "file_unreadable")
    assert await everything(api, draft) == before


async def test_no_file_and_no_form(api: Api) -> None:
    (await api.call("POST", IMPORT, data=b"phone\n+1555\n", headers={"Content-Type": "text/csv"})).refused(
        415, "unsupported_media_type"
    )
    cut = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nphone\n+15550003333\n'
    (await api.call("POST", IMPORT, data=cut, headers={"Content-Type": "multipart/form-data; boundary=x"})).refused(
        400, "upload_incomplete"
    )
    (await api.get("/v1/contacts/lookup?phone=%2B15550003333")).refused(404, "not_found")


@pytest.mark.parametrize("path", [IMPORT, "/v1/campaigns/cmp_" + NOWHERE + "/recipients", "/v1/contacts"])
async def test_two_gigabytes_are_refused_unread(api: Api, path: str) -> None:
    kind = "application/json" if path == "/v1/contacts" else "multipart/form-data; boundary=x"
    host, _, port = api.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {api.key}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: 2147483648\r\n\r\n".encode()
    )
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read(4096)
    writer.close()
    assert head.startswith(b"HTTP/1.1 413"), head
    assert b"application/problem+json" in head
    assert b'"code":"payload_too_large"' in body


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"phone": "12ab"}, "invalid_phone", "/phone"),
        ({"phone": "555 0100"}, "invalid_phone", "/phone"),
        ({"phone": "+0123456789"}, "invalid_phone", "/phone"),
        ({"phone": "+15550004444", "email": "no address"}, "invalid_email", "/email"),
        ({"phone": "+15550004444", "fone": "x"}, "validation_failed", "/fone"),
        ({"phone": "+15550004444", "tags": [""]}, "validation_failed", "/tags/0"),
        ({"phone": "+15550004444", "metadata": []}, "validation_failed", "/metadata"),
    ],
)
async def test_a_bad_contact(api: Api, body: Any, code: str, pointer: str) -> None:
    problem = (await api.post("/v1/contacts", body)).refused(422, code)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    (await api.get("/v1/contacts/lookup?phone=%2B15550004444")).refused(404, "not_found")


async def test_a_contact_needs_an_identity(api: Api) -> None:
    (await api.post("/v1/contacts", {"name": "Nobody"})).refused(422, "identity_required")


@pytest.mark.parametrize("body", ["{", "null", "[]", '"text"', '{"phone": "+15550005555"', "{'phone': 1}", "\x00"])
async def test_a_body_that_is_no_object(api: Api, body: str) -> None:
    answer = await api.call("POST", "/v1/contacts", data=body.encode(), headers={"Content-Type": "application/json"})
    assert answer.status in {400, 422}
    answer.refused(answer.status, "invalid_request" if answer.status == 400 else "validation_failed")


GOOD = {"field": "tags", "operator": "contains", "value": "x"}


def of(field: object = "tags", operator: object = "contains", value: object = "x") -> dict[str, object]:
    return {"conditions": [{"field": field, "operator": operator, "value": value}]}


BAD_RULES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown field": (of(field="colour"), ["/conditions/0/field"]),
    "no field": (of(field=7), ["/conditions/0/field"]),
    "metadata without a path": (of(field="metadata."), ["/conditions/0/field"]),
    "unknown operator": (of(operator="resembles"), ["/conditions/0/operator"]),
    "text has no greater": (of(field="name", operator="gt", value=5), ["/conditions/0/operator"]),
    "times do not contain": (of(field="created_at"), ["/conditions/0/operator"]),
    "a number for a text": (of(field="name", value=7), ["/conditions/0/value"]),
    "a text for a number": (of(field="version", operator="gte", value="7"), ["/conditions/0/value"]),
    "a text for a boolean": (of(field="is_bot_active", operator="equals", value="yes"), ["/conditions/0/value"]),
    "no value": ({"conditions": [{"field": "tags", "operator": "contains"}]}, ["/conditions/0/value"]),
    "a value for exists": (of(operator="exists"), ["/conditions/0/value"]),
    "an empty array": (of(value=[]), ["/conditions/0/value"]),
    "a null among values": (of(value=["a", None]), ["/conditions/0/value/1"]),
    "501 values": (of(value=["x"] * 501), ["/conditions/0/value"]),
    "a bad duration": (of(field="created_at", operator="in_last", value="a month"), ["/conditions/0/value"]),
    "a bad time": (of(field="created_at", operator="before", value="2026-02-30"), ["/conditions/0/value"]),
    "a bad anniversary": (of(field="created_at", operator="anniversary", value="12h"), ["/conditions/0/value"]),
    "upside down": (of(field="version", operator="between", value=[5, 1]), ["/conditions/0/value"]),
    "a segment that is not there": (of(field="segments", value=f"seg_{NOWHERE}"), ["/conditions/0/value"]),
    "a key misspelt": ({"conditions": [{**GOOD, "vlaue": 1}]}, ["/conditions/0/vlaue"]),
    "no conditions": ({"conditions": []}, ["/conditions"]),
    "101 conditions": ({"conditions": [GOOD] * 101}, ["/conditions"]),
    "no object": ({"conditions": [GOOD, "tags"]}, ["/conditions/1"]),
    "neither": ({}, ["/conditions"]),
    "both": ({"conditions": [GOOD], "rules": GOOD}, ["/rules"]),
    "nothing in rules": ({"rules": {}}, ["/rules/field", "/rules/operator"]),
    "two faults in a tree": (
        {"rules": {"any": [GOOD, {"all": [{**GOOD, "field": "x"}]}, {"not": {**GOOD, "operator": "x"}}]}},
        ["/rules/any/1/all/0/field", "/rules/any/2/not/operator"],
    ),
    "a group with more": ({"rules": {"all": [GOOD], "a/b": 1}}, ["/rules/a~1b"]),
}


@pytest.mark.parametrize("path", ["/v1/segments", "/v1/segments/preview"])
@pytest.mark.parametrize("name", BAD_RULES)
async def test_a_bad_rule_makes_no_segment(api: Api, name: str, path: str) -> None:
    definition, pointers = BAD_RULES[name]
    body = definition if path.endswith("preview") else {"name": "bad", **definition}
    problem = (await api.post(path, body)).refused(422, "invalid_rule")
    assert [error["pointer"] for error in problem["errors"]] == pointers
    assert await api.everything("/v1/segments") == []


@pytest.mark.parametrize(
    ("part", "pointer"),
    [({"conditions": {}}, "/conditions"), ({"rules": []}, "/rules"), ({"rules": {"not": ["x" * 2**18]}}, "/rules")],
    ids=["no array", "no object", "too long"],
)
async def test_what_cannot_be_a_rule(api: Api, part: Any, pointer: str) -> None:
    problem = (await api.post("/v1/segments", {"name": "bad", **part})).refused(422, "validation_failed")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert await api.everything("/v1/segments") == []


async def test_a_campaign_to_what_is_not_there(api: Api, sender_id: str) -> None:
    template = (await api.post("/v1/templates", {"name": "t", "body": "Hi"})).ok(201)["id"]
    good = {"name": "c", "template_id": template, "sender_id": sender_id}
    before = await api.everything("/v1/campaigns")
    for field, prefix in (("segment_id", "seg"), ("template_id", "tmpl"), ("sender_id", "sender")):
        for reference in (f"{prefix}_{NOWHERE}", f"{prefix}_xyz789", "nonsense"):
            answer = await api.post("/v1/campaigns", {**good, field: reference})
            problem = answer.refused(422, "validation_failed")
            assert [error["pointer"] for error in problem["errors"]] == [f"/{field}"]
    assert await api.everything("/v1/campaigns") == before


async def test_a_template_that_does_not_parse(api: Api) -> None:
    before = await api.everything("/v1/templates")
    problem = (await api.post("/v1/templates", {"name": "t", "body": "Hi {{ name"})).refused(422, "invalid_template")
    assert problem["errors"][0]["pointer"] == "/body"
    assert await api.everything("/v1/templates") == before


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_verb_in_the_wrong_state(api: Api, draft: str, verb: str) -> None:
    before = (await api.get(f"/v1/campaigns/{draft}")).ok()
    problem = (await api.post(f"/v1/campaigns/{draft}/{verb}")).refused(409, "invalid_state")
    assert problem["current_status"] == "draft"
    assert (await api.get(f"/v1/campaigns/{draft}")).ok() == before


async def test_a_start_with_nobody_to_send_to(api: Api, draft: str) -> None:
    (await api.post(f"/v1/campaigns/{draft}/start")).refused(409, "audience_missing")
    assert (await api.get(f"/v1/campaigns/{draft}")).ok()["status"] == "draft"


async def test_recipients_for_a_campaign_that_has_a_segment(api: Api, sender_id: str) -> None:
    template = (await api.post("/v1/templates", {"name": "t", "body": "Hi"})).ok(201)["id"]
    rule = {"field": "tags", "operator": "contains", "value": "x"}
    segment = (await api.post("/v1/segments", {"name": "s", "conditions": [rule]})).ok(201)["id"]
    body = {"name": "c", "template_id": template, "sender_id": sender_id, "segment_id": segment}
    campaign = (await api.post("/v1/campaigns", body)).ok(201)["id"]
    rows = b"phone\n+1234567890\n"
    (await api.upload(f"/v1/campaigns/{campaign}/recipients", rows)).refused(409, "audience_conflict")
    await api.delete_all(f"/v1/campaigns/{campaign}", f"/v1/segments/{segment}")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/contacts?cursor=forged", 400, "invalid_cursor"),
        ("/v1/contacts?limit=101", 422, "validation_failed"),
        ("/v1/contacts?colour=red", 422, "validation_failed"),
        ("/v1/nothing", 404, "route_not_found"),
        ("/v1/contacts/cnt_" + NOWHERE, 404, "not_found"),
    ],
)
async def test_bad_reads(api: Api, path: str, status: int, code: str) -> None:
    (await api.get(path)).refused(status, code)


async def test_a_cursor_belongs_to_its_list(api: Api) -> None:
    for number in range(3):
        (await api.post("/v1/contacts", {"phone": f"+1555000600{number}", "stage": "lead"})).ok(201)
    first: Answered = await api.get("/v1/contacts?stage=lead&limit=1")
    cursor = first.ok()["next_cursor"]
    assert len((await api.get(f"/v1/contacts?stage=lead&limit=1&cursor={cursor}")).ok()["data"]) == 1
    (await api.get(f"/v1/contacts?stage=customer&limit=1&cursor={cursor}")).refused(400, "invalid_cursor")
    (await api.get(f"/v1/segments?cursor={cursor}")).refused(400, "invalid_cursor")


async def test_the_wrong_method_says_which_are_right(api: Api) -> None:
    answer = await api.call("DELETE", "/v1/contacts")
    answer.refused(405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
