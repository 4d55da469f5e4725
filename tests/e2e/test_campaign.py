"""The main job: contacts, a segment, a campaign, and every message accounted for by the carrier's own log."""

import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio

from tests.e2e.client import Api, Carrier, eventually

CONTACTS = 300


@pytest_asyncio.fixture(scope="module")
async def segment_id(api: Api) -> str:
    """300 members, one of whom must not be messaged, one of whom is suppressed, beside some who are none."""
    rows = "".join(f"+1555020{number:04d},Person {number},premium\n" for number in range(CONTACTS))
    rows += "".join(f"+1555021{number:04d},Other {number},basic\n" for number in range(50))
    found = (await api.upload("/v1/contacts/import", b"phone,name,tags\n" + rows.encode())).ok()
    assert found["imported"] == CONTACTS + 50
    quiet = (await api.get("/v1/contacts/lookup?phone=%2B15550200000")).ok()["id"]
    (await api.call("PUT", f"/v1/contacts/{quiet}", json={"do_not_disturb": True})).ok()
    (await api.post("/v1/suppressions", {"phone": "+15550200001"})).ok(201)
    rule = {"field": "tags", "operator": "contains", "value": "premium"}
    segment = (await api.post("/v1/segments", {"name": "Premium", "conditions": [rule]})).ok(201)["id"]
    await eventually(
        lambda: api.get(f"/v1/segments/{segment}"),
        lambda answer: answer.ok()["status"] == "ready" and answer.body["member_count"] == CONTACTS,
    )
    return str(segment)


def marked(name: str) -> str:
    """What tells one campaign's messages from all others in the carrier's log."""
    return f"{name}-{secrets.token_hex(4)}"


async def campaign(api: Api, *, mark: str, sender: str, **fields: Any) -> str:
    # Whoever has no name is sent to all the same.
    text = mark + ": Hi {{ name | default: '' }} {{ offer | default: '' }}"
    template = (await api.post("/v1/templates", {"name": mark, "body": text})).ok(201)
    body = {"name": mark, "template_id": template["id"], "sender_id": sender, "variables": {"offer": "-20 %"}, **fields}
    return str((await api.post("/v1/campaigns", body)).ok(201)["id"])


async def stats(api: Api, campaign_id: str) -> dict[str, Any]:
    found = (await api.get(f"/v1/campaigns/{campaign_id}")).ok()
    figures: dict[str, Any] = found["stats"]
    parts = figures["sent"] + figures["pending"] + figures["skipped"] + figures["uncertain"]
    assert figures["total"] == parts
    assert figures["delivered"] + figures["failed"] <= figures["sent"]
    return {**figures, "status": found["status"]}


async def ended(api: Api, campaign_id: str) -> dict[str, Any]:
    """Once it is completed and every receipt is in."""
    return await eventually(
        lambda: stats(api, campaign_id),
        lambda found: found["status"] == "completed" and found["delivered"] + found["failed"] == found["sent"],
        seconds=120,
    )


async def test_a_segment_is_sent_to_once_each(api: Api, carrier: Carrier, sender_id: str, segment_id: str) -> None:
    mark = marked("to-segment")
    made = await campaign(api, mark=mark, sender=sender_id, segment_id=segment_id)
    (await api.post(f"/v1/campaigns/{made}/start")).ok()
    found = await ended(api, made)
    accepted = [one for one in carrier.accepted(mark) if not one["duplicate"]]
    expected = {f"+1555020{number:04d}" for number in range(2, CONTACTS)}
    assert Counter(one["to"] for one in accepted) == Counter(expected)
    assert (found["sent"], found["delivered"], found["pending"]) == (len(expected), len(expected), 0)
    assert {one["text"] for one in accepted} >= {f"{mark}: Hi Person 7 -20 %"}
    recipients = await api.everything(f"/v1/campaigns/{made}/recipients?status=delivered")
    assert {one["phone"] for one in recipients} == expected
    assert len({one["key"] for one in accepted}) == len(expected)


async def test_paused_nothing_is_sent_and_resumed_nobody_twice(
    api: Api, carrier: Carrier, sender_id: str, segment_id: str
) -> None:
    mark = marked("paused-once")
    made = await campaign(api, mark=mark, sender=sender_id, segment_id=segment_id, rate_limit_per_second=60)
    (await api.post(f"/v1/campaigns/{made}/start")).ok()

    async def sent() -> int:
        return len(carrier.accepted(mark))

    await eventually(sent, lambda count: count >= 20)
    (await api.post(f"/v1/campaigns/{made}/pause")).ok()
    # What was on its way may still arrive; then it stands still while the campaign is paused.
    still = await eventually(lambda: stats(api, made), lambda found: found["status"] == "paused")
    assert still["pending"] > 0
    (await api.post(f"/v1/campaigns/{made}/resume")).ok()
    (await api.call("PATCH", f"/v1/campaigns/{made}", json={"name": "late"})).refused(409, "invalid_state")
    found = await ended(api, made)
    accepted = Counter(one["to"] for one in carrier.accepted(mark) if not one["duplicate"])
    assert set(accepted.values()) == {1}
    assert len(accepted) == found["sent"] == CONTACTS - 2


async def test_a_list_less_a_segment_is_counted_and_sent_to(api: Api, carrier: Carrier, sender_id: str) -> None:
    rows = "".join(f"+1555022{number:04d},L{number},{'vip' if number < 7 else 'plain'}\n" for number in range(40))
    made = (await api.post("/v1/lists", {"name": "Shop"})).ok(201)["id"]
    (await api.upload("/v1/contacts/import", b"phone,name,tags\n" + rows.encode(), fields={"list_id": made})).ok()
    rule = {"field": "tags", "operator": "contains", "value": "vip"}
    vip = (await api.post("/v1/segments", {"name": "VIP", "conditions": [rule]})).ok(201)["id"]
    await eventually(
        lambda: api.get(f"/v1/segments/{vip}"),
        lambda answer: answer.ok()["status"] == "ready" and answer.body["member_count"] == 7,
    )
    (await api.post("/v1/suppressions", {"phone": "+15550220010"})).ok(201)
    mark = marked("to-list")
    sent_to = await campaign(api, mark=mark, sender=sender_id, list_id=made, exclude_segment_ids=[vip])
    counts = {"matched": 40, "excluded": 7, "no_address": 0, "invalid": 0, "opted_out": 0, "dnc": 1, "duplicate": 0}
    estimate = (await api.post(f"/v1/campaigns/{sent_to}/estimate")).ok()
    assert estimate == counts | {"final": 32, "estimate": False}
    (await api.post(f"/v1/campaigns/{sent_to}/start")).ok()
    await ended(api, sent_to)
    assert {one["to"] for one in carrier.accepted(mark)} == {
        f"+1555022{number:04d}" for number in range(7, 40) if number != 10
    }
    quiet = (await api.get("/v1/contacts/lookup?phone=%2B15550220010")).ok()["id"]
    found = (await api.get(f"/v1/campaigns/{sent_to}/audience?contact_id={quiet}")).ok()
    assert {name: found[name] for name in counts} == counts
    assert (found["contact"]["outcome"], found["contact"]["reason"]) == ("left_out", "suppressed")


async def test_chosen_contacts_are_sent_to(api: Api, carrier: Carrier, sender_id: str) -> None:
    chosen = [(await api.post("/v1/contacts", {"phone": f"+1555023{at:04d}"})).ok(201)["id"] for at in range(3)]
    mark = marked("to-contacts")
    made = await campaign(api, mark=mark, sender=sender_id, contact_ids=chosen[:2])
    (await api.post(f"/v1/campaigns/{made}/start")).ok()
    assert (await ended(api, made))["sent"] == 2
    assert {one["to"] for one in carrier.accepted(mark)} == {"+15550230000", "+15550230001"}


async def test_uploaded_recipients_bring_their_variables(api: Api, carrier: Carrier, sender_id: str) -> None:
    mark = marked("uploaded")
    made = await campaign(api, mark=mark, sender=sender_id)
    rows = "phone,name,offer\n" + "".join(f"+1555030{number:04d},N{number},{number} %\n" for number in range(120))
    found = (await api.upload(f"/v1/campaigns/{made}/recipients", rows.encode(), file_name="r.csv")).ok()
    assert found == {"imported": 120, "failed": 0, "duplicates": 0, "suppressed": 0, "errors": []}
    first = (await api.get(f"/v1/campaigns/{made}/recipients?page=1&per_page=20")).ok()
    last = (await api.get(f"/v1/campaigns/{made}/recipients?page=6&per_page=20")).ok()
    beyond = (await api.get(f"/v1/campaigns/{made}/recipients?page=7&per_page=20")).ok()
    assert [len(page["data"]) for page in (first, last, beyond)] == [20, 20, 0]
    assert {page["total"] for page in (first, last, beyond)} == {120}
    assert first["data"][0]["phone"] == "+15550300000"
    (await api.post(f"/v1/campaigns/{made}/start")).ok()
    await ended(api, made)
    texts = {one["to"]: one["text"] for one in carrier.accepted(mark)}
    assert texts["+15550300042"] == f"{mark}: Hi N42 42 %"
    assert len(texts) == 120


async def test_a_carrier_that_refuses_and_one_that_fails_receipts(api: Api, carrier: Carrier, sender_id: str) -> None:
    mark = marked("receipts-fail")
    await carrier.behave(receipt_failed_rate=1.0)
    made = await campaign(api, mark=mark, sender=sender_id)
    rows = "phone,name\n" + "".join(f"+1555040{number:04d},N\n" for number in range(10))
    (await api.upload(f"/v1/campaigns/{made}/recipients", rows.encode())).ok()
    (await api.post(f"/v1/campaigns/{made}/start")).ok()
    found = await ended(api, made)
    assert (found["sent"], found["delivered"], found["failed"]) == (10, 0, 10)
    failed = await api.everything(f"/v1/campaigns/{made}/recipients?status=failed")
    assert len(failed) == 10
    assert all(one["reason"] for one in failed)


async def test_a_schedule_starts_by_itself(api: Api, carrier: Carrier, sender_id: str, segment_id: str) -> None:
    mark = marked("scheduled")
    due = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    made = await campaign(api, mark=mark, sender=sender_id, segment_id=segment_id, schedule_at=due)
    found = await ended(api, made)
    assert found["sent"] == CONTACTS - 2 == len({one["to"] for one in carrier.accepted(mark)})


async def test_cancelled_the_rest_is_skipped(api: Api, carrier: Carrier, sender_id: str, segment_id: str) -> None:
    mark = marked("cancelled")
    made = await campaign(api, mark=mark, sender=sender_id, segment_id=segment_id, rate_limit_per_second=20)
    (await api.post(f"/v1/campaigns/{made}/start")).ok()

    async def sent() -> int:
        return len(carrier.accepted(mark))

    await eventually(sent, lambda count: count >= 5)
    (await api.post(f"/v1/campaigns/{made}/cancel")).ok()
    found = await eventually(
        lambda: stats(api, made),
        lambda seen: seen["pending"] == 0 and seen["uncertain"] == 0 and seen["skipped"] > 0,
    )
    assert found["status"] == "cancelled"
    assert found["sent"] == len(carrier.accepted(mark)) < CONTACTS - 2
    skipped = await api.everything(f"/v1/campaigns/{made}/recipients?status=skipped")
    assert len(skipped) == found["skipped"]
    assert {one["sent_at"] for one in skipped} == {None}


async def test_a_receipt_with_a_wrong_token_changes_nothing(api: Api, sender_id: str) -> None:
    url = (await api.get(f"/v1/senders/{sender_id}")).ok()["receipts_url"]
    assert url.startswith(f"{api.url}/hooks/{sender_id}/")
    wrong = url.removeprefix(api.url).replace("/receipts", "x/receipts")
    receipts = {"receipts": [{"id": "car_1", "status": "delivered"}]}
    answer = await api.post(wrong, receipts, headers={"Authorization": ""})
    assert answer.status in {401, 404}
    answer.refused(answer.status, answer.body["code"])
