"""One run: a campaign under way, contacts being edited, processes killed one after the other; then the audit."""

import asyncio
import secrets
import time
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp
import asyncpg

from chassis import ids
from deploy.local.demo import contacts_csv
from deploy.local.demo.carrier_log import Witness
from deploy.local.demo.following import candidates
from deploy.local.demo.rest import Refused, Rest, control
from deploy.local.demo.verdict import Check
from tests.chaos import audit, faults
from tests.chaos.history import History
from tests.chaos.traffic import Traffic
from tests.throwaway_stack import ThrowawayStack

BODY = 'Hi {{{{ first_name | default: "there" }}}}, {{{{ code }}}} ({mark})'
SETTLE_SECONDS = 120.0
# The provider is slow and loses answers, so that a kill finds calls under way.
TROUBLE: dict[str, object] = {
    "delay_ms": 30,
    "reset_after_accept_rate": 0.005,
    "receipts": "auto",
    "receipt_failed_rate": 0.05,
    "receipt_duplicate_rate": 0.05,
}


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    # About so many; the contacts' generator draws them.
    recipients: int
    # Messages a second; with the recipients this decides how long there is for killing.
    rate: int
    # Killed in this order, each once its predecessor is back.
    victims: tuple[str, ...]
    editors: int = 4
    # The carrier forgets the keys that it was given: then the audit must fail, or it is no audit.
    careless_carrier: bool = False

    @property
    def trouble(self) -> dict[str, object]:
        return TROUBLE | {"honour_keys": False} if self.careless_carrier else TROUBLE


@dataclass(slots=True)
class Run:
    scenario: Scenario
    stack: ThrowawayStack
    rest: Rest
    witness: Witness
    history: History
    book: contacts_csv.Book
    segment_id: str = ""
    campaign_id: str = ""


async def play(scenario: Scenario, stack: ThrowawayStack, history: History) -> list[Check]:
    """Every check, held or not. Raises faults.NotBack where a process stays down."""
    mark = f"ref {secrets.token_hex(4)}"
    file = stack.home.folder / "demo" / "chaos.csv"
    rows = int(scenario.recipients / contacts_csv.PREMIUM_SHARE)
    book = contacts_csv.write(file, rows=rows, seed=scenario.seed)
    key = await asyncio.to_thread(stack.create_account, f"chaos {mark}")
    witness = Witness(stack.home.carrier, mark)
    async with Rest(stack.url, key) as rest, control(stack.carrier_url, scenario.trouble):
        run = Run(scenario, stack, rest, witness, history, book)
        await rest.upload("/v1/contacts/import", file, on_bytes=lambda done, size: None)
        await prepare(run, mark)
        traffic = [Traffic(rest, [], Random(f"{scenario.seed} {number}")) for number in range(scenario.editors)]
        await break_things(run, traffic)
        await settle(run)
        return await judge(run, traffic)


async def prepare(run: Run, mark: str) -> None:
    """Segment, sender, template, campaign; starts it."""
    conditions = [{"field": "tags", "operator": "contains", "value": contacts_csv.PREMIUM}]
    segment = await run.rest.post("/v1/segments", {"name": "Premium", "conditions": conditions})
    run.segment_id = segment["id"]
    await until(run, "the segment's members", lambda: has_members(run, run.book.premium_members))
    settings = {"url": f"{run.stack.carrier_url}/messages"}
    sender = await run.rest.post(
        "/v1/senders",
        {"name": "chaos", "channel": "sms", "address": "CHAOS", "provider": "http", "settings": settings},
    )
    template = await run.rest.post("/v1/templates", {"name": "chaos", "channel": "sms", "body": BODY.format(mark=mark)})
    campaign = await run.rest.post(
        "/v1/campaigns",
        {
            "name": "chaos",
            "template_id": template["id"],
            "sender_id": sender["id"],
            "segment_id": run.segment_id,
            "rate_limit_per_second": run.scenario.rate,
        },
    )
    run.campaign_id = campaign["id"]
    await run.rest.post(f"/v1/campaigns/{run.campaign_id}/start")
    run.history.add("started", recipients=len(run.book.premium_codes))


async def break_things(run: Run, traffic: list[Traffic]) -> None:
    """Edits and kills, until every victim has been killed and is back."""
    rng = Random(run.scenario.seed)
    first, *others = run.scenario.victims
    # While the audience is being frozen; edits must wait for its end, since they would change who is in it.
    await faults.kill(run.stack, first, history=run.history)
    await until(run, "the frozen audience", lambda: is_frozen(run))
    contact_ids = await candidates(run.rest, count=200)
    for number, editor in enumerate(traffic):
        # No two edit the same contact: then the last acknowledged change of each is known.
        editor.contact_ids = contact_ids[number :: len(traffic)]
    editing = [asyncio.create_task(editor.run()) for editor in traffic]
    try:
        for name in others:
            await asyncio.sleep(rng.uniform(0.2, 1.0))
            campaign = await patient_get(run, f"/v1/campaigns/{run.campaign_id}")
            run.history.add("before", name=name, status=campaign["status"], sent=campaign["stats"]["sent"])
            await faults.kill(run.stack, name, history=run.history)
    finally:
        for task in editing:
            task.cancel()
        await asyncio.gather(*editing, return_exceptions=True)
    run.history.add(
        "edited",
        acknowledged=sum(editor.acknowledged for editor in traffic),
        unanswered=sum(editor.unanswered for editor in traffic),
    )


async def settle(run: Run) -> None:
    """Waits for the end of the campaign, its receipts and the segment; gives up quietly: the audit will tell."""
    try:
        await until(run, "the end of the campaign", lambda: is_over(run))
    except TimeoutError as error:
        run.history.add("gave up", waiting_for=str(error))
    campaign = await patient_get(run, f"/v1/campaigns/{run.campaign_id}")
    await run.witness.wait_for_receipts(campaign["stats"]["sent"], seconds=10.0)
    run.history.add("settled", status=campaign["status"], **campaign["stats"])


async def judge(run: Run, traffic: list[Traffic]) -> list[Check]:
    premium = {contact_id: on for editor in traffic for contact_id, on in editor.premium.items()}
    deleted = {contact_id for editor in traffic for contact_id in editor.deleted}
    by_rule, existing = await contacts_by_rule(run)
    deadline = time.monotonic() + 30.0
    members = await members_of(run)
    # Contacts are edited until just now: the segment may still be following.
    while set(members) != by_rule and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        members = await members_of(run)
    segment = await patient_get(run, f"/v1/segments/{run.segment_id}")
    run.witness.look()
    campaign = await patient_get(run, f"/v1/campaigns/{run.campaign_id}")
    return [
        *audit.sending(campaign, run.witness, expected=run.book.premium_codes),
        *audit.membership(members, by_rule, count=segment["member_count"]),
        *audit.acknowledged(premium, deleted, by_rule=by_rule, existing=existing),
    ]


async def has_members(run: Run, count: int) -> bool:
    segment = await patient_get(run, f"/v1/segments/{run.segment_id}")
    return bool(segment["status"] == "ready" and segment["member_count"] == count)


async def is_frozen(run: Run) -> bool:
    campaign = await patient_get(run, f"/v1/campaigns/{run.campaign_id}")
    return not campaign["freezing"]


async def is_over(run: Run) -> bool:
    campaign = await patient_get(run, f"/v1/campaigns/{run.campaign_id}")
    stats = campaign["stats"]
    return bool(campaign["status"] == "completed" and stats["delivered"] + stats["failed"] == stats["sent"])


async def until(run: Run, what: str, done: Any) -> None:
    """Raises TimeoutError, saying what for, after SETTLE_SECONDS."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not await done():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.1)
    run.history.add("reached", what=what)


async def patient_get(run: Run, path: str, **query: str) -> Any:
    """GET, repeated while the stack is in pieces."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            return await run.rest.get(path, **query)
        except (Refused, aiohttp.ClientError, TimeoutError) as error:
            if time.monotonic() > deadline or (isinstance(error, Refused) and error.status < 500):
                raise
            await asyncio.sleep(0.1)


async def members_of(run: Run) -> list[str]:
    found: list[str] = []
    query = {"limit": "100"}
    while True:
        page = await patient_get(run, f"/v1/segments/{run.segment_id}/members", **query)
        found += [member["contact"]["id"] for member in page["data"]]
        if not page["has_more"]:
            return found
        query["cursor"] = page["next_cursor"]


async def contacts_by_rule(run: Run) -> tuple[set[str], set[str]]:
    """(ids of the contacts that have the tag, ids of all), straight from the contacts database."""
    page = await patient_get(run, "/v1/contacts", limit="1")
    known = ids.decode("cnt", page["data"][0]["id"])
    connection = await asyncpg.connect(run.stack.database_url("contacts"))
    try:
        rows = await connection.fetch(
            "SELECT id, $2 = ANY(tags) AS premium FROM contacts "
            "WHERE account_id = (SELECT account_id FROM contacts WHERE id = $1)",
            known,
            contacts_csv.PREMIUM,
        )
    finally:
        await connection.close()
    by_id = {ids.encode("cnt", row["id"]): row["premium"] for row in rows}
    return {contact_id for contact_id, premium in by_id.items() if premium}, set(by_id)
