"""A client of the public API, and the carrier's side of the world."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from tests.e2e import curl

T = TypeVar("T")


@dataclass
class Answered:
    status: int
    headers: Any
    body: Any

    def ok(self, status: int = 200) -> Any:
        """The body, of an answer that must have this status."""
        assert self.status == status, f"{self.status}: {self.body}"
        return self.body

    def refused(self, status: int, code: str) -> Any:
        """The problem, of an answer that must be this one."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        assert (self.status, self.body["code"]) == (status, code), self.body
        assert self.body["status"] == status
        assert {"type", "title", "detail", "instance", "request_id"} <= set(self.body)
        return self.body


@dataclass
class Api:
    """The public API with one account's key."""

    url: str
    key: str
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, **more: Any) -> Answered:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        async with self.http.request(method, self.url + path, headers=headers, **more) as answer:
            raw = await answer.read()
            is_json = answer.content_type.endswith("json")
            return Answered(answer.status, answer.headers, json.loads(raw) if raw and is_json else raw)

    async def get(self, path: str, **more: Any) -> Answered:
        return await self.call("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answered:
        return (
            await self.call("POST", path, json=body, **more)
            if body is not None
            else await self.call("POST", path, **more)
        )

    async def empty_address_book(self) -> None:
        ids = [one["id"] for one in await self.everything("/v1/contacts")]
        for at in range(0, len(ids), 1000):
            (await self.post("/v1/contacts/bulk-delete", {"contact_ids": ids[at : at + 1000]})).ok()

    async def delete_all(self, *paths: str) -> None:
        for path in paths:
            assert (await self.call("DELETE", path)).status == 204, path

    async def upload(self, path: str, data: bytes, *, file_name: str = "contacts.csv", **more: Any) -> Answered:
        fields = more.pop("fields", {})
        form = aiohttp.FormData()
        for name, value in fields.items():
            form.add_field(name, value)
        form.add_field("file", data, filename=file_name, content_type="text/csv")
        return await self.call("POST", path, data=form, **more)

    async def curl(
        self, command: str, *, ids: dict[str, str] | None = None, files: dict[str, bytes] | None = None
    ) -> Answered:
        """Send a request of a seed document as it is written there."""
        request = curl.parse(command, key=self.key, ids=ids)
        if request.upload is None:
            return await self.call(request.method, request.path, data=request.body, headers=request.headers)
        name, file_name = request.upload
        form = aiohttp.FormData()
        form.add_field(name, (files or {})[file_name], filename=file_name, content_type="text/csv")
        return await self.call(request.method, request.path, data=form, headers=request.headers)

    async def everything(self, path: str) -> list[Any]:
        """Every page of a list."""
        data: list[Any] = []
        mark = "&" if "?" in path else "?"
        page = (await self.get(f"{path}{mark}limit=100")).ok()
        while True:
            data += page["data"]
            assert page["has_more"] is (page["next_cursor"] is not None)
            if not page["has_more"]:
                return data
            page = (await self.get(f"{path}{mark}limit=100&cursor={page['next_cursor']}")).ok()


@dataclass
class Carrier:
    """The carrier simulator: how it behaves, and what it accepted."""

    url: str
    folder: Path
    http: aiohttp.ClientSession

    def accepted(self, text: str) -> list[dict[str, Any]]:
        """Every acceptance whose text has this in it: tests put a mark of their own into their templates."""
        log = self.folder / "accepted.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [one for one in map(json.loads, lines) if text in one["text"]]

    async def control(self) -> dict[str, Any]:
        async with self.http.get(self.url + "/control") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def behave(self, **control: Any) -> None:
        async with self.http.put(self.url + "/control", json=control) as answer:
            assert answer.status == 200, await answer.text()

    async def release(self) -> None:
        async with self.http.post(self.url + "/control/release") as answer:
            assert answer.status < 300, await answer.text()


async def eventually(
    probe: Callable[[], Awaitable[T]], holds: Callable[[T], object] = bool, *, seconds: float = 60.0
) -> T:
    """Polls until it holds; what was seen last is in the failure."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        value = await probe()
        if holds(value):
            return value
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"still {value!r} after {seconds} s")
        await asyncio.sleep(0.05)
