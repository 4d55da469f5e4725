"""ETag and If-Match on everything that has a version."""

from typing import Any

import pytest

from tests.e2e.client import Api

RULE = {"field": "tags", "operator": "contains", "value": "premium"}
SENDER = {"name": "s", "channel": "sms", "address": "X", "settings": {"url": "http://127.0.0.1:9/messages"}}
NOUNS: dict[str, dict[str, Any]] = {
    "contacts": {"phone": "+15550104711"},
    "lists": {"name": "l"},
    "segments": {"name": "s", "conditions": [RULE]},
    "templates": {"name": "t", "body": "Hi"},
    "senders": {**SENDER, "provider": "http"},
    "campaigns": {"name": "c"},
}


@pytest.mark.parametrize("noun", NOUNS)
async def test_a_change_based_on_an_older_version_is_refused(api: Api, sender_id: str, noun: str) -> None:
    body = NOUNS[noun]
    if noun == "campaigns":
        template = (await api.post("/v1/templates", {"name": "t", "body": "Hi"})).ok(201)["id"]
        body = {**body, "template_id": template, "sender_id": sender_id}
    made = await api.post(f"/v1/{noun}", body)
    path, first = f"/v1/{noun}/{made.ok(201)['id']}", made.headers["etag"]
    assert (await api.get(path)).headers["etag"] == first
    changed = await api.call("PATCH", path, json={"name": "Another"}, headers={"If-Match": first})
    assert changed.ok()["version"] > made.body["version"]
    for method in ("PUT", "PATCH", "DELETE"):
        more = {} if method == "DELETE" else {"json": {"name": "Lost"}}
        problem = (await api.call(method, path, headers={"If-Match": first}, **more)).refused(412, "version_mismatch")
        assert problem["version"] == changed.body["version"]
    kept = await api.get(path)
    assert (kept.ok()["name"], kept.headers["etag"]) == ("Another", changed.headers["etag"])
    # Proxies that compress make a tag weak.
    weak = {"If-Match": f"W/{kept.headers['etag']}"}
    assert (await api.call("DELETE", path, headers=weak)).status == 204
    (await api.call("DELETE", path)).refused(404, "not_found")
