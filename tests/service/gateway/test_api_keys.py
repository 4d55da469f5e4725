"""Keys that an account's admin makes, rotates and revokes."""

from typing import Any

import pytest

from carillon.accounts.v1.accounts_pb2 import ApiKey, NewApiKey
from chassis import idempotency, ids
from chassis.call import Call, Idempotency
from services.gateway import service
from services.gateway.idempotency import fingerprint
from services.gateway.service import NewAccount
from tests.service.gateway.conftest import Answered, Gateway

PATH = "/v1/api-keys"
UNKNOWN = ids.encode("key", ids.new())


async def make(gateway: Gateway, **fields: Any) -> Answered:
    body = {"name": "CRM", "scopes": ["contacts:read"], **fields}
    answer = await gateway.call("POST", PATH, json=body)
    assert answer.status == 201, answer.body
    return answer


async def works(gateway: Gateway, key: str) -> bool:
    """Whether it may list contacts."""
    answer = await gateway.call("GET", "/v1/contacts", key=key)
    assert answer.status in {200, 401}
    return answer.status == 200


async def test_a_key_is_shown_once_and_does_what_its_scopes_say(gateway: Gateway) -> None:
    made = await make(gateway, rate_limit_per_second=50, expires_at="2100-01-01T00:00:00Z")
    key = made.body["key"]
    assert key.startswith("ck_live_")
    assert made.headers["location"] == f"{PATH}/{made.body['id']}"
    shown = (await gateway.call("GET", made.headers["location"])).body
    assert "key" not in shown
    assert shown == {
        "id": made.body["id"],
        "name": "CRM",
        "mode": "live",
        "scopes": ["contacts:read"],
        "rate_limit_per_second": 50,
        "created_at": made.body["created_at"],
        "expires_at": "2100-01-01T00:00:00Z",
        "last_used_at": None,
        "replaces": None,
    }
    assert await works(gateway, key)
    assert (await gateway.call("GET", PATH, key=key)).code == "permission_denied"
    assert (await gateway.call("GET", made.headers["location"])).body["last_used_at"] is not None
    async with gateway.work.across() as tx:
        stored = await tx.fetch("SELECT api_keys::text AS row FROM api_keys WHERE account_id = $1", gateway.account_id)
    assert not any(key in row["row"] for row in stored)


async def test_a_repeated_creation_makes_one_key_and_does_not_show_it_again(gateway: Gateway) -> None:
    headers = {"Idempotency-Key": "make a key"}
    body = {"name": "Once", "scopes": ["events:read"]}
    first = await gateway.call("POST", PATH, json=body, headers=headers)
    again = await gateway.call("POST", PATH, json=body, headers=headers)
    assert (first.status, again.status, again.headers["idempotent-replayed"]) == (201, 201, "true")
    assert again.body == {**first.body, "key": None}
    other = await gateway.call("POST", PATH, json={**body, "name": "Twice"}, headers=headers)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    names = [one["name"] for one in (await gateway.call("GET", PATH)).body["data"]]
    assert (names.count("Once"), names.count("Twice")) == (1, 0)
    async with gateway.work.across() as tx:
        kept = await tx.fetchval(
            "SELECT string_agg(encode(response, 'escape'), '') FROM idempotency_keys WHERE account_id = $1",
            gateway.account_id,
        )
    assert first.body["key"] not in kept


async def test_a_creation_is_repeated_across_an_upgrade(gateway: Gateway) -> None:
    """What 0.1.0 keeps is this, and other versions run beside it."""
    body = b'{"name": "Before", "scopes": ["events:read"]}'
    kept = NewApiKey(api_key=ApiKey(id=ids.encode("key", ids.new()), name="Before", mode="live"))
    asked = Idempotency("before", "api-keys.create", fingerprint("POST", PATH, b"", body))
    async with gateway.work.across() as tx:
        call = Call(gateway.account_id, "gateway", frozenset(), "", idempotency=asked)
        await idempotency.keep(tx.connection, call, kept)
    headers = {"Idempotency-Key": "before", "Content-Type": "application/json"}
    again = await gateway.call("POST", PATH, data=body, headers=headers)
    assert (again.status, again.body["id"], again.body["key"]) == (201, kept.api_key.id, None)
    assert (await gateway.call("POST", PATH, data=body, headers={**headers, "Idempotency-Key": "now"})).status == 201
    async with gateway.work.across() as tx:
        now = await tx.fetchrow("SELECT method, response FROM idempotency_keys WHERE key = 'now'")
    assert now is not None
    assert now["method"] == asked.method
    assert NewApiKey.FromString(now["response"]).api_key.name == "Before"


async def test_a_revoked_key_ends_and_is_not_found_again(gateway: Gateway) -> None:
    made = (await make(gateway)).body
    assert await works(gateway, made["key"])
    path = f"{PATH}/{made['id']}"
    assert (await gateway.call("DELETE", path)).status == 204
    assert not await works(gateway, made["key"])
    for method in ("GET", "DELETE"):
        assert (await gateway.call(method, path)).code == "not_found"
    assert (await gateway.call("POST", f"{path}/rotate")).code == "not_found"
    assert made["id"] not in [one["id"] for one in (await gateway.call("GET", PATH)).body["data"]]


async def test_after_a_rotation_both_keys_work_for_the_overlap(gateway: Gateway) -> None:
    old = (await make(gateway, rate_limit_per_second=7)).body
    rotated = await gateway.call("POST", f"{PATH}/{old['id']}/rotate", json={"overlap_seconds": 3600})
    new = rotated.body
    assert (rotated.status, new["replaces"], new["scopes"], new["rate_limit_per_second"]) == (
        201, old["id"], old["scopes"], 7,
    )  # fmt: skip
    assert await works(gateway, old["key"])
    assert await works(gateway, new["key"])
    expires = (await gateway.call("GET", f"{PATH}/{old['id']}")).body["expires_at"]
    assert expires is not None
    assert new["expires_at"] is None
    at_once = await gateway.call("POST", f"{PATH}/{new['id']}/rotate", json={"overlap_seconds": 0})
    assert at_once.status == 201
    assert not await works(gateway, new["key"])
    assert await works(gateway, at_once.body["key"])
    gone = await gateway.call("POST", f"{PATH}/{new['id']}/rotate")
    assert (gone.status, gone.code, gone.body["current_status"]) == (409, "invalid_state", "expired")


async def test_who_made_and_ended_a_key_and_how_much_it_was_used(gateway: Gateway) -> None:
    made = (await make(gateway)).body
    await works(gateway, made["key"])
    await gateway.call("POST", "/v1/contacts", key=made["key"], json={"phone": "+15550100"})
    await gateway.parts.key_uses.flush()
    await works(gateway, made["key"])
    await gateway.parts.key_uses.flush()
    path = f"{PATH}/{made['id']}"
    revoked = await gateway.call("DELETE", path, headers={"X-Request-Id": "end-it"})
    assert revoked.status == 204
    audit = (await gateway.call("GET", f"{path}/audit")).body
    actor = gateway.account.key_id
    assert [(one["action"], one["actor"]) for one in audit["changes"]] == [("revoked", actor), ("created", actor)]
    assert audit["changes"][0]["request_id"] == "end-it"
    assert [(one["requests"], one["refused"]) for one in audit["uses"]] == [(3, 1)]
    assert (await gateway.call("GET", f"{PATH}/{UNKNOWN}/audit")).code == "not_found"


async def test_a_key_does_not_leave_its_account_without_one(gateway: Gateway) -> None:
    own = f"{PATH}/{gateway.account.key_id}"
    revoked = await gateway.call("DELETE", own)
    assert (revoked.status, revoked.code) == (409, "invalid_state")
    rotated = await gateway.call("POST", f"{own}/rotate", json={"overlap_seconds": 299})
    assert [error["pointer"] for error in rotated.body["errors"]] == ["/overlap_seconds"]
    assert (await gateway.call("GET", own)).body["expires_at"] is None


async def test_pages_of_keys(gateway: Gateway) -> None:
    made = [(await make(gateway, name=f"k{at}")).body["id"] for at in range(3)]
    first = (await gateway.call("GET", f"{PATH}?limit=2")).body
    assert [one["id"] for one in first["data"]] == [made[2], made[1]]
    rest = (await gateway.call("GET", f"{PATH}?limit=2&cursor={first['next_cursor']}")).body
    assert rest["data"][0]["id"] == made[0]
    for forged in ("x", first["next_cursor"][:-2], first["next_cursor"] + "A"):
        assert (await gateway.call("GET", f"{PATH}?cursor={forged}")).code == "invalid_cursor"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"scopes": ["contacts:all"]}, "/scopes/0"),
        ({"scopes": []}, "/scopes"),
        ({"name": ""}, "/name"),
        ({"mode": "demo"}, "/mode"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "/expires_at"),
        ({"rate_limit_per_second": 0}, "/rate_limit_per_second"),
        ({"scope": "admin"}, "/scope"),
    ],
    ids=["unknown scope", "no scope", "no name", "unknown mode", "expired", "no rate", "unknown field"],
)
async def test_a_bad_key_is_not_made(gateway: Gateway, fields: dict[str, Any], pointer: str) -> None:
    answer = await gateway.call("POST", PATH, json={"name": "x", "scopes": ["admin"], **fields})
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert [error["pointer"] for error in answer.body["errors"]] == [pointer]


@pytest.fixture
async def stranger(gateway: Gateway) -> NewAccount:
    return await service.create_account(gateway.work, "Stranger", scopes=["admin"])


async def test_another_account_s_keys_are_not_there(gateway: Gateway, stranger: NewAccount) -> None:
    mine = (await make(gateway)).body
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate"), ("GET", "/audit")):
        answer = await gateway.call(method, f"{PATH}/{mine['id']}{path}", key=stranger.key)
        assert (answer.status, answer.code) == (404, "not_found")
    ids_seen = [one["id"] for one in (await gateway.call("GET", PATH, key=stranger.key)).body["data"]]
    assert ids_seen == [stranger.key_id]
    assert await works(gateway, mine["key"])


async def test_a_test_key_makes_test_keys_only(gateway: Gateway) -> None:
    tester = (await make(gateway, mode="test", scopes=["admin"])).body["key"]
    live = await gateway.call("POST", PATH, key=tester, json={"name": "x", "scopes": ["admin"]})
    assert [error["pointer"] for error in live.body["errors"]] == ["/mode"]
    rotated = await gateway.call("POST", f"{PATH}/{gateway.account.key_id}/rotate", key=tester)
    assert rotated.status == 422
    made = await gateway.call("POST", PATH, key=tester, json={"name": "x", "scopes": ["admin"], "mode": "test"})
    assert made.body["key"].startswith("ck_test_")
