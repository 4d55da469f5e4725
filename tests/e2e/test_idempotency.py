"""Idempotency-Key: a repetition answers as the first did, and does nothing again."""

import asyncio
from typing import Any

import pytest

from tests.e2e.client import Answered, Api

RULE = {"field": "tags", "operator": "contains", "value": "premium"}


def headers(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def twice(api: Api, path: str, body: Any, *, key: str) -> tuple[Answered, Answered]:
    first = await api.post(path, body, headers=headers(key))
    return first, await api.post(path, body, headers=headers(key))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/contacts", {"phone": "+1234567890"}),
        ("/v1/suppressions", {"phone": "+15550101234"}),
        ("/v1/segments", {"name": "s", "conditions": [RULE]}),
        ("/v1/templates", {"name": "t", "body": "Hi"}),
    ],
)
async def test_a_repeated_creation_creates_once(api: Api, path: str, body: Any) -> None:
    before = len(await api.everything(path))
    first, second = await twice(api, path, body, key=f"create {path}")
    assert (first.status, second.status) == (201, 201), (first.body, second.body)
    assert first.body == second.body
    assert first.headers.get("idempotent-replayed") is None
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    assert len(await api.everything(path)) == before + 1


async def test_a_key_is_not_for_another_request(api: Api) -> None:
    (await api.post("/v1/templates", {"name": "a", "body": "Hi"}, headers=headers("k1"))).ok(201)
    another = await api.post("/v1/templates", {"name": "b", "body": "Hi"}, headers=headers("k1"))
    another.refused(422, "idempotency_key_reused")
    assert [one["name"] for one in await api.everything("/v1/templates")].count("b") == 0


async def test_a_refused_request_does_not_use_up_its_key(api: Api) -> None:
    (await api.post("/v1/contacts", {"phone": "12ab"}, headers=headers("k2"))).refused(422, "invalid_phone")
    (await api.post("/v1/contacts", {"phone": "+15550102222"}, headers=headers("k2"))).ok(201)


async def test_of_many_at_once_one_does_the_work(api: Api) -> None:
    body = {"name": "race", "body": "Hi"}
    answers = await asyncio.gather(*(api.post("/v1/templates", body, headers=headers("race")) for _ in range(8)))
    for answer in answers:
        assert answer.status == 201 or answer.refused(409, "idempotency_in_progress")
    made = {answer.body["id"] for answer in answers if answer.status == 201}
    assert len(made) == 1
    assert [one["name"] for one in await api.everything("/v1/templates")].count("race") == 1


async def test_a_repeated_import_is_the_same_import(api: Api) -> None:
    rows = b"phone\n+15550103333\n+15550104444\n"
    first = await api.upload("/v1/contacts/import", rows, headers=headers("import"))
    second = await api.upload("/v1/contacts/import", rows, headers=headers("import"))
    assert (first.ok()["imported"], second.ok()) == (2, first.body)
    assert second.headers["idempotent-replayed"] == "true"
    other = await api.upload("/v1/contacts/import", rows + b"+15550105555\n", headers=headers("import"))
    other.refused(422, "idempotency_key_reused")


async def test_a_repeated_upload_of_recipients_and_a_repeated_start(api: Api, sender_id: str) -> None:
    template = (await api.post("/v1/templates", {"name": "t", "body": "Hi"})).ok(201)["id"]
    body = {"name": "c", "template_id": template, "sender_id": sender_id}
    created, again = await twice(api, "/v1/campaigns", body, key="campaign")
    campaign = created.ok(201)["id"]
    assert again.ok(201)["id"] == campaign
    path = f"/v1/campaigns/{campaign}/recipients"
    first = await api.upload(path, b"phone\n+15550106666\n", headers=headers("rows"))
    second = await api.upload(path, b"phone\n+15550106666\n", headers=headers("rows"))
    assert first.ok() == second.ok() == {"imported": 1, "failed": 0, "duplicates": 0, "suppressed": 0, "errors": []}
    started, repeated = await twice(api, f"/v1/campaigns/{campaign}/start", None, key="start")
    assert started.ok()["status"] == "running"
    # Without the key a second start is refused; with it the first answer comes again.
    assert repeated.ok() == started.body


async def test_a_sender_s_secret_is_in_no_answer(api: Api) -> None:
    body = {
        "name": "s",
        "channel": "sms",
        "address": "X",
        "settings": {"url": "http://127.0.0.1:9/messages"},
        "secrets": {"authorization": "Bearer very-secret"},
    }
    for answer in await twice(api, "/v1/senders", body, key="sender"):
        answer.ok(201)
        assert "very-secret" not in str(answer.body)
