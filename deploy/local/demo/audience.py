"""Step 2: who gets the message. A segment by tag, and some who said that they want none."""

import asyncio
import time
from random import Random
from typing import Any

from deploy.local.demo.contacts_csv import PREMIUM, Book
from deploy.local.demo.rest import Rest
from deploy.local.demo.screen import Screen
from deploy.local.demo.verdict import Check, equal

SEGMENT_SECONDS = 120.0
SUPPRESSED = 20
DO_NOT_DISTURB = 10


async def create_segment(rest: Rest, screen: Screen, *, book: Book) -> tuple[str, list[Check]]:
    """The segment's id, once it is ready with all its members."""
    began = time.perf_counter()
    conditions = [{"field": "tags", "operator": "contains", "value": PREMIUM}]
    segment = await rest.post("/v1/segments", {"name": "Premium Customers", "conditions": conditions})
    with screen.bars() as bars:
        while segment["status"] != "ready" or segment["member_count"] != book.premium_members:
            bars.show("members", segment["member_count"], book.premium_members)
            if time.perf_counter() - began > SEGMENT_SECONDS:
                break
            await asyncio.sleep(0.05)
            segment = await rest.get(f"/v1/segments/{segment['id']}")
        bars.show("members", segment["member_count"], book.premium_members)
    screen.say(f"“Premium Customers” has {segment['member_count']:,} members after {time.perf_counter() - began:.2f} s")
    return segment["id"], [equal("members of the segment", segment["member_count"], book.premium_members)]


async def refuse_some(rest: Rest, screen: Screen, *, book: Book, seed: int) -> dict[str, str]:
    """Phone → code of who is left to be reached, after some numbers were suppressed and some contacts marked."""
    chosen = Random(seed).sample(sorted(book.premium_codes), SUPPRESSED + DO_NOT_DISTURB)
    for phone in chosen[:SUPPRESSED]:
        await rest.post("/v1/suppressions", {"phone": phone, "reason": "asked on the phone"})
    for phone in chosen[SUPPRESSED:]:
        contact: dict[str, Any] = await rest.get("/v1/contacts/lookup", phone=phone)
        await rest.call("PUT", f"/v1/contacts/{contact['id']}", body={"do_not_disturb": True})
    reachable = {phone: code for phone, code in book.premium_codes.items() if phone not in set(chosen)}
    screen.say(
        f"{SUPPRESSED} of them put on the do-not-contact list, {DO_NOT_DISTURB} marked do_not_disturb, "
        f"{book.premium_members - len(book.premium_codes):,} have no phone: {len(reachable):,} messages are due"
    )
    return reachable
