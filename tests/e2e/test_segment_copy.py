"""examples/segment_copy.py: a subscriber's copy of a segment is right, whenever it is killed."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest_asyncio

from deploy.local.home import REPOSITORY
from services.gateway.domain.subscribers import Subscriber
from tests.e2e import erasure
from tests.e2e.client import Api, eventually
from tests.throwaway_stack import ThrowawayStack

RULE = {"field": "tags", "operator": "contains", "value": "copied"}


@pytest_asyncio.fixture(scope="module")
async def subscriber(api: Api, stack: ThrowawayStack) -> Subscriber:
    made = Subscriber("copy", await erasure.account_of(api, stack), ["segment.members_changed"])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "events", "subscriber", made.name, "--account", made.account,
        "--types", "segment.members_changed", env=os.environ | {"CARILLON_NATS_URL": stack.nats_url},
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 0
    return made


@asynccontextmanager
async def following(api: Api, stack: ThrowawayStack, one: Subscriber, segment: str, file: Path) -> AsyncIterator[None]:
    """Killed at the end, wherever it is."""
    environment = {
        "CARILLON_URL": api.url,
        "CARILLON_API_KEY": api.key,
        "CARILLON_NATS_URL": stack.nats_url,
        "CARILLON_NATS_CONSUMER": one.durable,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(REPOSITORY / "examples/segment_copy.py"), segment, str(file), env=os.environ | environment
    )
    try:
        yield
        assert process.returncode is None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def copied(file: Path) -> set[str]:
    if not file.exists():
        return set()
    db = sqlite3.connect(file, timeout=30)
    try:
        return {row[0] for row in db.execute("SELECT contact_id FROM members WHERE member")}
    except sqlite3.OperationalError:
        return set()
    finally:
        db.close()


async def test_the_copy_is_the_membership_also_after_kills(
    api: Api, stack: ThrowawayStack, subscriber: Subscriber, tmp_path: Path
) -> None:
    file = tmp_path / "members.db"
    rows = [{"phone": f"+1555020{number:04}", "tags": ["copied"]} for number in range(150)]
    made = (await api.post("/v1/contacts/batch", {"contacts": rows})).ok()
    contacts = [one["id"] for one in made["results"]]
    segment = (await api.post("/v1/segments", {"name": "copied", "conditions": [RULE]})).ok(201)["id"]

    async def settled(count: int) -> bool:
        return (await api.get(f"/v1/segments/{segment}")).ok()["member_count"] == count

    async def same() -> bool:
        members = {one["contact"]["id"] for one in await api.everything(f"/v1/segments/{segment}/members")}
        return copied(file) == members

    await eventually(lambda: settled(150))
    async with following(api, stack, subscriber, segment, file):
        await eventually(same)
        for contact in contacts[:20]:
            assert (await api.call("DELETE", f"/v1/contacts/{contact}/tags/copied")).status < 300
    # While nobody follows: some leave, some come back.
    for contact in contacts[20:30]:
        assert (await api.call("DELETE", f"/v1/contacts/{contact}/tags/copied")).status < 300
    for contact in contacts[:5]:
        (await api.post(f"/v1/contacts/{contact}/tags", {"tags": ["copied"]})).ok()
    await eventually(lambda: settled(125))
    async with following(api, stack, subscriber, segment, file):
        await eventually(same)
        (await api.post(f"/v1/contacts/{contacts[10]}/tags", {"tags": ["copied"]})).ok()
        await eventually(lambda: settled(126))
        await eventually(same)
    assert len(copied(file)) == 126
