"""What the API says of contacts and of segments, and what the rows say."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import asyncpg

from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from deploy.local.demo.rest import Rest
from tests.throwaway_stack import ThrowawayStack

# Segments that are read at a time.
AT_ONCE = 4
# Of a segment that contacts step in and out of by the clock meanwhile.
ATTEMPTS = 4
ROWS = """
SELECT s.id, b.members, (SELECT count(*) FROM members m WHERE m.account_id = s.account_id AND m.build_id = b.id) AS rows
FROM segments s JOIN builds b ON b.account_id = s.account_id AND b.id = s.served_build
"""
FLAGS = ("is_bot_active", "do_not_disturb", "is_chat_window_open")
OBJECTS = ("metadata", "current_campaign_data")
NESTED = {*FLAGS, *OBJECTS, "tags", "lists", "channels", "preferences", "validity", "version"}
TIMES = ("created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Reading:
    """A segment and its members."""

    segment: dict[str, Any]
    members: list[str]
    # Microseconds since 1970.
    began: int
    ended: int
    # Nobody stepped in or out meanwhile; else pages and count are of different moments.
    steady: bool = True

    @property
    def definition(self) -> dict[str, Any]:
        return {name: self.segment[name] for name in ("conditions", "rules") if name in self.segment}


def contact_of(body: dict[str, Any]) -> contacts_pb2.Contact:
    """A contact of the API as services tell one another of it."""
    texts: dict[str, Any] = {
        name: value for name, value in body.items() if name not in NESTED and name not in TIMES and value
    }
    made = contacts_pb2.Contact(
        **texts,
        version=body["version"],
        tags=body["tags"],
        lists=body["lists"],
        channels=body["channels"],
        preferences={
            channel: contacts_pb2.Preference.Value(f"PREFERENCE_{said.upper()}")
            for channel, said in body["preferences"].items()
            if said != "unknown"
        },
    )
    for name in FLAGS:
        setattr(made, name, body[name])
    for name in OBJECTS:
        if body[name] is not None:
            setattr(made, f"{name}_json", json.dumps(body[name]))
    for name, verdict in body["validity"].items():
        if verdict != "unknown":
            setattr(made, f"{name}_validity", contacts_pb2.Validity.Value(f"VALIDITY_{verdict.upper()}"))
    for name in TIMES:
        getattr(made, name).FromJsonString(body[name])
    return made


async def pages(rest: Rest, path: str) -> tuple[list[Any], set[int]]:
    """Everything that a list has, and the revisions of its pages, where they have any."""
    found: list[Any] = []
    revisions: set[int] = set()
    query = {"limit": "100"}
    while True:
        page = await rest.get(path, **query)
        found += page["data"]
        revisions.add(page.get("revision", 0))
        if not page["has_more"]:
            return found, revisions
        query["cursor"] = page["next_cursor"]


async def contacts(rest: Rest) -> dict[str, contacts_pb2.Contact]:
    found, _ = await pages(rest, "/v1/contacts")
    return {body["id"]: contact_of(body) for body in found}


async def segments(rest: Rest) -> list[Reading]:
    """All of them."""
    listed, _ = await pages(rest, "/v1/segments")
    slots = asyncio.Semaphore(AT_ONCE)

    async def read(segment_id: str) -> Reading:
        async with slots:
            for _ in range(ATTEMPTS):
                found = await members(rest, segment_id)
                if found.steady:
                    break
            return found

    return await asyncio.gather(*(read(segment["id"]) for segment in listed))


async def members(rest: Rest, segment_id: str) -> Reading:
    began = now()
    found, revisions = await pages(rest, f"/v1/segments/{segment_id}/members")
    segment = await rest.get(f"/v1/segments/{segment_id}")
    ended = now()
    last = await rest.get(f"/v1/segments/{segment_id}/members", limit="1")
    steady = revisions == {last["revision"]}
    return Reading(segment, [member["contact"]["id"] for member in found], began, ended, steady)


async def rows(stack: ThrowawayStack) -> dict[str, tuple[int, int]]:
    """Segment → (members that its build counts, members that it has), both of one moment."""
    connection = await asyncpg.connect(stack.database_url("segments"))
    try:
        return {ids.encode("seg", row["id"]): (row["members"], row["rows"]) for row in await connection.fetch(ROWS)}
    finally:
        await connection.close()


def now() -> int:
    return time.time_ns() // 1000
