"""All of it is lost but a backup: what an empty stack restores from it, and how it goes on from there.

The carrier of the first stack is the provider that outlives the disaster: its log says who got what, and how often.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from tests import backups, throwaway_stack
from tests.e2e.client import Api, Carrier, eventually
from tests.throwaway_stack import ThrowawayStack

PREMIUM = {"field": "tags", "operator": "contains", "value": "premium"}
PEOPLE = 120
# So that the backup falls into the midst of it.
SLOW = 30
# The first is edited in the first stack, after the backup; the others in the restored one.
EDITED, MOVED, ADDED = "+15550310000", "+15550310001", "+15550339999"


@dataclass
class Lost:
    """What the first stack had; the carrier knows of messages by these marks."""

    contacts: list[dict[str, Any]]
    edited: dict[str, Any]
    list_id: str
    segment_id: str
    done: dict[str, Any]
    running: str
    scheduled: str
    position: int
    mark: str


@pytest_asyncio.fixture(scope="module")
async def lost(api: Api, stack: ThrowawayStack, sender_id: str, tmp_path_factory) -> AsyncIterator[tuple[Lost, Path]]:
    """A stack that was backed up under load, and went on: sent, was edited, told."""
    mark = secrets.token_hex(4)
    carrier = Carrier(stack.carrier_url, stack.home.carrier, api.http)
    list_id = (await api.post("/v1/lists", {"name": "Shop"})).ok(201)["id"]
    rows = "".join(f"+1555031{number:04d},Person {number},premium\n" for number in range(PEOPLE))
    csv = b"phone,name,tags\n" + rows.encode()
    (await api.upload("/v1/contacts/import", csv, fields={"list_id": list_id})).ok()
    segment_id = (await api.post("/v1/segments", {"name": "Premium", "conditions": [PREMIUM]})).ok(201)["id"]
    await members(api, segment_id, PEOPLE)
    edited = (await api.get("/v1/contacts/lookup", params={"phone": EDITED})).ok()

    done = await campaign(api, f"{mark}-done", sender_id, list_id=list_id)
    (await api.post(f"/v1/campaigns/{done}/start")).ok()
    await completed(api, done)
    running = await campaign(api, f"{mark}-running", sender_id, segment_id=segment_id, rate_limit_per_second=SLOW)
    soon = datetime.now(UTC) + timedelta(seconds=6)
    scheduled = await campaign(api, f"{mark}-scheduled", sender_id, list_id=list_id, schedule_at=soon.isoformat())
    (await api.post(f"/v1/campaigns/{running}/start")).ok()

    async def accepted() -> int:
        return len(carrier.accepted(f"{mark}-running"))

    await eventually(accepted, lambda count: count > 10)
    contacts = await api.everything("/v1/contacts")
    async with load(api):
        backup = await back_up(stack, tmp_path_factory.mktemp("backups"))
    assert await accepted() < PEOPLE
    # What nobody will know of afterwards but the carrier, and clients who have seen it.
    (await api.call("PATCH", f"/v1/contacts/{edited['id']}", json={"name": "Edited too late"})).ok()
    await completed(api, running)
    await completed(api, scheduled)
    position = (await api.get("/v1/events?after=latest")).ok()["next_after"]
    shown = (await api.get(f"/v1/campaigns/{done}")).ok()
    yield Lost(contacts, edited, list_id, segment_id, shown, running, scheduled, position, mark), backup


@pytest_asyncio.fixture(scope="module")
async def restored(lost: tuple[Lost, Path], api: Api, stack: ThrowawayStack) -> AsyncIterator[Api]:
    """The account in a stack that has the backup, and nothing else of the first."""
    starting = throwaway_stack.started("restored", prepare=lambda it: backups.restore(lost[1], stack.known, it))
    target = await asyncio.to_thread(starting.__enter__)
    try:
        yield Api(target.url, api.key, api.http)
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)


async def back_up(stack: ThrowawayStack, folder: Path) -> Path:
    said = await asyncio.to_thread(backups.run, backups.script("backup.sh", folder, stack.known))
    return Path(said.partition(":")[0])


@asynccontextmanager
async def load(api: Api) -> AsyncIterator[None]:
    """Contacts come and change, in every database at once, for as long as the block lasts."""

    async def write(lane: int) -> None:
        for number in range(10_000):
            phone = f"+1555032{lane}{number:03d}"
            made = (await api.post("/v1/contacts", {"phone": phone, "tags": ["basic"]})).ok(201)
            (await api.call("PATCH", f"/v1/contacts/{made['id']}", json={"tags": ["late", "basic"]})).ok()

    writing = [asyncio.create_task(write(lane)) for lane in range(2)]
    try:
        yield
    finally:
        for task in writing:
            task.cancel()
        ends = await asyncio.gather(*writing, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def campaign(api: Api, mark: str, sender_id: str, **fields: Any) -> str:
    template = (await api.post("/v1/templates", {"name": mark, "body": f"{mark}."})).ok(201)
    body = {"name": mark, "template_id": template["id"], "sender_id": sender_id, **fields}
    return str((await api.post("/v1/campaigns", body)).ok(201)["id"])


async def completed(api: Api, campaign_id: str) -> dict[str, Any]:
    """With every receipt in."""

    def ended(found: dict[str, Any]) -> bool:
        stats = found["stats"]
        return found["status"] == "completed" and stats["delivered"] + stats["failed"] == stats["sent"]

    async def look() -> dict[str, Any]:
        return dict((await api.get(f"/v1/campaigns/{campaign_id}")).ok())

    return await eventually(look, ended)


async def members(api: Api, segment_id: str, count: int) -> None:
    await eventually(
        lambda: api.get(f"/v1/segments/{segment_id}"),
        lambda answer: answer.ok()["status"] == "ready" and answer.body["member_count"] == count,
    )


def untouched(contacts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By phone, without what is meant to differ."""
    return {
        one["phone"]: {name: value for name, value in one.items() if name != "version"}
        for one in contacts
        if one["phone"] not in (MOVED, ADDED)
    }


def test_every_table_was_backed_up_and_restored_as_it_was(lost: tuple[Lost, Path], restored: Api) -> None:
    """restore.sh has compared rows and checksums, table by table; this is that it had something to compare."""
    lines = (lost[1] / "tables.tsv").read_text().splitlines()
    rows = {(service, table): int(count) for service, table, count, _ in (line.split("\t") for line in lines)}
    assert {service for service, _ in rows} == {"contacts", "segments", "campaigns", "gateway"}
    for table in (
        ("contacts", "contacts"), ("contacts", "contact_lists"), ("contacts", "messages"), ("contacts", "outbox"),
        ("segments", "contacts_projection"), ("segments", "members"), ("segments", "engagement"),
        ("campaigns", "recipients"), ("campaigns", "chunk_states"), ("campaigns", "provider_messages"),
        ("gateway", "api_keys"), ("gateway", "feed_events"),
    ):  # fmt: skip
        assert rows[table] > 0, table


async def test_the_account_finds_what_it_had(lost: tuple[Lost, Path], restored: Api) -> None:
    known, _ = lost
    found = await restored.everything("/v1/contacts?tag=premium")
    assert untouched(found) == untouched(known.contacts)
    assert len(untouched(found)) == PEOPLE - 1
    assert (await restored.get(f"/v1/lists/{known.list_id}")).ok()["member_count"] == PEOPLE
    done = (await restored.get(f"/v1/campaigns/{known.done['id']}")).ok()
    assert (done["status"], done["stats"]) == ("completed", known.done["stats"])


async def test_what_was_known_of_it_elsewhere_is_old_news(lost: tuple[Lost, Path], api: Api, restored: Api) -> None:
    known, _ = lost
    seen = (await api.get(f"/v1/contacts/{known.edited['id']}")).ok()
    now = (await restored.get(f"/v1/contacts/{known.edited['id']}")).ok()
    assert (seen["name"], now["name"]) == ("Edited too late", known.edited["name"])
    assert now["version"] > seen["version"] > known.edited["version"]
    refused = (await restored.get(f"/v1/events?after={known.position}")).refused(410, "position_expired")
    assert refused["resume_after"] > known.position


async def test_membership_goes_on(lost: tuple[Lost, Path], restored: Api) -> None:
    known, _ = lost
    await members(restored, known.segment_id, PEOPLE)
    made = (await restored.post("/v1/contacts", {"phone": ADDED, "tags": ["premium"]})).ok(201)["id"]
    await members(restored, known.segment_id, PEOPLE + 1)
    # One that was there before, at a version far below what is told of it now.
    moved = (await restored.get("/v1/contacts/lookup", params={"phone": MOVED})).ok()["id"]
    (await restored.call("PUT", f"/v1/contacts/{moved}", json={"tags": ["basic"]})).ok()
    await members(restored, known.segment_id, PEOPLE)
    (await restored.call("PUT", f"/v1/contacts/{moved}", json={"tags": ["premium"]})).ok()
    assert (await restored.call("DELETE", f"/v1/contacts/{made}")).status == 204
    await members(restored, known.segment_id, PEOPLE)


async def test_nothing_goes_out_twice(
    lost: tuple[Lost, Path], restored: Api, stack: ThrowawayStack, http: aiohttp.ClientSession
) -> None:
    known, _ = lost
    carrier = Carrier(stack.carrier_url, stack.home.carrier, http)
    running = (await restored.get(f"/v1/campaigns/{known.running}")).ok()
    assert (running["status"], running["status_reason"]) == ("paused", "restored")
    assert 0 < running["stats"]["pending"] < PEOPLE
    scheduled = (await restored.get(f"/v1/campaigns/{known.scheduled}")).ok()
    assert (scheduled["status"], scheduled["status_reason"]) == ("draft", "restored")
    # A person has looked: the provider keeps keys, so that it is safe to go on.
    (await restored.post(f"/v1/campaigns/{known.running}/resume")).ok()
    resumed = await eventually(
        lambda: restored.get(f"/v1/campaigns/{known.running}"), lambda answer: answer.ok()["status"] == "completed"
    )
    ended = resumed.body["stats"]
    assert (ended["sent"], ended["uncertain"]) == (PEOPLE, 0)
    for mark in (f"{known.mark}-running", f"{known.mark}-scheduled", f"{known.mark}-done"):
        log = carrier.accepted(mark)
        assert set(Counter(one["to"] for one in log if not one["duplicate"]).values()) == {1}, mark
        assert len({one["to"] for one in log}) == PEOPLE, mark
    assert [one for one in carrier.accepted(f"{known.mark}-running") if one["duplicate"]]


async def test_a_new_campaign_is_sent(
    lost: tuple[Lost, Path], restored: Api, stack: ThrowawayStack, http: aiohttp.ClientSession, sender_id: str
) -> None:
    known, _ = lost
    carrier = Carrier(stack.carrier_url, stack.home.carrier, http)
    made = await campaign(restored, f"{known.mark}-new", sender_id, segment_id=known.segment_id)
    (await restored.post(f"/v1/campaigns/{made}/start")).ok()
    assert (await completed(restored, made))["stats"]["delivered"] == PEOPLE
    assert len(carrier.accepted(f"{known.mark}-new")) == PEOPLE
