"""Light work of every kind: imports, exports, bulk changes, segments, campaigns with receipts and replies, webhooks.

All of it twice, since the first of a kind is no rate yet.
"""

import asyncio
from typing import Any, Self

from aiohttp import web

from tests.dashboards.scene import Scene, make_segment
from tests.e2e.client import Answered, Api, eventually

CROWD = 1100  # over a thousand, beyond which a bulk change goes on in the background
HEAD = b"phone,first_name,tags\n"


class WebhookReceiver:
    """/good answers 204, /bad 500."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        app = web.Application()
        app.router.add_post("/{status}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        self._port = port

    @classmethod
    async def start(cls, port: int) -> Self:
        self = cls(port)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return self

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(status=204 if request.match_info["status"] == "good" else 500)


async def work(scene: Scene) -> None:
    for turn in (1, 2):
        await contacts(scene.api, turn)
        await scene.seen(f"sum(carillon_contacts_imports_total) >= {3 * turn}")
        await campaigns(scene, turn)
    await scene.seen('sum by (outcome) (carillon_webhook_attempts_total{outcome="delivered"}) > 0')
    await scene.seen("carillon_segments_flips_total > 0")


async def contacts(api: Api, turn: int) -> None:
    await import_crowd(api, turn)
    await asyncio.gather(
        live_changes(api, turn),
        export(api, {"resource": "contacts", "format": "csv"}),
        change_in_bulk(api, turn),
        make_segment(api, f"Live {turn}", field="tags", operator="contains", value="live"),
        fail_an_import(api),
        refused_requests(api),
    )
    await watch_an_import(api, turn)


async def import_crowd(api: Api, turn: int) -> None:
    rows = "".join(f"+1415666{at:04},Person {at},crowd\n" for at in range(CROWD))
    rows += f"+1415666{turn:04},Again,crowd\ncall me,Nobody,crowd\n"
    found = (await api.upload("/v1/contacts/import", HEAD + rows.encode())).ok()
    assert found["failed"] == 1, found


async def live_changes(api: Api, turn: int) -> None:
    """Contacts that are made, changed, read and searched one by one."""
    for at in range(8):
        phone = f"+1415777{turn}{at:03}"
        contact = (await api.post("/v1/contacts", {"phone": phone, "first_name": "Ann"})).ok(201)["id"]
        (await api.call("PATCH", f"/v1/contacts/{contact}", json={"tags": ["live"]})).ok()
        (await api.get(f"/v1/contacts/{contact}")).ok()
        (await api.get("/v1/contacts?search=ann")).ok()


async def refused_requests(api: Api) -> None:
    (await api.get("/v1/contacts/cnt_none")).refused(404, "not_found")
    (await api.post("/v1/contacts", {"phone": "call me"})).refused(422, "invalid_phone")


async def export(api: Api, body: dict[str, Any]) -> None:
    accepted = await api.post("/v1/exports", body)
    done = await completed(api, accepted)
    (await api.get(done.body["download_path"])).ok()


async def change_in_bulk(api: Api, turn: int) -> None:
    body = {"filter": {"tag": "crowd"}, "add": [f"changed-{turn}"]}
    await completed(api, await api.post("/v1/contacts/bulk-tag", body))


async def completed(api: Api, accepted: Answered) -> Answered:
    accepted.ok(202)
    path = accepted.headers["Location"]
    return await eventually(lambda: api.get(path), lambda found: found.ok()["status"] == "completed")


async def fail_an_import(api: Api) -> None:
    """The line that is none is behind what is looked at when it is uploaded."""
    data = HEAD + (b"+14155552671," + b"x" * 140 + b",\n") * 2_000 + b"x" * 3_000_000
    (await api.upload("/v1/contacts/import", data)).refused(422, "file_unreadable")


async def watch_an_import(api: Api, turn: int) -> None:
    """As a stream, until it ended."""
    row = HEAD + f"+1415888000{turn},Eve,\n".encode()
    accepted = await api.upload("/v1/contacts/import", row, headers={"Prefer": "respond-async"})
    accepted.ok(202)
    (await api.get(f"{accepted.headers['Location']}/events", headers={"Accept": "text/event-stream"})).ok()


async def campaigns(scene: Scene, turn: int) -> None:
    api = scene.api
    await scene.carrier.behave(receipt_failed_rate=0.1, delay_ms=5)
    text = f"Hi {{{{ first_name }}}} {turn}"
    made = await scene.start_campaign(text, rate_limit_per_second=400)
    # Nobody has what it asks for.
    await scene.start_campaign(f"Your code: {{{{ code }}}} {turn}")
    await eventually(lambda: api.get(f"/v1/campaigns/{made}"), lambda found: found.ok()["stats"]["delivered"] > 100)
    known = [one["id"] for one in scene.carrier.accepted(f" {turn}")[:20]]
    receipts = [{"id": one, "status": status} for one in known for status in ("opened", "clicked")]
    (await api.post(f"{scene.hook}/receipts", {"receipts": receipts})).ok()
    for number, word in enumerate(("Hello", "STOP", "START")):
        (await scene.reply(word, id=f"{turn}-{number}")).ok()
    await export(api, {"resource": "segment_members", "segment_id": scene.segment, "format": "csv"})
    await export(api, {"resource": "recipients", "campaign_id": made, "format": "csv"})
