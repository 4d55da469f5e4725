"""What is needed to send a campaign's messages: its text, its sender's provider, whom to ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from prometheus_client import Histogram

from chassis import ids
from chassis.ids import AccountId
from chassis.sealing import Sealer
from services.campaigns import contents, convert, mail_links, metrics, tracking
from services.campaigns.domain.audience import Channel
from services.campaigns.providers.open_providers import OpenProviders
from services.campaigns.providers.port import Outbound, Provider
from services.campaigns.providers.registry import SANDBOX, Reach
from services.campaigns.service.senders import receipts_path
from services.campaigns.templating import Text

MAX_CACHED = 500
NO_CAMPAIGN = UUID(int=0)
TEST_SUBJECT = "Test message"


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
    # Of its calls.
    seconds: Histogram
    callback_url: str
    links: "Links"

    def message(self, row: asyncpg.Record | Mapping[str, Any]) -> Outbound:
        """row: a recipient. Its own variables go above the campaign's. Raises TemplateError, whose `reason` is why the
        recipient is skipped.
        """
        known = {self.channel.address: row["address"]} | self.variables | orjson.loads(row["variables"])
        unsubscribe_url = None
        if self.channel is Channel.EMAIL:
            unsubscribe_url = known["unsubscribe_url"] = self.links.unsubscribe(self.account, row["id"])
        message = self.text.render(known)
        return Outbound(
            key=ids.encode(convert.RECIPIENT, row["id"]),
            to=row["address"],
            sender=self.address,
            channel=self.channel,
            text=message.text,
            subject=message.subject,
            callback_url=self.callback_url,
            html=None if message.html is None else self.links.tracked(self.account, row["id"], message.html),
            unsubscribe_url=unsubscribe_url,
            template=message.template,
        )


@dataclass(frozen=True, slots=True)
class Links:
    """Those that messages and providers are given."""

    public_url: str
    sealer: Sealer

    def unsubscribe(self, account: AccountId, recipient: UUID) -> str:
        return tracking.unsubscribe_url(self.public_url, self.sealer, account=account, recipient=recipient)

    def tracked(self, account: AccountId, recipient: UUID, html: str) -> str:
        """An email's HTML, its links leading here first."""
        return mail_links.tracked_html(
            html, public_url=self.public_url, sealer=self.sealer, account=account, recipient=recipient
        )

    def callback(self, account: AccountId, sender_id: UUID, receipts_secret: bytes) -> str:
        sender = {"account_id": account, "id": sender_id, "receipts_secret": receipts_secret}
        return self.public_url + receipts_path(sender, self.sealer)


class Sendings:
    """Makes them from rows, and keeps them: a template is parsed once, not for every chunk."""

    def __init__(self, reach: Reach, sealer: Sealer, *, public_url: str) -> None:
        self.providers = OpenProviders(reach, sealer)
        self.links = Links(public_url.rstrip("/"), sealer)
        self._kept: dict[tuple[UUID, int], Sending] = {}

    def of(self, row: asyncpg.Record) -> Sending:
        """row: of repository.dispatch.context."""
        # A started campaign changes no more; its sender may.
        key = (row["id"], row["sender_version"])
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= MAX_CACHED:
                self._kept.clear()
            found = self._kept[key] = self._make(row, is_test=row["is_test"])
        return found

    def once(self, row: asyncpg.Record, *, is_test: bool) -> Sending:
        """As `of`, of a campaign that may still change. is_test: nothing is sent."""
        return self._make(row, is_test=is_test or row["is_test"])

    def of_sender(self, row: asyncpg.Record, *, is_test: bool) -> Sending:
        """row: a sender. The message says what the variable `text` holds. is_test: nothing is sent."""
        account, channel = AccountId(row["account_id"]), Channel(row["channel"])
        of = dict(row) | {"sender_id": row["id"], "sender_version": row["version"]}
        return Sending(
            account=account,
            campaign_id=NO_CAMPAIGN,
            sender_id=row["id"],
            channel=channel,
            address=row["address"],
            variables={},
            text=Text("{{ text }}", TEST_SUBJECT if channel is Channel.EMAIL else None),
            provider=self.providers.of(of, is_test=is_test),
            seconds=seconds_of(row["provider"], is_test=is_test),
            callback_url=self.links.callback(account, row["id"], row["receipts_secret"]),
            links=self.links,
        )

    def _make(self, row: asyncpg.Record, *, is_test: bool) -> Sending:
        account = AccountId(row["account_id"])
        return Sending(
            account=account,
            campaign_id=row["id"],
            sender_id=row["sender_id"],
            channel=Channel(row["channel"]),
            address=row["address"],
            variables=orjson.loads(row["variables"]),
            text=contents.text(contents.of_campaign(row)),
            provider=self.providers.of(row, is_test=is_test),
            seconds=seconds_of(row["provider"], is_test=is_test),
            callback_url=self.links.callback(account, row["sender_id"], row["receipts_secret"]),
            links=self.links,
        )


def seconds_of(kind: str, *, is_test: bool) -> Histogram:
    return metrics.PROVIDER_SECONDS.labels(SANDBOX if is_test else kind)
