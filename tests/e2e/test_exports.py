"""An address book goes out to a file and comes back in another account."""

import json
from typing import Any

from tests.e2e.client import Api, eventually

CONTACTS = b"""phone,email,first_name,last_name,tags,city
+491511234501,ann@example.org,=Ann,"O'Neil, jr.","vip,new",Berlin
+14155550123,,'quoted,-Zed,vip,
,only@example.org,,,,
"""
# What an account gives a contact itself.
OWN = {"id", "version", "created_at", "updated_at"}


async def exported(api: Api, **body: Any) -> bytes:
    accepted = await api.post("/v1/exports", body)
    made = accepted.ok(202)
    assert accepted.headers["Location"] == f"/v1/exports/{made['id']}"
    done = await eventually(
        lambda: api.get(accepted.headers["Location"]), lambda found: found.body["status"] not in ("queued", "running")
    )
    assert done.ok()["status"] == "completed", done.body
    answer = await api.get(done.body["download_path"])
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert int(answer.headers["Content-Length"]) == done.body["progress"]["bytes"]
    data = answer.ok()
    assert isinstance(data, bytes)
    return data


def ours(contact: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in contact.items() if name not in OWN}


async def test_what_goes_out_comes_in_again(api: Api, other: Api) -> None:
    assert (await api.upload("/v1/contacts/import", CONTACTS)).ok()["imported"] == 3
    listed = await api.everything("/v1/contacts")
    lines = await exported(api, resource="contacts", format="jsonl")
    assert [json.loads(line) for line in lines.splitlines()] == listed
    for format_ in ("csv", "xlsx"):
        data = await exported(api, resource="contacts", format=format_)
        again = (await api.upload("/v1/contacts/import", data, file_name=f"c.{format_}")).ok()
        assert (again["imported"], again["duplicates"], again["failed"]) == (0, 3, 0)
        fresh = (await other.upload("/v1/contacts/import", data, file_name=f"c.{format_}")).ok()
        assert (fresh["imported"], fresh["failed"]) == (3, 0)
        theirs = await other.everything("/v1/contacts")
        assert sorted(map(ours, theirs), key=str) == sorted(map(ours, listed), key=str)
        await other.empty_address_book()
    cards = await exported(api, resource="contacts", format="vcf", filter={"tag": "vip"})
    assert cards.count(b"BEGIN:VCARD") == 2


async def test_members_and_recipients_go_out_too(api: Api, sender_id: str) -> None:
    rule = {"field": "tags", "operator": "contains", "value": "vip"}
    segment = (await api.post("/v1/segments", {"name": "V", "conditions": [rule]})).ok(201)["id"]
    await eventually(lambda: api.get(f"/v1/segments/{segment}"), lambda found: found.body["member_count"] == 2)
    members = await exported(api, resource="segment_members", segment_id=segment)
    assert members.count(b"\n") == 3
    template = (await api.post("/v1/templates", {"name": "T", "body": "Hi"})).ok(201)["id"]
    body = {"name": "C", "template_id": template, "sender_id": sender_id}
    campaign = (await api.post("/v1/campaigns", body)).ok(201)["id"]
    (await api.upload(f"/v1/campaigns/{campaign}/recipients", b"phone,name\n+491511234501,Ann\n")).ok()
    lines = await exported(api, resource="recipients", campaign_id=campaign, format="jsonl")
    (line,) = (await api.get(f"/v1/campaigns/{campaign}/recipients")).ok()["data"]
    assert json.loads(lines) == line
