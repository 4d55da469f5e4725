"""A contact that was everywhere is deleted: at once no table says who it was, and after the retention nothing does.

And an account that leaves takes all it had with it, at once.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio

from deploy.local import processes
from deploy.local.databases import SERVICES
from tests import throwaway_stack
from tests.e2e import erasure
from tests.e2e.client import Api, eventually
from tests.throwaway_stack import ThrowawayStack

# Nobody else in any test; the digits stand for the number with its plus and without.
PHONE, EMAIL, NAME = "+4915777000111", "zoe.zyxquartz@example.org", "Zoe Zyxquartz"
WORDS = ("4915777000111", "zyxquartz")
OTHER = "+4915777000222"
# Long enough for the journey before the deletion, short enough to wait for.
RETENTION_SECONDS = 15
# What may mention the contact until the retention ends: what was told, answered, uploaded and exported.
EXPIRING = {
    *(f"{service}.{table}" for service in ("contacts", "segments", "campaigns", "gateway")
      for table in ("outbox", "idempotency_keys")),
    "contacts.file_chunks",
    "contacts.import_errors",
    "gateway.feed_events",
}  # fmt: skip


@pytest.fixture(scope="module")
def brief() -> Iterator[ThrowawayStack]:
    """A stack that keeps nothing for long."""
    environ = {"CARILLON_RETENTION_HOURS": str(RETENTION_SECONDS / 3600), "CARILLON_CLEANING_SECONDS": "1"}
    with throwaway_stack.started("e2e-brief", environ=environ) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def book(brief: ThrowawayStack, http: aiohttp.ClientSession) -> AsyncIterator[Api]:
    yield Api(brief.url, await asyncio.to_thread(brief.create_account, "erasure"), http)


async def campaign(api: Api, **fields: str) -> str:
    template = (await api.post("/v1/templates", {"name": "T", "body": "Hi {{ name }}"})).ok(201)["id"]
    made = await api.post("/v1/campaigns", {"name": "C", "template_id": template, **fields})
    return str(made.ok(201)["id"])


async def live_everywhere(api: Api, carrier_url: str) -> tuple[str, str]:
    """A contact and a campaign: in a file with a bad row, a list, a segment, on two ledgers, in an export."""
    rows = f"phone,email,name,tags,city\n{PHONE},{EMAIL},{NAME},vip,{NAME}\n{OTHER},,Ann,vip,\nbad,{EMAIL},{NAME},,\n"
    imported = (await api.upload("/v1/contacts/import", rows.encode())).ok()
    assert (imported["imported"], imported["failed"]) == (2, 1)
    contact = str((await api.get(f"/v1/contacts/lookup?email={EMAIL}")).ok()["id"])
    board = (await api.post("/v1/lists", {"name": "Friends"})).ok(201)["id"]
    (await api.post(f"/v1/lists/{board}/members", {"contact_ids": [contact]})).ok()
    keyed = {"Idempotency-Key": "k"}
    (await api.post(f"/v1/contacts/{contact}/tags", {"tags": [NAME]}, headers=keyed)).ok()
    note = {"type": "agent.note", "text": f"{NAME} called from {PHONE}"}
    (await api.post(f"/v1/contacts/{contact}/activity", note)).ok(201)
    sender = {"name": "S", "channel": "sms", "address": "CARILLON", "provider": "http"}
    (await api.post("/v1/senders", {**sender, "settings": {"url": f"{carrier_url}/messages"}})).ok(201)
    rule = {"field": "tags", "operator": "contains", "value": "vip"}
    segment = (await api.post("/v1/segments", {"name": "V", "conditions": [rule]})).ok(201)["id"]
    await eventually(lambda: api.get(f"/v1/segments/{segment}"), lambda found: found.body.get("member_count") == 2)
    made = await campaign(api, segment_id=segment)
    (await api.post(f"/v1/campaigns/{made}/start")).ok()
    await eventually(
        lambda: api.get(f"/v1/campaigns/{made}"), lambda found: found.body["stats"]["delivered"] == 2, seconds=30
    )
    draft = await campaign(api)
    (await api.upload(f"/v1/campaigns/{draft}/recipients", f"phone,name\n{PHONE},{NAME}\n".encode())).ok()
    (await api.call("PUT", f"/v1/contacts/{contact}/preferences", json={"sms": "opted_out"})).ok()
    (await api.post("/v1/suppressions", {"email": EMAIL, "reason": NAME})).ok(201)
    export = (await api.post("/v1/exports", {"resource": "contacts", "format": "csv"})).ok(202)
    await eventually(lambda: api.get(f"/v1/exports/{export['id']}"), lambda found: found.body["status"] == "completed")
    download = await api.get(f"/v1/exports/{export['id']}/download")
    assert PHONE.encode() in download.ok()
    return contact, made


async def test_a_deleted_contact_is_gone_everywhere(brief: ThrowawayStack, book: Api) -> None:
    contact, made = await live_everywhere(book, brief.carrier_url)
    before = await erasure.tables(brief, *WORDS)
    lived_in = {"contacts.contacts", "contacts.activity", "contacts.messages",
                "contacts.suppressions", "segments.contacts_projection", "campaigns.recipients"}  # fmt: skip
    assert before >= lived_in | {"contacts.file_chunks", "contacts.outbox", "contacts.idempotency_keys"}
    assert await erasure.streams(brief, *WORDS) == {"EVENTS"}
    stats = (await book.get(f"/v1/campaigns/{made}")).ok()["stats"]

    assert (await book.call("DELETE", f"/v1/contacts/{contact}")).status == 204
    await eventually(lambda: erasure.tables(brief, *WORDS), lambda found: found <= EXPIRING, seconds=10)

    # The counts stay, and the lines without the person.
    assert (await book.get(f"/v1/campaigns/{made}")).ok()["stats"] == stats
    lines = (await book.get(f"/v1/campaigns/{made}/recipients")).ok()["data"]
    assert {(line["phone"], line["status"]) for line in lines} == {(None, "delivered"), (OTHER, "delivered")}

    async def left() -> set[str]:
        return await erasure.tables(brief, *WORDS) | await erasure.streams(brief, *WORDS)

    await eventually(left, lambda found: not found, seconds=RETENTION_SECONDS + 30)


async def test_its_opt_out_lives_on(book: Api) -> None:
    """After the test above, when nothing says any more whose number it was."""
    draft = await campaign(book)
    rows = f"phone\n{PHONE}\n{OTHER}\n"
    answer = (await book.upload(f"/v1/campaigns/{draft}/recipients", rows.encode())).ok()
    assert (answer["imported"], answer["suppressed"]) == (1, 1)


async def erase_account(stack: ThrowawayStack, service: str, account: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *processes.carillon(service, "erase-account"), account,
        env=os.environ | processes.service_settings(stack.known, service, mode="work", nats_url=stack.nats_url),
    )  # fmt: skip
    assert await process.wait() == 0


async def test_an_account_that_leaves_is_gone_everywhere_and_no_other_is(
    stack: ThrowawayStack, api: Api, other: Api
) -> None:
    (await api.post("/v1/webhooks", {"url": f"{stack.carrier_url}/nowhere"})).ok(201)
    await live_everywhere(api, stack.carrier_url)
    # One that both have.
    (await other.post("/v1/contacts", {"phone": OTHER, "tags": ["vip"]})).ok(201)
    rule = {"field": "tags", "operator": "contains", "value": "vip"}
    theirs_too = (await other.post("/v1/segments", {"name": "V", "conditions": [rule]})).ok(201)["id"]
    await eventually(lambda: other.get(f"/v1/segments/{theirs_too}"), lambda found: found.body["member_count"] == 1)
    sender = {"name": "S", "channel": "sms", "address": "CARILLON", "provider": "http"}
    (await other.post("/v1/senders", {**sender, "settings": {"url": f"{stack.carrier_url}/messages"}})).ok(201)
    mine, theirs = await erasure.account_of(api, stack), await erasure.account_of(other, stack)
    kept = await erasure.rows(stack, theirs)
    assert kept.keys() >= {"contacts.contacts", "segments.members", "campaigns.senders", "gateway.api_keys"}

    async def gone() -> bool:
        """Taken again where what was under way has written meanwhile."""
        left = {name.partition(".")[0] for name in await erasure.rows(stack, mine)}
        await asyncio.gather(*(erase_account(stack, service, mine) for service in left))
        return not left

    await asyncio.gather(*(erase_account(stack, service, mine) for service in SERVICES))
    await erasure.purge(stack, mine)
    await eventually(gone)
    assert await erasure.tables(stack, *WORDS) == set()
    assert await erasure.streams(stack, *WORDS) == set()
    answer = await eventually(lambda: api.get("/v1/contacts"), lambda found: found.status != 200)
    answer.refused(401, "unauthenticated")
    left = await erasure.rows(stack, theirs)
    assert {table: left.get(table, 0) >= count for table, count in kept.items()} == dict.fromkeys(kept, True)
    assert len((await other.get("/v1/contacts")).ok()["data"]) == 1
