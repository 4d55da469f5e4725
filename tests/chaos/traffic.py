"""Contacts being edited while processes die, and what of it was acknowledged."""

import asyncio
import secrets
from dataclasses import dataclass, field
from random import Random

import aiohttp

from deploy.local.demo.contacts_csv import PREMIUM
from deploy.local.demo.rest import Refused, Rest

# Between two changes, and after one that failed: the cores are for the services.
PAUSE_SECONDS = 0.05
CALL_SECONDS = 10.0


@dataclass(slots=True)
class Traffic:
    """`premium` has the last acknowledged state of a contact; one whose last change got no answer is not in it."""

    rest: Rest
    contact_ids: list[str]
    rng: Random
    premium: dict[str, bool] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    acknowledged: int = 0
    unanswered: int = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    await self._change()
                self.acknowledged += 1
            except (Refused, aiohttp.ClientError, TimeoutError):
                # Down, or died on the way: whether the change was made is not known.
                self.unanswered += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def _change(self) -> None:
        kind = self.rng.random()
        if kind < 0.1:
            await self._create()
        elif kind < 0.15 and self.made:
            await self._delete(self.made.pop(self.rng.randrange(len(self.made))))
        else:
            await self._tag(self.rng.choice(self.contact_ids), on=self.rng.random() < 0.5)

    async def _tag(self, contact_id: str, *, on: bool) -> None:
        self.premium.pop(contact_id, None)
        if on:
            await self.rest.post(f"/v1/contacts/{contact_id}/tags", {"tags": [PREMIUM]})
        else:
            try:
                await self.rest.call("DELETE", f"/v1/contacts/{contact_id}/tags/{PREMIUM}")
            except Refused as refused:
                if refused.status != 404:  # It had not got the tag: that is what was asked for.
                    raise
        self.premium[contact_id] = on

    async def _create(self) -> None:
        # Nobody's number: the campaign's audience was frozen before, and must not know it.
        phone = f"+1555{self.rng.randrange(10**7):07d}"
        body = {"phone": phone, "external_id": secrets.token_hex(8), "tags": [PREMIUM]}
        try:
            contact = await self.rest.post("/v1/contacts", body)
        except Refused as refused:
            if refused.status != 409:
                raise
            return
        self.made.append(contact["id"])
        self.premium[contact["id"]] = True

    async def _delete(self, contact_id: str) -> None:
        self.premium.pop(contact_id, None)
        await self.rest.call("DELETE", f"/v1/contacts/{contact_id}")
        self.deleted.add(contact_id)
