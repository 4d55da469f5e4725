"""Every route of the OpenAPI: no key, the wrong scope, another account's id, a body that is wrong.

A route is called with the examples of the document, so that a new one is looked at as soon as it is in it. What is
mounted as a dialect answers in the words of its own document, and is held to the first two only.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.client import Answered, Api, eventually

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).resolve().parents[2] / "openapi.json").read_text())
RULE = {"field": "tags", "operator": "contains", "value": "premium"}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    operation: dict[str, Any]

    @property
    def scope(self) -> str:
        return str(self.operation["x-required-scope"])

    @property
    def takes(self) -> dict[str, Any]:
        found: dict[str, Any] = self.operation.get("requestBody", {}).get("content", {})
        return found

    @property
    def example(self) -> Any:
        return self.takes.get("application/json", {}).get("example")

    @property
    def noun(self) -> str:
        """`contacts` of /v1/contacts/{id}/tags."""
        return self.path.partition("/{id}")[0].rpartition("/")[2]

    def at(self, id: str | None = None) -> str:
        """The path with its parameters filled in: the id given, else the document's example."""
        path = self.path
        for parameter in self.operation.get("parameters", ()):
            if parameter["in"] == "path":
                value = id if id is not None and parameter["name"] == "id" else parameter["example"]
                path = path.replace(f"{{{parameter['name']}}}", str(value))
        return path

    async def call(self, api: Api, *, id: str | None = None, **more: Any) -> Answered:
        """With the example as its body, an upload with a small file."""
        if "multipart/form-data" in self.takes:
            return await api.upload(self.at(id), b"phone\n+1234567890\n", **more)
        if self.example is not None:
            more.setdefault("json", self.example)
        query = {one["name"]: one["example"] for one in self.operation.get("parameters", ()) if required(one)}
        return await api.call(self.method, self.at(id), params=query, **more)


def required(parameter: dict[str, Any]) -> bool:
    return parameter["in"] == "query" and parameter.get("required", False)


ROUTES = [
    Route(method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]
KEYED = [route for route in ROUTES if route.scope != "none"]
CANONICAL = [route for route in KEYED if route.path.startswith("/v1/")]


def named(routes: list[Route]) -> Any:
    return pytest.mark.parametrize("route", routes, ids=lambda route: f"{route.method} {route.path}")


@pytest_asyncio.fixture(scope="module")
async def keys(api: Api) -> dict[str, Api]:
    """A client for each scope and no other."""
    found = {}
    for scope in ("contacts:*", "segments:*", "campaigns:*", "events:read"):
        made = (await api.post("/v1/api-keys", {"name": scope, "scopes": [scope]})).ok(201)
        found[scope.partition(":")[0]] = Api(api.url, made["key"], api.http)
    for noun in ("contacts", "segments", "campaigns"):
        made = (await api.post("/v1/api-keys", {"name": "reads", "scopes": [f"{noun}:read"]})).ok(201)
        found[f"{noun}:read"] = Api(api.url, made["key"], api.http)
    return found


@pytest_asyncio.fixture(scope="module")
async def owned(api: Api, sender_id: str) -> dict[str, str]:
    """One of everything that has an id, by the segment of the path before it."""
    contact = (await api.post("/v1/contacts", {"phone": "+1234567890", "tags": ["premium"]})).ok(201)["id"]
    listed = (await api.post("/v1/lists", {"name": "l"})).ok(201)["id"]
    segment = (await api.post("/v1/segments", {"name": "s", "conditions": [RULE]})).ok(201)["id"]
    template = (await api.post("/v1/templates", {"name": "t", "body": "Hi"})).ok(201)["id"]
    campaign = {"name": "c", "template_id": template, "sender_id": sender_id, "segment_id": segment}
    export = (await api.post("/v1/exports", {"resource": "contacts", "format": "csv"})).ok(202)["id"]

    async def exported() -> str:
        return str((await api.get(f"/v1/exports/{export}")).ok()["status"])

    await eventually(exported, lambda status: status == "completed")
    return {
        "contacts": contact,
        "lists": listed,
        "segments": segment,
        "templates": template,
        "senders": sender_id,
        "campaigns": (await api.post("/v1/campaigns", campaign)).ok(201)["id"],
        "imports": (await api.upload("/v1/imports", b"phone\n+15550107777\n")).body["id"],
        "exports": export,
        "suppressions": (await api.post("/v1/suppressions", {"phone": "+15550108888"})).ok(201)["id"],
        "webhooks": (await api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/hooks"})).ok(201)["id"],
        "bulk-jobs": await a_bulk_job(api),
        "api-keys": (await api.post("/v1/api-keys", {"name": "k", "scopes": ["contacts:read"]})).ok(201)["id"],
    }


async def a_bulk_job(api: Api) -> str:
    """More contacts than are changed at once."""
    for first, count in ((0, 1000), (1000, 1)):
        rows = [{"phone": f"+1555{first + at:07d}", "tags": ["many"]} for at in range(count)]
        (await api.post("/v1/contacts/batch", {"contacts": rows})).ok()
    answer = await api.post("/v1/contacts/bulk-tag", {"filter": {"tag": "many"}, "add": ["vip"]})
    return str(answer.ok(202)["id"])


def test_there_are_routes_to_look_at() -> None:
    assert len(CANONICAL) > 90


@named(KEYED)
async def test_without_a_key_it_is_401(api: Api, route: Route) -> None:
    for key in ("", "ck_live_" + "0" * 48):
        (await route.call(Api(api.url, key, api.http))).refused(401, "unauthenticated")


@named(KEYED)
async def test_without_its_scope_it_is_403(keys: dict[str, Api], route: Route) -> None:
    noun, _, right = route.scope.partition(":")
    lacking = [key for name, key in keys.items() if name.partition(":")[0] != noun]
    if right == "write":
        lacking.append(keys[f"{noun}:read"])
    for key in lacking:
        problem = (await route.call(key)).refused(403, "permission_denied")
        assert problem["scope"] == route.scope


@named([route for route in CANONICAL if "{id}" in route.path])
async def test_another_account_s_id_is_404(other: Api, owned: dict[str, str], route: Route) -> None:
    assert route.noun in owned, f"make one of {route.noun} in `owned`, so that another account can ask for it"
    (await route.call(other, id=owned[route.noun])).refused(404, "not_found")


@named([route for route in CANONICAL if "application/json" in route.takes])
async def test_a_body_that_is_wrong_is_refused_by_name(api: Api, owned: dict[str, str], route: Route) -> None:
    id = owned.get(route.noun)
    unknown = await route.call(api, id=id, json={**route.example, "no_such_field": 1})
    assert unknown.status == 422, unknown.body
    assert "/no_such_field" in [error["pointer"] for error in unknown.refused(422, unknown.body["code"])["errors"]]
    wrongs: list[Any] = [[], "text", 7]
    for wrong in wrongs:
        problem = (await route.call(api, id=id, json=wrong)).refused(422, "validation_failed")
        assert problem["errors"][0]["pointer"] == ""
    (await route.call(api, id=id, json=None, data=b"{", headers={"Content-Type": "application/json"})).refused(
        400, "invalid_request"
    )
    (await route.call(api, id=id, json=None, data=b"a=1", headers={"Content-Type": "text/plain"})).refused(
        415, "unsupported_media_type"
    )


@named(CANONICAL)
async def test_a_parameter_it_does_not_know_is_refused_by_name(api: Api, owned: dict[str, str], route: Route) -> None:
    path = route.at(owned.get(route.noun))
    problem = (await api.call(route.method, f"{path}?no_such_parameter=1")).refused(422, "validation_failed")
    assert problem["errors"][0]["pointer"] == "/no_such_parameter"
