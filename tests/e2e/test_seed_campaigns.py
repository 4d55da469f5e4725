"""Seed 001: a campaign with uploaded recipients, its lifecycle and figures. Every request as the document prints it."""

import pytest
import pytest_asyncio

from tests.e2e.client import Api, Carrier, eventually

CREATE = """curl -X POST https://api-message.nativehub.live/api/v1/campaigns \\
-H "Authorization: Bearer YOUR_TOKEN" \\
-H "Content-Type: application/json" \\
-d '{
"name": "Spring Promotion",
"template_id": "tmpl_abc123",
"sender_id": "sender_xyz789",
"schedule_at": "2026-03-01T09:00:00Z"
}'"""
CSV = b"""phone,name,code
+1234567890,John,SAVE20
+9876543210,Jane,SAVE20
"""
UPLOAD = """curl -X POST https://api-message.nativehub.live/api/v1/campaigns/cmp_abc123/recipients \\
-H "Authorization: Bearer YOUR_TOKEN" \\
-F "file=@recipients.csv\""""
START = """curl -X POST https://api-message.nativehub.live/api/v1/campaigns/cmp_abc123/start \\
-H "Authorization: Bearer YOUR_TOKEN\""""
PAUSE = """curl -X POST https://api-message.nativehub.live/api/v1/campaigns/cmp_abc123/pause \\
-H "Authorization: Bearer YOUR_TOKEN\""""
CANCEL = """curl -X POST https://api-message.nativehub.live/api/v1/campaigns/cmp_abc123/cancel \\
-H "Authorization: Bearer YOUR_TOKEN\""""
READ = """curl https://api-message.nativehub.live/api/v1/campaigns/cmp_abc123 \\
-H "Authorization: Bearer YOUR_TOKEN\""""
RECIPIENTS = """curl "https://api-message.nativehub.live/api/v1/campaigns/cmp_abc123/recipients?page=1&per_page=20" \\
-H "Authorization: Bearer YOUR_TOKEN\""""


@pytest_asyncio.fixture(scope="module")
async def template_id(api: Api) -> str:
    body = {"name": "Spring", "channel": "sms", "body": "Hi {{ name }}, use {{ code }}"}
    return str((await api.post("/api/v1/templates", body)).ok(201)["id"])


@pytest_asyncio.fixture
async def ids(api: Api, template_id: str, sender_id: str) -> dict[str, str]:
    """A new draft, under the document's made-up id."""
    made_up = {"tmpl_abc123": template_id, "sender_xyz789": sender_id}
    return {"cmp_abc123": (await api.curl(CREATE, ids=made_up)).ok(201)["id"]}


async def test_create(api: Api, template_id: str, sender_id: str) -> None:
    answer = await api.curl(CREATE, ids={"tmpl_abc123": template_id, "sender_xyz789": sender_id})
    campaign = answer.ok(201)
    assert campaign["name"] == "Spring Promotion"
    assert (campaign["status"], campaign["schedule_at"]) == ("draft", "2026-03-01T09:00:00Z")
    assert (campaign["template_id"], campaign["sender_id"]) == (template_id, sender_id)
    read = (await api.curl(READ, ids={"cmp_abc123": campaign["id"]})).ok()
    assert read["id"] == campaign["id"]
    # It is due, and stays a draft because it has nobody to send to.
    waiting = await eventually(
        lambda: api.curl(READ, ids={"cmp_abc123": campaign["id"]}), lambda a: a.ok()["status_reason"]
    )
    assert waiting.body["status"] == "draft"


async def test_upload_filters_duplicates_and_do_not_contact_numbers(api: Api, ids: dict[str, str]) -> None:
    (await api.post("/api/v1/suppressions", {"phone": "+15557654321"})).ok(201)
    (await api.post("/api/v1/contacts", {"phone": "+15551234567", "do_not_disturb": True})).ok(201)
    rows = CSV + b"+1234567890,John again,X\n+15557654321,Listed,X\n+15551234567,Quiet,X\nnonsense,Bad,X\n"
    found = (await api.curl(UPLOAD, ids=ids, files={"recipients.csv": rows})).ok()
    assert {name: found[name] for name in ("imported", "failed", "duplicates", "suppressed")} == {
        "imported": 2,
        "failed": 1,
        "duplicates": 1,
        "suppressed": 2,
    }
    assert [error["row"] for error in found["errors"]] == [7]
    page = (await api.curl(RECIPIENTS, ids=ids)).ok()
    assert {one["phone"] for one in page["data"]} >= {"+1234567890", "+9876543210"}


async def test_lifecycle_and_figures(api: Api, ids: dict[str, str], carrier: Carrier) -> None:
    (await api.curl(UPLOAD, ids=ids, files={"recipients.csv": CSV})).ok()
    assert (await api.curl(START, ids=ids)).ok()["status"] == "running"
    done = await eventually(
        lambda: api.curl(READ, ids=ids),
        lambda answer: answer.ok()["status"] == "completed" and answer.body["stats"]["delivered"] == 2,
    )
    campaign = done.body
    assert (campaign["id"], campaign["name"]) == (ids["cmp_abc123"], "Spring Promotion")
    stats = campaign["stats"]
    seeds = {name: stats[name] for name in ("total", "sent", "delivered", "failed", "pending")}
    assert seeds == {"total": 2, "sent": 2, "delivered": 2, "failed": 0, "pending": 0}
    page = (await api.curl(RECIPIENTS, ids=ids)).ok()
    assert (page["total"], page["page"], page["per_page"]) == (2, 1, 20)
    john = next(one for one in page["data"] if one["phone"] == "+1234567890")
    assert (john["variables"], john["status"]) == ({"name": "John", "code": "SAVE20"}, "delivered")
    assert john["sent_at"].endswith("Z")
    (await api.curl(START, ids=ids)).refused(409, "invalid_state")


async def test_pause_start_and_cancel(api: Api, ids: dict[str, str], carrier: Carrier) -> None:
    # Receipts and answers are slow, so that the campaign cannot end between two calls of the test.
    await carrier.behave(delay_ms=5000)
    (await api.curl(UPLOAD, ids=ids, files={"recipients.csv": CSV})).ok()
    (await api.curl(PAUSE, ids=ids)).refused(409, "invalid_state")
    (await api.curl(START, ids=ids)).ok()
    assert (await api.curl(PAUSE, ids=ids)).ok()["status"] == "paused"
    (await api.curl(PAUSE, ids=ids)).refused(409, "invalid_state")
    assert (await api.curl(START, ids=ids)).ok()["status"] == "running"
    (await api.curl(START, ids=ids)).refused(409, "invalid_state")
    cancelled = (await api.curl(CANCEL, ids=ids)).ok()
    assert cancelled["status"] == "cancelled"
    for verb in (START, PAUSE, CANCEL):
        problem = (await api.curl(verb, ids=ids)).refused(409, "invalid_state")
        assert problem["current_status"] == "cancelled"

    async def figures() -> dict[str, int]:
        stats: dict[str, int] = (await api.curl(READ, ids=ids)).ok()["stats"]
        assert stats["total"] == stats["sent"] + stats["pending"] + stats["skipped"] + stats["uncertain"]
        return stats

    # "Messages already queued may still send."
    await eventually(figures, lambda stats: stats["pending"] == 0 and stats["total"] == 2)


@pytest.mark.parametrize("path", ["recipients?page=0", "recipients?per_page=101", "recipients?page=x"])
async def test_bad_pages_are_refused(api: Api, ids: dict[str, str], path: str) -> None:
    (await api.get(f"/api/v1/campaigns/{ids['cmp_abc123']}/{path}")).refused(422, "validation_failed")
