"""Senders: from where and through whom messages go."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database, WriteTx
from chassis.destinations import Networks
from chassis.paging import decode_cursor, encode_cursor, page_size
from chassis.sealing import Sealer, digest, new_secret
from services.campaigns import addresses, checks, convert, errors
from services.campaigns.domain.audience import Channel
from services.campaigns.providers.registry import KINDS
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import senders as queries
from services.campaigns.service.receipts import hook_path

NOUN = "sender"


class Senders:
    def __init__(self, db: Database, sealer: Sealer, *, allowed: Networks) -> None:
        """allowed: where providers may be besides the public Internet."""
        self._db = db
        self._sealer = sealer
        self._allowed = allowed

    async def create(self, call: Call, request: pb.CreateSenderRequest) -> pb.CreateSenderResponse:
        secret = new_secret()
        channel = checks.channel(request.channel)
        provider = provider_of(request.provider or "http", channel)
        new = queries.NewSender(
            id=ids.new(),
            name=checks.name(request.name),
            channel=channel,
            address=address_of(request.address, provider),
            provider=provider,
            settings=checks.provider_settings(provider, request.settings_json, allowed=self._allowed),
            secrets=self._sealer.seal(checks.provider_secrets(provider, request.secrets_json)),
            receipts_secret=self._sealer.seal(secret),
            receipts_digest=digest(secret),
            rate_limit_per_second=checks.rate(request.rate_limit_per_second),
        )
        async with self._db.write(call) as tx:
            row = await self._insert(tx, new, channel, wants_default=request.is_default)
            # The path holds a secret, which no stored answer may.
            stored = pb.CreateSenderResponse(sender=convert.sender(row, receipts_path=""))
            return await tx.reply(pb.CreateSenderResponse(sender=self._shown(row)), stored=stored)

    async def _insert(
        self, tx: WriteTx, new: queries.NewSender, channel: Channel, *, wants_default: bool
    ) -> asyncpg.Record:
        """The first of its channel is the default in any case, so that there is always exactly one."""
        await queries.lock_default(tx, channel)
        first = await queries.default(tx, tx.account, channel) is None
        if wants_default and not first:
            await queries.clear_default(tx, channel)
        return await queries.insert(tx, new, is_default=wants_default or first)

    async def get(self, call: Call, request: pb.GetSenderRequest) -> pb.GetSenderResponse:
        sender_id = checks.reference(convert.SENDER, NOUN, request.id)
        async with self._db.read(call.account) as tx:
            row = await queries.get(tx, call.account, sender_id)
        if row is None:
            raise errors.not_found(NOUN, request.id)
        return pb.GetSenderResponse(sender=self._shown(row))

    async def update(self, call: Call, request: pb.UpdateSenderRequest) -> pb.UpdateSenderResponse:
        sender_id = checks.reference(convert.SENDER, NOUN, request.id)
        async with self._db.write(call) as tx:
            row = await queries.get(tx, call.account, sender_id)
            if row is None:
                raise errors.not_found(NOUN, request.id)
            await queries.lock_default(tx, row["channel"])
            row = await queries.get_for_update(tx, sender_id)
            if row is None:
                raise errors.not_found(NOUN, request.id)
            if request.HasField("if_version") and request.if_version != row["version"]:
                raise errors.version_mismatch(row["version"])
            changed = self._changed(row, request)
            if changed.is_default and not row["is_default"]:
                await queries.clear_default(tx, row["channel"])
            row = await queries.update(tx, sender_id, changed)
            stored = pb.UpdateSenderResponse(sender=convert.sender(row, receipts_path=""))
            return await tx.reply(pb.UpdateSenderResponse(sender=self._shown(row)), stored=stored)

    def _changed(self, row: asyncpg.Record, request: pb.UpdateSenderRequest) -> queries.Changed:
        if request.HasField("is_default") and row["is_default"] and not request.is_default:
            raise errors.invalid("/is_default", "Make another sender of the channel the default instead.")
        has, provider = request.HasField, row["provider"]
        secrets = checks.provider_secrets(provider, request.secrets_json) if has("secrets_json") else None
        return queries.Changed(
            name=checks.name(request.name) if has("name") else row["name"],
            address=address_of(request.address, provider) if has("address") else row["address"],
            settings=(
                checks.provider_settings(provider, request.settings_json, allowed=self._allowed)
                if has("settings_json")
                else row["settings"]
            ),
            secrets=row["secrets"] if secrets is None else self._sealer.seal(secrets),
            rate_limit_per_second=(
                checks.rate(request.rate_limit_per_second)
                if has("rate_limit_per_second")
                else row["rate_limit_per_second"]
            ),
            is_default=request.is_default if has("is_default") else row["is_default"],
        )

    async def delete(self, call: Call, request: pb.DeleteSenderRequest) -> pb.DeleteSenderResponse:
        sender_id = checks.reference(convert.SENDER, NOUN, request.id)
        async with self._db.write(call) as tx:
            row = await queries.get(tx, call.account, sender_id)
            if row is None:
                raise errors.not_found(NOUN, request.id)
            await queries.lock_default(tx, row["channel"])
            row = await queries.get_for_update(tx, sender_id)
            if row is None:
                raise errors.not_found(NOUN, request.id)
            if request.HasField("if_version") and request.if_version != row["version"]:
                raise errors.version_mismatch(row["version"])
            if await campaign_queries.uses_sender(tx, sender_id):
                raise errors.in_use(NOUN)
            await queries.delete(tx, sender_id)
            if row["is_default"]:
                await queries.promote_oldest(tx, row["channel"])
            return await tx.reply(pb.DeleteSenderResponse())

    async def page(self, call: Call, request: pb.ListSendersRequest) -> pb.ListSendersResponse:
        size, scope = page_size(request.page_size), f"{call.account}/senders"
        below = checks.cursor_id(decode_cursor(request.cursor, scope, parts=1)) if request.cursor else None
        async with self._db.read(call.account) as tx:
            rows = await queries.page(tx, call.account, below=below, size=size + 1)
        more = len(rows) > size
        rows = rows[:size]
        return pb.ListSendersResponse(
            senders=[self._shown(row) for row in rows],
            next_cursor=encode_cursor(scope, str(rows[-1]["id"])) if more else "",
        )

    def _shown(self, row: asyncpg.Record) -> pb.Sender:
        return convert.sender(row, receipts_path=receipts_path(row, self._sealer))


def provider_of(kind: str, channel: Channel) -> str:
    """Raises InvalidArgument where there is none of the kind, or it is not for the channel."""
    if kind not in KINDS:
        raise errors.invalid("/provider", f"provider must be one of {', '.join(KINDS)}.")
    if channel not in KINDS[kind].channels:
        fits = ", ".join(one for one in Channel if one in KINDS[kind].channels)
        raise errors.invalid("/provider", f"The provider {kind} is for {fits}, not for {channel}.")
    return kind


def address_of(text: str, provider: str) -> str:
    """Raises InvalidArgument."""
    address = checks.name(text, pointer="/address", longest=checks.MAX_ADDRESS)
    if KINDS[provider].from_email and addresses.email(address) is None:
        raise errors.invalid("/address", f"The provider {provider} sends from an email address.", code="invalid_email")
    return address


def receipts_path(row: Mapping[str, Any] | asyncpg.Record, sealer: Sealer) -> str:
    """Of `…/inbound` too, but for its end."""
    return hook_path(row["account_id"], row["id"], sealer.open(row["receipts_secret"]), "receipts")
