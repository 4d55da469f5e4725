"""Tags go on and off through the API; how long until the segment knows?"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from deploy.local.demo.contacts_csv import PREMIUM
from deploy.local.demo.rest import Rest

POLL_SECONDS = 0.004
GIVE_UP_SECONDS = 60.0


@dataclass(slots=True)
class Freshness:
    """Seconds from sending the change to the first answer that shows it; the call itself is in it."""

    joined: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)


async def candidates(rest: Rest, *, count: int) -> list[str]:
    """Ids of contacts that are not premium, newest first."""
    found: list[str] = []
    query = {"limit": "100"}
    while len(found) < count:
        page = await rest.get("/v1/contacts", **query)
        found += [contact["id"] for contact in page["data"] if PREMIUM not in contact["tags"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    return found[:count]


async def tag_on_and_off(rest: Rest, contact_ids: list[str], *, segment_id: str, freshness: Freshness) -> None:
    """One contact after the other; leaves their tags as they were."""
    for contact_id in contact_ids:
        tags = f"/v1/contacts/{contact_id}/tags"

        async def tag(path: str = tags) -> None:
            await rest.post(path, {"tags": [PREMIUM]})

        async def untag(path: str = tags) -> None:
            await rest.call("DELETE", f"{path}/{PREMIUM}")

        freshness.joined.append(await _seconds_until(rest, contact_id, segment_id, change=tag, member=True))
        freshness.left.append(await _seconds_until(rest, contact_id, segment_id, change=untag, member=False))


async def _seconds_until(
    rest: Rest, contact_id: str, segment_id: str, *, change: Callable[[], Awaitable[Any]], member: bool
) -> float:
    began = time.perf_counter()
    await change()
    while True:
        segments = await rest.get(f"/v1/contacts/{contact_id}/segments")
        waited = time.perf_counter() - began
        if (segment_id in [segment["id"] for segment in segments["data"]]) is member:
            return waited
        if waited > GIVE_UP_SECONDS:
            raise RuntimeError(f"membership did not follow a tag within {GIVE_UP_SECONDS:.0f} s")
        await asyncio.sleep(POLL_SECONDS)
