"""What is needed to send a campaign's messages: its text, its sender's provider, whom to ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import orjson

from chassis import ids
from chassis.ids import AccountId
from services.campaigns import convert
from services.campaigns.domain.audience import Channel
from services.campaigns.providers.http import HttpProvider
from services.campaigns.providers.port import Outbound, Provider
from services.campaigns.sealing import Sealer
from services.campaigns.service.senders import receipts_path
from services.campaigns.templating import Text

MAX_CACHED = 500


@dataclass(frozen=True, slots=True)
class Sending:
    account: AccountId
    campaign_id: UUID
    sender_id: UUID
    channel: Channel
    address: str
    variables: dict[str, Any]
    text: Text
    provider: Provider
    callback_url: str

    def message(self, row: asyncpg.Record | Mapping[str, Any]) -> Outbound:
        """row: a recipient. Its own variables go above the campaign's. Raises TemplateError."""
        known = {self.channel.address: row["address"]} | self.variables | orjson.loads(row["variables"])
        message = self.text.render(known)
        return Outbound(
            key=ids.encode(convert.RECIPIENT, row["id"]),
            to=row["address"],
            sender=self.address,
            channel=self.channel,
            text=message.text,
            subject=message.subject,
            callback_url=self.callback_url,
        )


class Sendings:
    """Makes them from rows, and keeps them: a template is parsed once, not for every chunk."""

    def __init__(self, session: aiohttp.ClientSession, sealer: Sealer, *, public_url: str, timeout: float) -> None:
        self._session = session
        self._sealer = sealer
        self._public_url = public_url.rstrip("/")
        self._timeout = timeout
        self._kept: dict[tuple[UUID, int], Sending] = {}

    def of(self, row: asyncpg.Record) -> Sending:
        """row: of repository.dispatch.context."""
        # A started campaign changes no more; its sender may.
        key = (row["id"], row["sender_version"])
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= MAX_CACHED:
                self._kept.clear()
            found = self._kept[key] = self._make(row)
        return found

    def once(self, row: asyncpg.Record) -> Sending:
        """As `of`, of a campaign that may still change."""
        return self._make(row)

    def _make(self, row: asyncpg.Record) -> Sending:
        sender = {"account_id": row["account_id"], "id": row["sender_id"], "receipts_secret": row["receipts_secret"]}
        return Sending(
            account=AccountId(row["account_id"]),
            campaign_id=row["id"],
            sender_id=row["sender_id"],
            channel=Channel(row["channel"]),
            address=row["address"],
            variables=orjson.loads(row["variables"]),
            text=Text(row["started_body"], row["started_subject"]),
            provider=HttpProvider(
                self._session,
                orjson.loads(row["settings"]),
                orjson.loads(self._sealer.open(row["secrets"])),
                timeout=self._timeout,
            ),
            callback_url=self._public_url + receipts_path(sender, self._sealer),
        )
