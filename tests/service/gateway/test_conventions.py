"""Limits, encodings, origins, conditions: what holds for every call, whatever it does."""

import asyncio
import gzip
import json
import time
from typing import Any

import aiohttp
import pytest
import zstandard

from carillon.campaigns.v1 import campaigns_pb2
from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import exports_pb2
from carillon.segments.v1 import segments_pb2
from chassis import ids
from chassis.db import Database
from chassis.errors import NotFound, Reason
from deploy.local import databases
from services.gateway import api, app, backends, service
from services.gateway.config import GatewaySettings
from services.gateway.server import HttpServer
from tests.service import stack
from tests.service.gateway.conftest import ORIGIN, Answered, Gateway

CONTACT = ids.encode("cnt", ids.new())


def contacts(count: int) -> pb.ListContactsResponse:
    found = [{"id": CONTACT, "version": 1, "metadata": {}, "phone": f"+1555{at:07d}"} for at in range(count)]
    return pb.ListContactsResponse(contacts_json=json.dumps(found).encode())


def an_import(found: pb.Import) -> pb.GetImportResponse:
    answer = pb.GetImportResponse()
    getattr(answer, "import").CopyFrom(found)  # a keyword in Python
    return answer


# --- compression


async def raw(gateway: Gateway, path: str, accepted: str, method: str = "GET") -> tuple[Any, bytes]:
    """The head and the body as it came over the wire."""
    headers = {"Authorization": f"Bearer {gateway.account.key}", "Accept-Encoding": accepted}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(method, gateway.url + path, headers=headers) as answer,
    ):
        return answer.headers, await answer.read()


@pytest.mark.parametrize(
    ("accepted", "decode"), [("gzip", gzip.decompress), ("zstd, gzip", None)], ids=["gzip", "zstd"]
)
async def test_a_long_answer_is_compressed_as_asked(gateway: Gateway, accepted: str, decode: Any) -> None:
    gateway.contacts.answers["ListContacts"] = contacts(100)
    plain_head, plain = await raw(gateway, "/v1/contacts", "identity")
    head, body = await raw(gateway, "/v1/contacts", accepted)
    assert "content-encoding" not in plain_head
    assert plain_head["vary"] == head["vary"] == "Accept-Encoding"
    assert head["content-encoding"] == accepted.partition(",")[0]
    assert int(head["content-length"]) == len(body) < len(plain) / 4
    decode = decode or zstandard.ZstdDecompressor().decompress
    assert json.loads(decode(body)) == json.loads(plain)
    head_only, nothing = await raw(gateway, "/v1/contacts", accepted, method="HEAD")
    assert (head_only["content-length"], nothing) == (head["content-length"], b"")


async def test_a_short_answer_and_a_stream_are_not_compressed(gateway: Gateway) -> None:
    gateway.contacts.answers["ListContacts"] = contacts(0)
    head, _ = await raw(gateway, "/v1/contacts", "gzip, zstd")
    assert "content-encoding" not in head
    found = pb.Import(id=ids.encode("imp", ids.new()), status=pb.IMPORT_STATUS_COMPLETED, file_name="x" * 5000)
    gateway.contacts.answers["GetImport"] = an_import(found)
    head, body = await raw(gateway, f"/v1/imports/{found.id}/events", "gzip, zstd")
    assert "content-encoding" not in head
    assert body.startswith(b"event: ended\n")


async def test_head_of_a_stream_does_not_wait_for_its_end(gateway: Gateway) -> None:
    found = pb.Import(id=ids.encode("imp", ids.new()), status=pb.IMPORT_STATUS_RUNNING)
    gateway.contacts.answers["GetImport"] = an_import(found)
    answer = await gateway.call("HEAD", f"/v1/imports/{found.id}/events")
    assert (answer.status, answer.body) == (200, b"")
    asked = len(gateway.contacts.received)
    await gateway.call("HEAD", f"/v1/imports/{found.id}/events")
    # The stream of the first one is not followed any more: only the second one's first look has come since.
    assert len(gateway.contacts.received) == asked + 1


async def test_an_export_and_a_campaign_are_followed_to_their_end(gateway: Gateway) -> None:
    export = ids.encode("exp", ids.new())
    states = [exports_pb2.EXPORT_STATUS_QUEUED, exports_pb2.EXPORT_STATUS_RUNNING, exports_pb2.EXPORT_STATUS_COMPLETED]

    def exported(_: exports_pb2.GetExportRequest) -> exports_pb2.GetExportResponse:
        return exports_pb2.GetExportResponse(export=exports_pb2.Export(id=export, status=states.pop(0)))

    gateway.exports.answers["GetExport"] = exported
    answer = await gateway.call("GET", f"/v1/exports/{export}/events", headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert told(answer.body) == [("progress", "queued"), ("progress", "running"), ("ended", "completed")]
    cancelled = campaigns_pb2.Campaign(
        id=ids.encode("cmp", ids.new()), status=campaigns_pb2.CAMPAIGN_STATUS_CANCELLED, version=1
    )
    gateway.campaigns.answers["GetCampaign"] = campaigns_pb2.GetCampaignResponse(campaign=cancelled)
    answer = await gateway.call("GET", f"/v1/campaigns/{cancelled.id}/events")
    assert told(answer.body) == [("ended", "cancelled")]
    for noun, fake in (("exports/exp", gateway.exports), ("campaigns/cmp", gateway.campaigns)):
        fake.answers["GetExport"] = fake.answers["GetCampaign"] = NotFound(Reason.NOT_FOUND, "No.")
        path, prefix = noun.split("/")
        assert (await gateway.call("GET", f"/v1/{path}/{ids.encode(prefix, ids.new())}/events")).code == "not_found"


def told(body: bytes) -> list[tuple[str, str]]:
    """The name and status of each event."""
    events = [event.split("\n") for event in body.decode().strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))["status"]) for name, data in events]


# --- what the answer may be, and who may read it


async def test_a_client_that_takes_no_json_is_told_so_before_anything_is_done(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "/v1/contacts", json={"phone": "+15550100"}, headers={"Accept": "text/html"})
    assert (answer.status, answer.code) == (406, "not_acceptable")
    assert gateway.contacts.received == []
    event_stream = f"/v1/imports/{ids.encode('imp', ids.new())}/events"
    assert (await gateway.call("GET", event_stream, headers={"Accept": "application/json"})).status == 406


async def test_every_answer_says_what_a_browser_must_not_do_with_it(gateway: Gateway) -> None:
    for path, key in (("/v1/contacts", ""), ("/v1/contacts", None), ("/nowhere", None), ("/docs", None)):
        headers = (await gateway.call("GET", path, key=key)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers.getall("content-security-policy")[0].startswith("default-src 'none'")
        assert len(headers.getall("content-security-policy")) == 1
    assert "strict-transport-security" not in headers


async def test_pages_of_a_known_origin_may_call(gateway: Gateway) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
    preflight = await gateway.call("OPTIONS", "/v1/contacts", key=None, headers=asked)
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, ORIGIN)
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
    answer = await gateway.call("GET", "/v1/contacts", headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert {"ETag", "Content-Disposition"} <= set(answer.headers["access-control-expose-headers"].split(", "))
    refused = await gateway.call("GET", "/v1/contacts", key=None, headers={"Origin": ORIGIN})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)


async def test_pages_of_another_origin_may_not(gateway: Gateway) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    for method in ("OPTIONS", "GET"):
        answer = await gateway.call(method, "/v1/contacts", headers=asked)
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/v1/contacts/{CONTACT}/tags"),
        ("PUT", "/v1/quiet-hours"),
        ("POST", f"/v1/campaigns/{ids.encode('cmp', ids.new())}/start"),
    ],
    ids=["tags", "quiet hours", "start"],
)
async def test_a_condition_on_a_call_without_versions_is_refused(gateway: Gateway, method: str, path: str) -> None:
    answer = await gateway.call(method, path, headers={"If-Match": '"3"'})
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "/If-Match")


# --- idempotency


async def test_a_post_that_writes_nothing_is_replayed_too(gateway: Gateway) -> None:
    body = {"conditions": [{"field": "tags", "operator": "contains", "value": "premium"}]}
    gateway.segments.answers["PreviewSegment"] = segments_pb2.PreviewSegmentResponse(count=7)
    headers = {"Idempotency-Key": "preview"}
    first = await gateway.call("POST", "/v1/segments/preview", json=body, headers=headers)
    assert (first.status, first.body["count"]) == (200, 7)
    gateway.segments.answers["PreviewSegment"] = segments_pb2.PreviewSegmentResponse(count=8)
    again = await gateway.call("POST", "/v1/segments/preview", json=body, headers=headers)
    assert (again.body, again.headers["idempotent-replayed"]) == (first.body, "true")
    other = {"conditions": [{"field": "tags", "operator": "contains", "value": "other"}]}
    refused = await gateway.call("POST", "/v1/segments/preview", json=other, headers=headers)
    assert (refused.status, refused.code) == (422, "idempotency_key_reused")
    assert (await gateway.call("POST", "/v1/segments/preview", json=body)).body["count"] == 8
    stranger = await service.create_account(gateway.work, "Stranger", scopes=["admin"])
    theirs = await gateway.call("POST", "/v1/segments/preview", json=body, headers=headers, key=stranger.key)
    assert theirs.body["count"] == 8


async def test_a_refusal_is_not_kept(gateway: Gateway) -> None:
    body = {"conditions": [{"field": "tags", "operator": "contains", "value": "premium"}]}
    headers = {"Idempotency-Key": "refused first"}
    gateway.segments.answers["PreviewSegment"] = NotFound(Reason.NOT_FOUND, "No.")
    assert (await gateway.call("POST", "/v1/segments/preview", json=body, headers=headers)).status == 404
    gateway.segments.answers["PreviewSegment"] = segments_pb2.PreviewSegmentResponse(count=1)
    assert (await gateway.call("POST", "/v1/segments/preview", json=body, headers=headers)).body["count"] == 1


# --- cursors


async def test_a_cursor_is_sealed_for_its_account(gateway: Gateway) -> None:
    gateway.contacts.answers["ListContacts"] = pb.ListContactsResponse(contacts_json=b"[]", next_cursor="own")
    sealed = (await gateway.call("GET", "/v1/contacts")).body["next_cursor"]
    assert sealed == gateway.cursor("own")
    answer = await gateway.call("GET", f"/v1/contacts?cursor={sealed}&stage=a%26b%3D&limit=7")
    assert answer.status == 200
    request = gateway.contacts.last("ListContacts").request
    assert (request.cursor, request.stage, request.page_size) == ("own", "a&b=", 7)
    stranger = await service.create_account(gateway.work, "Stranger", scopes=["admin"])
    for key, cursor in ((stranger.key, sealed), ("", "own"), ("", "AAAA" + sealed[4:])):
        refused = await gateway.call("GET", f"/v1/contacts?cursor={cursor}", key=key)
        assert (refused.status, refused.code) == (400, "invalid_cursor")


# --- rate limits


@pytest.fixture
async def second(gateway: Gateway, gateway_urls: databases.Urls) -> Any:
    """Another replica: its own pool, caches and port."""
    bind = f"127.0.0.1:{stack.free_port()}"
    settings = GatewaySettings(**{**gateway.settings.model_dump(), "http_bind": bind})
    db = await Database.open(gateway_urls.serve)
    behind, stopping = backends.connect(settings), asyncio.Event()
    parts = app.assembled(settings, db, backends=behind, ready=db.ping, stopping=stopping)
    http = HttpServer(api.connected(settings, parts), bind=bind, stopping=stopping)
    await http.start()
    yield f"http://{bind}"
    await http.stop()
    await behind.stop()
    await db.stop()


async def limited_key(gateway: Gateway, rate: int) -> str:
    body = {"name": "limited", "scopes": ["contacts:read"], "rate_limit_per_second": rate}
    return str((await gateway.call("POST", "/v1/api-keys", json=body)).body["key"])


async def hammer(gateway: Gateway, url: str, key: str, *, seconds: float) -> list[int]:
    """The statuses of requests made one after another by 4 clients, for a while."""
    found: list[int] = []
    end = time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < end:
            async with gateway.http.get(f"{url}/v1/contacts", headers={"X-API-Key": key}) as answer:
                found.append(answer.status)

    await asyncio.gather(*(client() for _ in range(4)))
    return found


async def test_replicas_together_grant_no_more_than_the_key_s_budget(gateway: Gateway, second: str) -> None:
    rate = 50
    key = await limited_key(gateway, rate)
    began = time.monotonic()
    both = await asyncio.gather(*(hammer(gateway, url, key, seconds=3.0) for url in (gateway.url, second)))
    elapsed = time.monotonic() - began
    passed = [statuses.count(200) for statuses in both]
    assert set(both[0]) == set(both[1]) == {200, 429}
    assert sum(passed) <= 1.05 * rate * elapsed
    assert sum(passed) >= rate, "the budget of a second at least"
    assert min(passed) > 0


async def test_what_is_left_is_told_and_when_to_come_back(gateway: Gateway) -> None:
    key = await limited_key(gateway, 3)
    answers: list[Answered] = [await gateway.call("GET", "/v1/contacts", key=key) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"default";q=3;w=1'}
    assert [answer.headers["ratelimit"] for answer in answers] == [f'"default";r={left};t=1' for left in (2, 1, 0, 0)]
    assert (answers[3].code, answers[3].headers["retry-after"]) == ("rate_limited", "1")


async def test_a_refused_request_does_nothing(gateway: Gateway) -> None:
    key = await limited_key(gateway, 1)
    await gateway.call("GET", "/v1/contacts", key=key)
    before = len(gateway.contacts.received)
    assert (await gateway.call("GET", "/v1/contacts", key=key)).status == 429
    assert len(gateway.contacts.received) == before


async def test_a_revoked_key_ends_in_the_other_replica_too(gateway: Gateway, second: str) -> None:
    """Without a cache, as here, at once; the cache's four seconds have a unit test."""
    made = (await gateway.call("POST", "/v1/api-keys", json={"name": "x", "scopes": ["contacts:read"]})).body
    headers = {"X-API-Key": made["key"]}
    async with gateway.http.get(f"{second}/v1/contacts", headers=headers) as answer:
        assert answer.status == 200
    await gateway.call("DELETE", f"/v1/api-keys/{made['id']}")
    async with gateway.http.get(f"{second}/v1/contacts", headers=headers) as answer:
        assert answer.status == 401
