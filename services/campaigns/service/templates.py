"""Templates: what a message says."""

from dataclasses import replace

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database
from chassis.paging import decode_cursor, encode_cursor, page_size
from services.campaigns import checks, contents, convert, errors
from services.campaigns.domain.audience import Channel
from services.campaigns.domain.content import Content
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import templates as queries
from services.campaigns.template_checks import parsed, whatsapp_of

NOUN = "template"
CLEARABLE = ("subject", "html", "whatsapp")


class Templates:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, call: Call, request: pb.CreateTemplateRequest) -> pb.CreateTemplateResponse:
        name = checks.name(request.name)
        channel = checks.channel(request.channel)
        has = request.HasField
        content = Content(
            body=request.body,
            subject=request.subject if has("subject") else None,
            html=request.html if has("html") else None,
            whatsapp=whatsapp_of(request.whatsapp) if has("whatsapp") else None,
        )
        new = queries.Written(name, content, parsed(content, channel).variables)
        async with self._db.write(call) as tx:
            row = await queries.insert(tx, ids.new(), channel, new)
            return await tx.reply(pb.CreateTemplateResponse(template=convert.template(row)))

    async def get(self, call: Call, request: pb.GetTemplateRequest) -> pb.GetTemplateResponse:
        template_id = checks.reference(convert.TEMPLATE, NOUN, request.id)
        async with self._db.read(call.account) as tx:
            row = await queries.get(tx, call.account, template_id)
        if row is None:
            raise errors.not_found(NOUN, request.id)
        return pb.GetTemplateResponse(template=convert.template(row))

    async def update(self, call: Call, request: pb.UpdateTemplateRequest) -> pb.UpdateTemplateResponse:
        template_id = checks.reference(convert.TEMPLATE, NOUN, request.id)
        async with self._db.write(call) as tx:
            row = await queries.get_for_update(tx, template_id)
            if row is None:
                raise errors.not_found(NOUN, request.id)
            if request.HasField("if_version") and request.if_version != row["version"]:
                raise errors.version_mismatch(row["version"])
            row = await queries.update(tx, template_id, changed(row, request))
            return await tx.reply(pb.UpdateTemplateResponse(template=convert.template(row)))

    async def delete(self, call: Call, request: pb.DeleteTemplateRequest) -> pb.DeleteTemplateResponse:
        template_id = checks.reference(convert.TEMPLATE, NOUN, request.id)
        async with self._db.write(call) as tx:
            # Locked first: a campaign that is being made with it commits before, or finds it gone.
            row = await queries.get_for_update(tx, template_id)
            if row is None:
                raise errors.not_found(NOUN, request.id)
            if request.HasField("if_version") and request.if_version != row["version"]:
                raise errors.version_mismatch(row["version"])
            if await campaign_queries.uses_template(tx, template_id):
                raise errors.in_use(NOUN)
            await queries.delete(tx, template_id)
            return await tx.reply(pb.DeleteTemplateResponse())

    async def page(self, call: Call, request: pb.ListTemplatesRequest) -> pb.ListTemplatesResponse:
        size, scope = page_size(request.page_size), f"{call.account}/templates"
        below = checks.cursor_id(decode_cursor(request.cursor, scope, parts=1)) if request.cursor else None
        async with self._db.read(call.account) as tx:
            rows = await queries.page(tx, call.account, below=below, size=size + 1)
        more = len(rows) > size
        rows = rows[:size]
        return pb.ListTemplatesResponse(
            templates=[convert.template(row) for row in rows],
            next_cursor=encode_cursor(scope, str(rows[-1]["id"])) if more else "",
        )


def changed(row: asyncpg.Record, request: pb.UpdateTemplateRequest) -> queries.Written:
    """Raises InvalidArgument."""
    has, known = request.HasField, contents.of_template(row)
    for field in request.clear:
        if field not in CLEARABLE:
            raise errors.invalid(f"/{field}", f"{field} cannot be cleared.")
    content = Content(
        body=request.body if has("body") else known.body,
        subject=request.subject if has("subject") else known.subject,
        html=request.html if has("html") else known.html,
        whatsapp=whatsapp_of(request.whatsapp) if has("whatsapp") else known.whatsapp,
    )
    content = replace(content, **dict.fromkeys(request.clear))  # type: ignore[arg-type]  # of CLEARABLE
    name = checks.name(request.name) if has("name") else row["name"]
    return queries.Written(name, content, parsed(content, Channel(row["channel"])).variables)
