"""What a template says to somebody, without sending anything."""

from typing import Any

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.call import Call
from chassis.db import Database
from chassis.errors import NotFound
from services.campaigns import checks, contents, convert, errors
from services.campaigns.domain import sms
from services.campaigns.domain.audience import Channel
from services.campaigns.peers import Contacts
from services.campaigns.repository import templates as queries
from services.campaigns.sifting import variables
from services.campaigns.templating import TemplateError, Text

# In place of the link that a recipient gets.
EXAMPLE_LINK = "https://example.com/unsubscribe"


class Previews:
    def __init__(self, db: Database, contacts: Contacts) -> None:
        self._db = db
        self._contacts = contacts

    async def render(self, call: Call, request: pb.RenderTemplateRequest) -> pb.RenderTemplateResponse:
        template_id = checks.reference(convert.TEMPLATE, "template", request.id)
        async with self._db.read(call.account) as tx:
            row = await queries.get(tx, call.account, template_id)
        if row is None:
            raise errors.not_found("template", request.id)
        given = checks.json_object(request.variables_json, "/variables")
        channel, text = Channel(row["channel"]), contents.text(contents.of_template(row))
        known = await contact_values(self._contacts, call, request.contact_id, text)
        try:
            message, missing = text.preview({"unsubscribe_url": EXAMPLE_LINK} | known | given)
        except TemplateError as error:
            raise errors.invalid_template("/variables", error.detail, line=error.line) from error
        size = sms.size(message.text) if channel is Channel.SMS else None
        return pb.RenderTemplateResponse(
            channel=convert.CHANNELS[channel],
            text=message.text,
            subject=message.subject,
            html=message.html,
            whatsapp=convert.whatsapp(message.template),
            sms=None
            if size is None
            else pb.SmsSize(encoding=size.encoding, characters=size.characters, parts=size.parts),
            missing=missing,
        )


async def contact_values(contacts: Contacts, call: Call, public_id: str, text: Text) -> dict[str, Any]:
    """What the text asks for of a contact; nothing where none is named.

    Raises InvalidArgument where there is no such contact.
    """
    if not public_id:
        return {}
    checks.field_reference("/contact_id", convert.CONTACT, "contact", public_id)
    try:
        contact = await contacts.get(call.account, public_id)
    except NotFound as error:
        raise errors.unknown_reference("/contact_id", "contact", public_id) from error
    return checks.loaded(variables(contact, text.variables))
