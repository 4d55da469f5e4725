"""Step 3: the campaign, with changes while it runs, a pause, and the wait for every receipt."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from deploy.local.demo.carrier_log import Witness
from deploy.local.demo.following import Freshness, candidates, tag_on_and_off
from deploy.local.demo.rest import Rest
from deploy.local.demo.screen import Bars, Screen
from deploy.local.demo.verdict import Check, equal

TEMPLATE = 'Hi {{{{ first_name | default: "there" }}}}, {{{{ code }}}} is your premium code in {{{{ city }}}}. ({mark})'
POLL_SECONDS = 0.2
FOLLOWED = 40
# A pause is in effect within a second; then nothing may go out for as long as this.
PAUSE_TAKES_SECONDS = 1.0
QUIET_SECONDS = 2.0
# Without a sign of progress for so long, a step has failed.
STALLED_SECONDS = 60.0


@dataclass(slots=True)
class Sending:
    """A campaign on its way."""

    rest: Rest
    screen: Screen
    witness: Witness
    segment_id: str
    campaign_id: str = ""
    # Of the demo's run, whatever it is called on the way.
    freshness: Freshness = field(default_factory=Freshness)
    checks: list[Check] = field(default_factory=list)

    async def campaign(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.rest.get(f"/v1/campaigns/{self.campaign_id}")
        return found


async def create(sending: Sending, *, sender_id: str, mark: str, rate: int) -> None:
    rest = sending.rest
    template = await rest.post(
        "/v1/templates", {"name": "Premium code", "channel": "sms", "body": TEMPLATE.format(mark=mark)}
    )
    campaign = await rest.post(
        "/v1/campaigns",
        {
            "name": "Premium Offer",
            "template_id": template["id"],
            "sender_id": sender_id,
            "segment_id": sending.segment_id,
            "rate_limit_per_second": rate,
        },
    )
    sending.campaign_id = campaign["id"]


async def run(sending: Sending) -> dict[str, int]:
    """Starts it and sees it through. The final stats, when every message has its receipt."""
    began = time.perf_counter()
    await sending.rest.post(f"/v1/campaigns/{sending.campaign_id}/start")
    with sending.screen.bars() as bars:
        await _until(sending, bars, lambda campaign: not campaign["freezing"] and campaign["stats"]["sent"] > 0)
    frozen = await sending.campaign()
    sending.screen.say(f"started; the audience of {frozen['stats']['total']:,} is frozen and sending has begun")
    await _follow(sending)
    await _pause(sending)
    await sending.rest.post(f"/v1/campaigns/{sending.campaign_id}/resume")
    with sending.screen.bars() as bars:
        await _until(sending, bars, lambda campaign: campaign["status"] == "completed")
        sent = time.perf_counter() - began
        await _until(sending, bars, _receipts_are_in)
    stats: dict[str, int] = (await sending.campaign())["stats"]
    sending.screen.say(
        f"completed {sent:.1f} s after the start, pause included; the last receipt came "
        f"{time.perf_counter() - began - sent:.1f} s later"
    )
    return stats


async def _follow(sending: Sending) -> None:
    """Membership goes on following tags while the campaign runs; its audience was frozen and is not touched."""
    contact_ids = await candidates(sending.rest, count=FOLLOWED)
    following = asyncio.create_task(
        tag_on_and_off(sending.rest, contact_ids, segment_id=sending.segment_id, freshness=sending.freshness)
    )
    try:
        with sending.screen.bars() as bars:
            while not following.done():
                bars.show("followed", len(sending.freshness.left), len(contact_ids))
                _show(bars, await sending.campaign())
                await asyncio.wait([following], timeout=POLL_SECONDS)
            bars.show("followed", len(sending.freshness.left), len(contact_ids))
    finally:
        following.cancel()
    await following


async def _pause(sending: Sending) -> None:
    campaign = await sending.campaign()
    if campaign["status"] != "running":
        sending.screen.say("the campaign ended before it could be paused; try a lower --rate")
        sending.checks.append(Check("the campaign was paused", campaign["status"], holds=False))
        return
    await sending.rest.post(f"/v1/campaigns/{sending.campaign_id}/pause")
    await asyncio.sleep(PAUSE_TAKES_SECONDS)
    before = sending.witness.look()
    await asyncio.sleep(QUIET_SECONDS)
    after = sending.witness.look()
    sending.screen.say(f"paused: the carrier has {before:,} messages and {QUIET_SECONDS:.0f} s later {after:,}")
    sending.checks.append(equal("messages sent while paused", after - before, 0))


def _receipts_are_in(campaign: dict[str, Any]) -> bool:
    stats = campaign["stats"]
    return bool(stats["delivered"] + stats["failed"] == stats["sent"])


async def _until(sending: Sending, bars: Bars, done: Any) -> None:
    """Shows the campaign until `done` says so of it. Raises RuntimeError when it stalls."""
    last, since = None, time.monotonic()
    while True:
        campaign = await sending.campaign()
        _show(bars, campaign)
        if done(campaign):
            return
        if campaign["stats"] != last:
            last, since = campaign["stats"], time.monotonic()
        if time.monotonic() - since > STALLED_SECONDS:
            reason = campaign["status_reason"] or "no reason given"
            raise RuntimeError(f"the campaign is {campaign['status']} ({reason}) and stands at {last}")
        await asyncio.sleep(POLL_SECONDS)


def _show(bars: Bars, campaign: dict[str, Any]) -> None:
    stats = campaign["stats"]
    total = stats["total"] - stats["skipped"] if stats["total"] else None
    for name in ("sent", "delivered", "failed"):
        bars.show(name, stats[name], total)
