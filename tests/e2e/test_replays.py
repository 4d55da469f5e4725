"""Idempotency-Key on every POST of the OpenAPI: a repetition answers as the first one did, another body is refused."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.client import Answered, Api, eventually
from tests.e2e.test_routes import KEYED, RULE, Route
from tests.throwaway_stack import ThrowawayStack

POSTS = [route for route in KEYED if route.method == "POST"]
PHONE, FILE = "+1234567890", b"phone\n+15550107777\n"
VCARD = b"BEGIN:VCARD\nVERSION:3.0\nN:Doe;John\nTEL:+15550107778\nEND:VCARD\n"
# Null in a repetition.
SECRETS = {"key", "secret", "receipts_url"}
BOOK = "/compat/addressbook/contacts"


@dataclass
class World:
    """An account of its own, and what its calls can be about: each time another one, where a call uses it up."""

    api: Api
    sender: str
    made: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def phone(self) -> str:
        self.count += 1
        return f"+1555020{self.count:04}"

    async def create(self, path: str, body: dict[str, Any]) -> str:
        return str((await self.api.post(path, body)).ok(201)["id"])

    async def one(self, prefix: str) -> str:
        """The id of one of a kind."""
        if prefix == "cnt":
            return await self.create("/v1/contacts", {"phone": self.phone(), "tags": ["premium"]})
        if prefix == "imp":
            return str((await self.api.upload("/v1/imports", FILE)).ok(201)["id"])
        if prefix == "key":
            return await self.create("/v1/api-keys", {"name": "k", "scopes": ["contacts:read"]})
        if prefix == "cmp":
            body = {"name": "c", "template_id": await self.one("tmpl"), "sender_id": self.sender}
            return await self.create("/v1/campaigns", body | {"segment_id": await self.one("seg")})
        if prefix not in self.made:
            self.made[prefix] = await self.create(*CREATED[prefix])
        return self.made[prefix]

    async def known(self, text: str) -> str:
        """With ids that there are instead of the document's."""
        for prefix in set(re.findall(r"\b([a-z]+)_01h455vb4pex5vsknk084sn02q", text)):
            text = re.sub(rf"\b{prefix}_01h455vb4pex5vsknk084sn02q", await self.one(prefix), text)
        return text


CREATED: dict[str, tuple[str, dict[str, Any]]] = {
    "lst": ("/v1/lists", {"name": "l"}),
    "seg": ("/v1/segments", {"name": "s", "conditions": [RULE]}),
    "tmpl": ("/v1/templates", {"name": "t", "body": "Hi"}),
    "whk": ("/v1/webhooks", {"url": "http://127.0.0.1:9/hooks"}),
}


@pytest_asyncio.fixture(scope="module")
async def world(stack: ThrowawayStack, http: aiohttp.ClientSession) -> AsyncIterator[World]:
    api = Api(stack.url, await asyncio.to_thread(stack.create_account, "replays"), http)
    settings = {"url": f"{stack.carrier_url}/messages"}
    body = {"name": "s", "channel": "sms", "address": "CARILLON", "provider": "http", "settings": settings}
    sender = (await api.post("/v1/senders", body)).ok(201)["id"]
    yield World(api, sender, {"sender": sender})


async def place(world: World, route: Route) -> str:
    """The path, of what is in the state that the call is for."""
    path = await world.known(route.at())
    verb = route.path.rpartition("/")[2]
    before = {"pause": ("start",), "resume": ("start", "pause")}.get(verb, ())
    for earlier in before:
        (await world.api.post(path.replace(f"/{verb}", f"/{earlier}"))).ok()
    if route.path == "/v1/campaigns/{id}/recipients":
        body = {"name": "c", "template_id": await world.one("tmpl"), "sender_id": world.sender}
        return f"/v1/campaigns/{await world.create('/v1/campaigns', body)}/recipients"
    if verb == "undo":
        done = (await world.api.upload("/v1/contacts/import", FILE)).ok()["import_id"]
        return f"/v1/imports/{done}/undo"
    if "{attempt_id}" in route.path:
        webhook = await world.one("whk")
        (await world.api.post(f"/v1/webhooks/{webhook}/test")).ok(202)

        async def attempts() -> Any:
            return (await world.api.get(f"/v1/webhooks/{webhook}/attempts")).ok()["data"]

        attempt = (await eventually(attempts))[0]["id"]
        return f"/v1/webhooks/{webhook}/attempts/{attempt}/replay"
    return path


async def body_of(world: World, route: Route) -> str:
    text = await world.known(json.dumps(route.example))
    if "/mapped/" in route.path:
        kind, file = ("upload", FILE) if route.path.endswith("file") else ("upload/vcard", VCARD)
        uploaded = (await world.api.upload(f"{BOOK}/{kind}", file)).ok(201)["import_id"]
        text = json.dumps({"import_id": uploaded})
    if route.path.endswith("/commit"):
        text = json.dumps({"mapping": {"phone": "phone"}})
    return text.replace(PHONE, world.phone())


async def send(world: World, route: Route, path: str, body: str, *, key: str) -> Answered:
    headers = {"Idempotency-Key": key}
    if route.uploads:
        file = VCARD if route.path.endswith("vcard") else FILE
        return await world.api.upload(path, file + body.encode(), headers=headers)
    if not route.takes:
        return await world.api.call("POST", path, headers=headers)
    return await world.api.call("POST", path, data=body, headers={**headers, "Content-Type": "application/json"})


def without_secrets(body: Any) -> Any:
    return {name: None if name in SECRETS else value for name, value in body.items()}


@pytest.mark.parametrize("route", POSTS, ids=str)
async def test_a_repeated_post_answers_as_the_first_one_did(world: World, route: Route) -> None:
    key, path = uuid4().hex, await place(world, route)
    body = await body_of(world, route) if "application/json" in route.takes else ""
    first = await send(world, route, path, body, key=key)
    assert first.status < 300, first.body
    again = await send(world, route, path, body, key=key)
    assert (again.status, again.headers.get("Idempotent-Replayed")) == (first.status, "true"), again.body
    assert again.body == without_secrets(first.body)
    assert again.headers.get("Location") == first.headers.get("Location")
    assert again.headers.get("ETag") == first.headers.get("ETag")
    if route.takes:
        (await send(world, route, path, body + "\n", key=key)).refused(422, "idempotency_key_reused")
