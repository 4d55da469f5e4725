"""Templates: what a message says."""

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database
from chassis.paging import decode_cursor, encode_cursor, page_size
from services.campaigns import checks, convert, errors
from services.campaigns.domain.audience import Channel
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import templates as queries
from services.campaigns.templating import MAX_BODY_BYTES, TemplateError, Text

NOUN = "template"


class Templates:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(self, call: Call, request: pb.CreateTemplateRequest) -> pb.CreateTemplateResponse:
        name = checks.name(request.name)
        channel = checks.channel(request.channel)
        subject = request.subject if request.HasField("subject") else None
        text = parsed(request.body, subject, channel)
        async with self._db.write(call) as tx:
            row = await queries.insert(
                tx,
                ids.new(),
                name=name,
                channel=channel,
                body=request.body,
                subject=subject,
                variables=text.variables,
            )
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
            name = checks.name(request.name) if request.HasField("name") else row["name"]
            body = request.body if request.HasField("body") else row["body"]
            subject = request.subject if request.HasField("subject") else row["subject"]
            text = parsed(body, subject, Channel(row["channel"]))
            row = await queries.update(tx, template_id, name=name, body=body, subject=subject, variables=text.variables)
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


def parsed(body: str, subject: str | None, channel: Channel) -> Text:
    """Raises InvalidArgument, with the line where it does not parse."""
    if not body:
        raise errors.invalid("/body", "body must not be empty.")
    if len(body.encode()) > MAX_BODY_BYTES:
        raise errors.invalid("/body", f"body may have up to {MAX_BODY_BYTES} bytes.")
    if subject is not None:
        if channel is not Channel.EMAIL:
            raise errors.invalid("/subject", "Only an email has a subject.")
        if len(subject) > 1000:
            raise errors.invalid("/subject", "subject may have up to 1000 characters.")
        try:
            Text(subject, None).try_out()
        except TemplateError as error:
            raise errors.invalid_template("/subject", error.detail, line=error.line) from error
    try:
        text = Text(body, subject)
        text.try_out()
    except TemplateError as error:
        raise errors.invalid_template("/body", error.detail, line=error.line) from error
    return text
