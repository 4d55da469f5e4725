"""A client that changes contacts and lists in every way that the API has, one call after the other."""

import asyncio
import csv
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from deploy.local.demo.rest import Refused, Rest
from tests.chaos.segments.book import Book
from tests.chaos.segments.people import HOT_TAGS, People

LISTS = 8
# Of a call that names contacts: most are few, so that there are many calls.
MOST_IN_A_CALL = 200
ROWS = 300
CALL_SECONDS = 60.0
KEYS: tuple[str, ...] = ("phone", "email", "external_id")
# Somebody else deleted or made it in the meantime.
EXPLAINED = (404, 409)


@dataclass(slots=True)
class Client:
    rest: Rest
    book: Book
    people: People
    rng: Random
    # Contacts: from here on more are deleted than made.
    enough: int
    # For the files of imports.
    folder: Path

    async def run(self, stop: asyncio.Event) -> None:
        kinds: dict[Callable[[], Awaitable[None]], float] = {
            self.create: 12, self.update: 28, self.tag: 10, self.untag: 8, self.prefer: 10, self.delete: 2,
            self.put_on_list: 5, self.take_off_list: 3, self.upsert_many: 3, self.tag_many: 2.5, self.list_many: 2.5,
            self.tag_found: 0.3, self.delete_many: 0.3, self.make_list: 0.6, self.drop_list: 0.4, self.import_rows: 0.3,
        }  # fmt: skip
        while not stop.is_set():
            (change,) = self.rng.choices(list(kinds), list(kinds.values()))
            if len(self.book.people) > self.enough and change == self.create:
                change = self.delete
            await attempt(self.book, change)

    # One contact.

    async def create(self) -> None:
        key = self.people.key()
        contact = await self.rest.post("/v1/contacts", key | self.people.whole())
        self.book.knows(contact["id"], key)
        self._count("created", 1)

    async def update(self) -> None:
        contact_id = self.book.one(self.rng)
        body = self.people.patch()
        if self.rng.random() < 0.03 and "phone" in self.book.people[contact_id]:
            body["phone"] = self.people.key().get("phone", "+491520000000")
        method = self.rng.choice(["PUT", "PATCH"])
        contact = await self.rest.call(method, f"/v1/contacts/{contact_id}", body=body)
        if "phone" in body:
            self.book.knows(contact_id, {"phone": contact["phone"]})
        self._count("updated", 1)

    async def delete(self) -> None:
        contact_id = self.book.one(self.rng)
        self.book.forget(contact_id)
        await self.rest.call("DELETE", f"/v1/contacts/{contact_id}")
        self._count("deleted", 1)

    async def tag(self) -> None:
        path = f"/v1/contacts/{self.book.one(self.rng)}/tags"
        await self.rest.post(path, {"tags": self.rng.sample(HOT_TAGS, 2)})
        self._count("tagged", 1)

    async def untag(self) -> None:
        tag = self.rng.choice(HOT_TAGS)
        await self.rest.call("DELETE", f"/v1/contacts/{self.book.one(self.rng)}/tags/{tag}")
        self._count("untagged", 1)

    async def prefer(self) -> None:
        path = f"/v1/contacts/{self.book.one(self.rng)}/preferences"
        await self.rest.call("PUT", path, body=self.people.preferences())
        self._count("preferred", 1)

    # Lists.

    async def put_on_list(self) -> None:
        await self._change_list("POST", "added")

    async def take_off_list(self) -> None:
        await self._change_list("DELETE", "removed")

    async def _change_list(self, method: str, counted: str) -> None:
        if self.book.lists:
            path = f"/v1/lists/{self.rng.choice(self.book.lists)}/members"
            body = {"contact_ids": self.book.some(self.rng, 10)}
            self._count("listed", (await self.rest.call(method, path, body=body))[counted])

    async def make_list(self) -> None:
        if len(self.book.lists) < LISTS:
            made = await self.rest.post("/v1/lists", {"name": f"List {self.book.calls}"})
            self.book.lists.append(made["id"])
            self.book.changed["list made"] += 1

    async def drop_list(self) -> None:
        """Its members are taken off it, by themselves in the background where they are many."""
        if len(self.book.lists) > LISTS // 2:
            list_id = self.book.lists.pop(self.rng.randrange(len(self.book.lists)))
            self.book.dropped.add(list_id)
            members = (await self.rest.get(f"/v1/lists/{list_id}"))["member_count"]
            await self.rest.call("DELETE", f"/v1/lists/{list_id}")
            self.book.changed["list dropped"] += 1
            self._count("listed", members)

    # Many contacts.

    async def upsert_many(self) -> None:
        """Half of them known; now and then the same one twice."""
        rows = []
        for _ in range(self.rng.randint(1, MOST_IN_A_CALL)):
            if self.rng.random() < 0.5 and len(self.book.people) < self.enough:
                rows.append(self.people.key() | self.people.whole())
            else:
                rows.append(self.people.patch() | self.book.people[self.book.one(self.rng)])
        answer = await self.rest.post("/v1/contacts/batch", {"contacts": rows})
        for row, result in zip(rows, answer["results"], strict=True):
            if result["error"] is None:
                self.book.knows(result["id"], {name: row[name] for name in KEYS if name in row})
            elif not result["error"]["existing_ids"]:
                self.book.refused.append(f"a row of a batch: {result['error']}")
        self._count("upserted", answer["created"] + answer["updated"])

    async def tag_many(self) -> None:
        await self._change_many("bulk-tag", HOT_TAGS, {"contact_ids": self.book.some(self.rng, MOST_IN_A_CALL)})

    async def list_many(self) -> None:
        if len(self.book.lists) > 1:
            named = self.rng.sample(self.book.lists, 2)
            target = {"contact_ids": self.book.some(self.rng, MOST_IN_A_CALL)}
            try:
                await self._change_many("bulk-list", named, target)
            except Refused:
                # A list in the body is not what a 404 is about.
                if self.book.dropped.isdisjoint(named):
                    raise

    async def tag_found(self) -> None:
        """By a filter: more than a thousand are changed in the background."""
        kinds: list[dict[str, Any]] = [{"tag": self.rng.choice(HOT_TAGS)}, {"stage": "trial"}, {}]
        (target,) = self.rng.choices(kinds, [10, 2, 1])
        await self._change_many("bulk-tag", HOT_TAGS, {"filter": target})

    async def _change_many(self, call: str, things: list[str], target: dict[str, Any]) -> None:
        add, remove = self.rng.sample(things, 2)
        answer = await self.rest.post(f"/v1/contacts/{call}", target | {"add": [add], "remove": [remove]})
        while answer.get("status") in ("queued", "running"):
            await asyncio.sleep(0.2)
            answer = await self.rest.get(f"/v1/bulk-jobs/{answer['id']}")
        self._count(call, answer["changed"])

    async def delete_many(self) -> None:
        if len(self.book.people) > self.enough // 4:
            some = self.book.some(self.rng, MOST_IN_A_CALL)
            for contact_id in some:
                self.book.forget(contact_id)
            answer = await self.rest.post("/v1/contacts/bulk-delete", {"contact_ids": some})
            self._count("deleted", answer["deleted"])

    async def import_rows(self) -> None:
        """A file, half of whose rows are known phones, put on a list."""
        known = (self.book.people[self.book.one(self.rng)].get("phone") for _ in range(ROWS // 2))
        phones = {phone for phone in known if phone} | {
            f"+4916{self.rng.randrange(10**9):09}" for _ in range(ROWS // 2)
        }
        file = self.folder / f"import-{self.rng.randrange(10**9)}.csv"
        write_csv(file, self.rng, sorted(phones))
        held = await self.rest.upload("/v1/imports", file, on_bytes=lambda done, size: None)
        options = {"on_duplicate": self.rng.choice(["update", "merge"]), "list_ids": self.book.lists[:1]}
        found = await self.rest.post(f"/v1/imports/{held['id']}/commit", options)
        while found["status"] in ("uploaded", "queued", "running"):
            await asyncio.sleep(0.2)
            found = await self.rest.get(f"/v1/imports/{held['id']}")
        if found["status"] != "completed" or found["failed"]:
            self.book.refused.append(f"an import: {found['status']}, {found['error']}, {found['failed']} failed")
        self._count("imported", found["imported"] + found["updated"])

    def _count(self, kind: str, contacts: int) -> None:
        self.book.changed[f"contact:{kind}"] += contacts


async def attempt(book: Book, change: Callable[[], Awaitable[None]]) -> None:
    book.calls += 1
    name = getattr(change, "__name__", "change")
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await change()
    except Refused as refused:
        if refused.status >= 500:
            book.unanswered[f"{name}: {refused.status}"] += 1
        elif refused.status not in EXPLAINED:
            book.refused.append(str(refused))
    except (aiohttp.ClientError, TimeoutError) as error:
        # Died on the way: whether the change was made is not known.
        book.unanswered[f"{name}: {type(error).__name__}"] += 1


def write_csv(file: Path, rng: Random, phones: list[str]) -> None:
    with file.open("w", newline="", encoding="utf-8") as target:
        rows = csv.writer(target)
        rows.writerow(["phone", "first_name", "stage", "tags", "age"])
        rows.writerows([phone, "Ada", "trial", rng.choice(HOT_TAGS), rng.randrange(18, 90)] for phone in phones)
