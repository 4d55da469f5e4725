"""Keeping webhooks: what is taken, what is refused, and who sees what."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from services.gateway import service
from services.gateway.webhooks import service as webhook_service
from tests.service.gateway.conftest import SECRETS_KEY, Gateway

URL = "https://example.com/hooks"
UNKNOWN = "whk_01h455vb4pex5vsknk084sn02q"


async def made(gateway: Gateway, **more: Any) -> dict[str, Any]:
    answer = await gateway.call("POST", "/v1/webhooks", json={"url": URL, **more})
    assert answer.status == 201, answer.body
    return dict(answer.body)


async def test_a_webhook_is_made_read_changed_and_deleted(gateway: Gateway) -> None:
    answer = await gateway.call(
        "POST", "/v1/webhooks", json={"url": URL, "event_types": ["contact.*", "contact.*"], "description": "CRM"}
    )
    webhook = answer.body
    assert (answer.status, answer.headers["location"]) == (201, f"/v1/webhooks/{webhook['id']}")
    assert (webhook["event_types"], webhook["description"], webhook["enabled"]) == (["contact.*"], "CRM", True)
    path = f"/v1/webhooks/{webhook['id']}"
    read = await gateway.call("GET", path)
    assert read.body == {name: value for name, value in webhook.items() if name != "secret"}
    assert read.headers["etag"] == answer.headers["etag"] == '"1"'
    changed = await gateway.call("PUT", path, json={"enabled": False})
    assert (changed.body["enabled"], changed.body["url"], changed.body["version"]) == (False, URL, 2)
    stale = await gateway.call("PUT", path, json={"url": URL + "/2"}, headers={"If-Match": '"1"'})
    assert (stale.status, stale.code, stale.body["version"]) == (412, "version_mismatch", 2)
    assert (await gateway.call("DELETE", path, headers={"If-Match": '"2"'})).status == 204
    assert (await gateway.call("DELETE", path)).status == 404
    assert (await gateway.call("GET", path)).code == "not_found"


async def test_the_secret_is_shown_once_and_kept_sealed(gateway: Gateway) -> None:
    webhook = await made(gateway)
    assert webhook["secret"].startswith("whsec_")
    async with gateway.work.across() as tx:
        sealed = await tx.fetchval(
            "SELECT secret FROM webhooks WHERE account_id = $1 AND url = $2", gateway.account_id, URL
        )
    assert webhook["secret"].encode() not in sealed
    assert Fernet(SECRETS_KEY).decrypt(sealed).startswith(b"whsec_")


async def test_a_repeated_request_makes_one_webhook_and_shows_no_secret_again(gateway: Gateway) -> None:
    headers = {"Idempotency-Key": "make-it-once"}
    first = await gateway.call("POST", "/v1/webhooks", json={"url": URL}, headers=headers)
    again = await gateway.call("POST", "/v1/webhooks", json={"url": URL}, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status, again.headers["location"]) == (201, first.headers["location"])
    assert again.body == {**first.body, "secret": None}
    other = await gateway.call("POST", "/v1/webhooks", json={"url": URL + "/x"}, headers=headers)
    assert (other.status, other.code) == (422, "idempotency_key_reused")


async def test_a_rotation_makes_a_new_secret(gateway: Gateway) -> None:
    webhook = await made(gateway)
    path = f"/v1/webhooks/{webhook['id']}"
    rotated = await gateway.call("POST", f"{path}/rotate-secret", json={"overlap_seconds": 3600})
    assert rotated.status == 200
    assert rotated.body["secret"] != webhook["secret"]
    assert (await gateway.call("GET", path)).body["old_secret_expires_at"] is not None
    at_once = await gateway.call("POST", f"{path}/rotate-secret", json={"overlap_seconds": 0})
    assert at_once.body["old_secret_expires_at"] is None


async def test_webhooks_are_listed_newest_first_in_pages(gateway: Gateway) -> None:
    account = await service.create_account(gateway.work, "Pages", scopes=["admin"])
    names = []
    for number in range(3):
        answer = await gateway.call("POST", "/v1/webhooks", json={"url": f"{URL}/{number}"}, key=account.key)
        names.append(answer.body["id"])
    first = (await gateway.call("GET", "/v1/webhooks?limit=2", key=account.key)).body
    rest = (await gateway.call("GET", f"/v1/webhooks?limit=2&cursor={first['next_cursor']}", key=account.key)).body
    assert [one["id"] for one in first["data"] + rest["data"]] == names[::-1]
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    foreign = await gateway.call("GET", f"/v1/webhooks?cursor={first['next_cursor']}")
    assert foreign.code == "invalid_cursor"


async def test_an_account_has_so_many_and_no_more(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_service, "MOST", 1)
    account = await service.create_account(gateway.work, "Many", scopes=["admin"])
    assert (await gateway.call("POST", "/v1/webhooks", json={"url": URL}, key=account.key)).status == 201
    assert (await gateway.call("POST", "/v1/webhooks", json={"url": URL}, key=account.key)).status == 422


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": 5}, "/url"),
        ({"url": "https://user:password@example.com"}, "/url"),
        ({"url": "gopher://example.com"}, "/url"),
        ({"url": "https://example.com/" + "x" * 2000}, "/url"),
        ({"url": URL, "event_types": ["contact.moved"]}, "/event_types/0"),
        ({"url": URL, "event_types": "contact.*"}, "/event_types"),
        ({"url": URL, "event_types": ["contact.*"] * 101}, "/event_types"),
        ({"url": URL, "enabled": "yes"}, "/enabled"),
        ({"url": URL, "description": "x" * 201}, "/description"),
        ({"url": URL, "secret": "whsec_x"}, "/secret"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_bad_field_is_pointed_at(gateway: Gateway, body: dict[str, Any], pointer: str) -> None:
    answer = await gateway.call("POST", "/v1/webhooks", json=body)
    assert answer.status == 422
    assert [error["pointer"] for error in answer.body["errors"]] == [pointer]


@pytest.mark.parametrize("overlap", [-1, 7 * 86400 + 1, "1", 1.5], ids=["negative", "too long", "text", "fraction"])
async def test_a_bad_overlap_is_pointed_at(gateway: Gateway, overlap: object) -> None:
    webhook = await made(gateway)
    answer = await gateway.call(
        "POST", f"/v1/webhooks/{webhook['id']}/rotate-secret", json={"overlap_seconds": overlap}
    )
    assert [error["pointer"] for error in answer.body["errors"]] == ["/overlap_seconds"]


async def test_a_change_that_is_refused_changes_nothing(gateway: Gateway) -> None:
    webhook = await made(gateway)
    path = f"/v1/webhooks/{webhook['id']}"
    answer = await gateway.call("PUT", path, json={"url": "ftp://example.com", "enabled": False})
    assert [error["pointer"] for error in answer.body["errors"]] == ["/url"]
    assert (await gateway.call("GET", path)).body["enabled"] is True


CALLS = [
    ("GET", "", None),
    ("PUT", "", {"enabled": False}),
    ("PATCH", "", {"enabled": False}),
    ("DELETE", "", None),
    ("POST", "/rotate-secret", {}),
    ("POST", "/test", None),
    ("GET", "/attempts", None),
    ("POST", "/attempts/wat_01h455vb4pex5vsknk084sn02q/replay", None),
]
NAMES = [f"{method} {path or '/'}" for method, path, _ in CALLS]


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=NAMES)
async def test_another_account_s_webhook_is_as_unknown_as_one_that_never_was(
    gateway: Gateway, method: str, path: str, body: object
) -> None:
    webhook = await made(gateway)
    other = await service.create_account(gateway.work, "Other", scopes=["admin"])
    more = {} if body is None else {"json": body}
    found = await gateway.call(method, f"/v1/webhooks/{webhook['id']}{path}", key=other.key, **more)
    never = await gateway.call(method, f"/v1/webhooks/{UNKNOWN}{path}", key=other.key, **more)
    malformed = await gateway.call(method, f"/v1/webhooks/whk_x{path}", key=other.key, **more)
    assert {(one.status, one.code, one.body["detail"]) for one in (found, never, malformed)} == {
        (404, "not_found", "There is no webhook with that id.")
    }
    assert (await gateway.call("GET", f"/v1/webhooks/{webhook['id']}")).body["enabled"] is True


async def test_reading_needs_events_read_and_writing_admin(gateway: Gateway) -> None:
    webhook = await made(gateway)
    reader = await service.create_account(gateway.work, "Reader", scopes=["events:read"])
    nobody = await service.create_account(gateway.work, "Nobody", scopes=["contacts:*", "campaigns:*"])
    assert (await gateway.call("GET", "/v1/webhooks", key=reader.key)).status == 200
    for method, path, body in CALLS:
        more = {} if body is None else {"json": body}
        url = f"/v1/webhooks/{webhook['id']}{path}"
        assert (await gateway.call(method, url, key=nobody.key, **more)).code == "permission_denied", url
        if method != "GET":
            assert (await gateway.call(method, url, key=reader.key, **more)).code == "permission_denied", url


async def test_nothing_is_sent_through_a_disabled_one(gateway: Gateway) -> None:
    webhook = await made(gateway, enabled=False)
    answer = await gateway.call("POST", f"/v1/webhooks/{webhook['id']}/test")
    assert (answer.status, answer.code) == (409, "invalid_state")
