"""A segment follows its contacts: created, changed, tagged, imported, deleted. (How fast: tests/bench/freshness.)"""

import pytest_asyncio

from tests.e2e.client import Api, eventually

RULE = {"field": "tags", "operator": "contains", "value": "premium"}


@pytest_asyncio.fixture(scope="module")
async def segment_id(api: Api) -> str:
    segment = (await api.post("/v1/segments", {"name": "Premium", "conditions": [RULE]})).ok(201)
    return str(segment["id"])


class Watched:
    """Who is in the segment, by both ways of asking."""

    def __init__(self, api: Api, segment_id: str) -> None:
        self._api = api
        self._segment_id = segment_id

    async def phones(self) -> set[str]:
        found = await self._api.everything(f"/v1/segments/{self._segment_id}/members")
        return {one["contact"]["phone"] for one in found}

    async def becomes(self, phones: set[str]) -> None:
        await eventually(self.phones, lambda found: found == phones)
        count = await eventually(
            lambda: self._api.get(f"/v1/segments/{self._segment_id}"),
            lambda answer: answer.ok()["member_count"] == len(phones),
        )
        assert count.body["member_count"] == len(phones)


@pytest_asyncio.fixture
async def watched(api: Api, segment_id: str) -> Watched:
    await api.empty_address_book()
    watching = Watched(api, segment_id)
    await watching.becomes(set())
    return watching


async def test_by_creation_update_tag_and_deletion(api: Api, watched: Watched, segment_id: str) -> None:
    contact = (await api.post("/v1/contacts", {"phone": "+1234567890", "tags": ["premium"]})).ok(201)["id"]
    await watched.becomes({"+1234567890"})
    mine = (await api.get(f"/v1/contacts/{contact}/segments")).ok()
    assert [one["id"] for one in mine["data"]] == [segment_id]
    (await api.call("PUT", f"/v1/contacts/{contact}", json={"tags": ["basic"]})).ok()
    await watched.becomes(set())
    (await api.post(f"/v1/contacts/{contact}/tags", {"tags": ["premium"]})).ok()
    await watched.becomes({"+1234567890"})
    assert (await api.call("DELETE", f"/v1/contacts/{contact}/tags/premium")).status == 204
    await watched.becomes(set())
    (await api.post(f"/v1/contacts/{contact}/tags", {"tags": ["premium"]})).ok()
    await watched.becomes({"+1234567890"})
    assert (await api.call("DELETE", f"/v1/contacts/{contact}")).status == 204
    await watched.becomes(set())


async def test_by_import_and_bulk_delete(api: Api, watched: Watched) -> None:
    rows = "".join(f"+1555010{number:04d},{'premium' if number % 2 else 'basic'}\n" for number in range(1200))
    found = (await api.upload("/v1/contacts/import", b"phone,tags\n" + rows.encode())).ok()
    assert found["imported"] == 1200
    premium = {f"+1555010{number:04d}" for number in range(1, 1200, 2)}
    await watched.becomes(premium)
    ids = [one["id"] for one in await api.everything("/v1/contacts?tag=premium")]
    assert len(ids) == 600
    assert (await api.post("/v1/contacts/bulk-delete", {"contact_ids": ids[:100]})).ok()["deleted"] == 100
    await eventually(watched.phones, lambda phones: len(phones) == 500 and phones < premium)


async def test_members_carry_the_contact_as_it_is(api: Api, watched: Watched, segment_id: str) -> None:
    body = {"phone": "+15550109999", "name": "Ana Souza", "tags": ["premium"], "metadata": {"plan": 3}}
    contact = (await api.post("/v1/contacts", body)).ok(201)
    await watched.becomes({"+15550109999"})
    (await api.call("PATCH", f"/v1/contacts/{contact['id']}", json={"name": "Ana Lima"})).ok()

    async def member() -> dict[str, object]:
        page = (await api.get(f"/v1/segments/{segment_id}/members")).ok()
        assert isinstance(page["revision"], int)
        (one,) = page["data"]
        assert one["joined_at"].endswith("Z")
        return dict(one["contact"])

    seen = await eventually(member, lambda found: found["name"] == "Ana Lima")
    assert seen == (await api.get(f"/v1/contacts/{contact['id']}")).ok()


async def test_a_changed_rule_changes_the_members(api: Api, watched: Watched, segment_id: str) -> None:
    for phone, tag in (("+15550100001", "premium"), ("+15550100002", "vip")):
        (await api.post("/v1/contacts", {"phone": phone, "tags": [tag]})).ok(201)
    await watched.becomes({"+15550100001"})
    rule = {"field": "tags", "operator": "contains", "value": ["premium", "vip"]}
    (await api.call("PUT", f"/v1/segments/{segment_id}", json={"conditions": [rule]})).ok()
    await watched.becomes({"+15550100001", "+15550100002"})
    (await api.call("PUT", f"/v1/segments/{segment_id}", json={"conditions": [RULE]})).ok()
    await watched.becomes({"+15550100001"})
