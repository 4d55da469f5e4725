"""Who takes part: the stack, its API and carrier, Prometheus; and what was made before anything else."""

import asyncio
from dataclasses import dataclass
from typing import Any, Self

from deploy.local import prometheus
from tests.e2e.client import Answered, Api, Carrier, eventually
from tests.throwaway_stack import ThrowawayStack


@dataclass(frozen=True)
class Scene:
    stack: ThrowawayStack
    seeing: prometheus.Server
    api: Api
    carrier: Carrier
    sender: str
    # Of the sender, below the API's URL.
    hook: str
    segment: str

    @classmethod
    async def make(
        cls, stack: ThrowawayStack, server: prometheus.Server, *, api: Api, carrier: Carrier, webhooks: str
    ) -> Self:
        for path in ("good", "bad"):
            (await api.post("/v1/webhooks", {"url": f"{webhooks}/{path}"})).ok(201)
        sender = {
            "name": "Main number",
            "channel": "sms",
            "address": "CARILLON",
            "provider": "http",
            # An attempt without an answer is uncertain, and not repeated.
            "settings": {"url": f"{carrier.url}/messages", "honours_keys": False},
            "is_default": True,
        }
        made = (await api.post("/v1/senders", sender)).ok(201)
        hook = made["receipts_url"].removeprefix(api.url).removesuffix("/receipts")
        segment = await make_segment(api, "Crowd", field="tags", operator="contains", value="crowd")
        # Everybody leaves it by the clock, five seconds after they came.
        await make_segment(api, "New", field="created_at", operator="in_last", value="5s")
        return cls(stack, server, api, carrier, made["id"], hook, segment)

    async def seen(self, expression: str, *, seconds: float = 40) -> None:
        """Waits until Prometheus has it: what happened between two of its looks is in no panel."""

        async def series() -> list[Any]:
            return await asyncio.to_thread(self.seeing.query, expression)

        try:
            await eventually(series, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"never seen: {expression}") from error

    async def start_campaign(self, text: str, **fields: Any) -> str:
        """To the crowd; its id."""
        template = (await self.api.post("/v1/templates", {"name": text, "body": text})).ok(201)["id"]
        body = {"name": text, "template_id": template, "sender_id": self.sender, "segment_id": self.segment, **fields}
        made = (await self.api.post("/v1/campaigns", body)).ok(201)["id"]
        (await self.api.post(f"/v1/campaigns/{made}/start")).ok()
        return str(made)

    async def reply(self, text: str, *, id: str) -> Answered:
        message = {"id": id, "from": "+14157770003", "to": "CARILLON", "text": text}
        return await self.api.post(f"{self.hook}/inbound", {"messages": [message]})


async def make_segment(api: Api, name: str, **rule: Any) -> str:
    return str((await api.post("/v1/segments", {"name": name, "conditions": [rule]})).ok(201)["id"])
