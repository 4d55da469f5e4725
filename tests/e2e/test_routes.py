"""Every route of the OpenAPI: no key, the wrong scope, another account's id, a body that is wrong.

A route is called with the examples of the document, so that a new one is looked at as soon as it is in it. What is left
out of a test is named with its reason, and nothing else is left out.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.client import Answered, Api, eventually

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).resolve().parents[2] / "openapi.json").read_text())
# Their credential is in the path: a sender's token, or the one of a link in a message.
WITHOUT_A_KEY = {
    "POST /hooks/{sender_id}/{token}/inbound",
    "POST /hooks/{sender_id}/{token}/receipts",
    "GET /t/{token}",
    "POST /t/{token}",
}
# Whose a path's first parameter is, where it is not called `id`.
NOUNS = {"contactId": "contacts", "listId": "lists"}
RULE = {"field": "tags", "operator": "contains", "value": "premium"}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    operation: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

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
    def is_canonical(self) -> bool:
        return self.path.startswith("/v1/")

    @property
    def parameters(self) -> list[str]:
        """Of the path, in order."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def noun(self) -> str:
        """Whose the first of them is: `contacts` of /v1/contacts/{id}/tags."""
        name = self.parameters[0]
        return self.path.partition("/{id}")[0].rpartition("/")[2] if name == "id" else NOUNS[name]

    @property
    def uploads(self) -> bool:
        return "multipart/form-data" in self.takes

    @property
    def query(self) -> dict[str, Any]:
        """What it cannot do without."""
        return {one["name"]: one["example"] for one in self.operation.get("parameters", ()) if required(one)}

    def at(self, id: str | None = None) -> str:
        """The path with its parameters filled in: the id given as the first, else the document's examples."""
        path = self.path
        examples = {one["name"]: one["example"] for one in self.operation.get("parameters", ()) if one["in"] == "path"}
        for place, name in enumerate(self.parameters):
            value = id if id is not None and place == 0 else examples[name]
            path = path.replace(f"{{{name}}}", str(value))
        return path

    def of(self, owned: dict[str, str]) -> str:
        """The path of what is owned."""
        return self.at(owned[self.noun] if self.parameters else None)

    async def call(self, api: Api, *, id: str | None = None, **more: Any) -> Answered:
        """With the example as its body, an upload with a small file."""
        if self.uploads:
            return await api.upload(self.at(id), b"phone\n+1234567890\n", **more)
        if self.example is not None:
            more.setdefault("json", self.example)
        return await api.call(self.method, self.at(id), params=self.query, **more)


def required(parameter: dict[str, Any]) -> bool:
    return parameter["in"] == "query" and parameter.get("required", False)


ROUTES = [
    Route(method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]
KEYED = [route for route in ROUTES if str(route) not in WITHOUT_A_KEY]
CANONICAL = [route for route in KEYED if route.is_canonical]


def named(routes: list[Route]) -> Any:
    return pytest.mark.parametrize("route", routes, ids=str)


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
    assert {str(route) for route in ROUTES} >= WITHOUT_A_KEY


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


@named([route for route in KEYED if route.parameters])
async def test_another_account_s_id_is_404(api: Api, other: Api, owned: dict[str, str], route: Route) -> None:
    assert route.noun in owned, f"make one of {route.noun} in `owned`, so that another account can ask for it"
    (await route.call(other, id=owned[route.noun])).refused(404, "not_found")
    if route.method == "GET":
        # It was the id of something, be it in a moment.
        query = {name: owned["contacts"] if name == "contact_id" else value for name, value in route.query.items()}
        await eventually(lambda: api.call("HEAD", route.of(owned), params=query), lambda answer: answer.status != 404)


@named([route for route in KEYED if "application/json" in route.takes])
async def test_a_body_that_is_wrong_is_refused_by_name(api: Api, owned: dict[str, str], route: Route) -> None:
    path = route.of(owned)
    # Dialects pass over what they do not know; see test_dialects.py.
    if route.is_canonical:
        unknown = await api.call(route.method, path, json={**route.example, "no_such_field": 1})
        assert unknown.status == 422, unknown.body
        assert "/no_such_field" in [error["pointer"] for error in unknown.refused(422, unknown.body["code"])["errors"]]
    wrongs: list[Any] = [[], "text", 7]
    for wrong in wrongs:
        problem = (await api.call(route.method, path, json=wrong)).refused(422, "validation_failed")
        assert problem["errors"][0]["pointer"] == ""
    (await api.call(route.method, path, data=b"{", headers={"Content-Type": "application/json"})).refused(
        400, "invalid_request"
    )
    (await api.call(route.method, path, data=b"a=1", headers={"Content-Type": "text/plain"})).refused(
        415, "unsupported_media_type"
    )


@named([route for route in KEYED if route.uploads])
async def test_a_form_that_is_wrong_is_refused_by_name(api: Api, owned: dict[str, str], route: Route) -> None:
    path = route.of(owned)
    if route.is_canonical:
        unknown = await api.upload(path, b"phone\n", fields={"no_such_field": "1"})
        assert unknown.refused(422, "validation_failed")["errors"][0]["pointer"] == "/no_such_field"
    for form in (b"--b--\r\n", b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n'):
        answer = await api.call(
            route.method, path, data=form, headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
        problem = answer.refused(422, "validation_failed")
        assert problem["errors"][0]["pointer"] in ("/file", "/x")
    (await api.call(route.method, path, json={})).refused(415, "unsupported_media_type")


@named([route for route in KEYED if route.method in {"POST", "PUT", "PATCH"} and not route.takes])
async def test_a_body_where_none_is_taken_is_refused(api: Api, owned: dict[str, str], route: Route) -> None:
    for wrong in ({"no_such_field": 1}, [1], "text"):
        problem = (await api.call(route.method, route.of(owned), json=wrong)).refused(422, "validation_failed")
        assert problem["errors"][0]["pointer"] == ""


@named(CANONICAL)
async def test_a_parameter_it_does_not_know_is_refused_by_name(api: Api, owned: dict[str, str], route: Route) -> None:
    problem = (await api.call(route.method, f"{route.of(owned)}?no_such_parameter=1")).refused(422, "validation_failed")
    assert problem["errors"][0]["pointer"] == "/no_such_parameter"
