"""What a template may hold, by channel: refused with a pointer and, where it does not parse, the line."""

import re
from collections.abc import Callable

from carillon.campaigns.v1 import campaigns_pb2 as pb
from services.campaigns import contents, errors
from services.campaigns.domain.audience import Channel
from services.campaigns.domain.content import Content, WhatsApp
from services.campaigns.templating import MAX_BODY_BYTES, TemplateError, Text

MAX_SUBJECT = 1000
MAX_PARAMETERS = 20
MAX_PARAMETER = 1000
WHATSAPP_NAME = re.compile(r"[A-Za-z0-9_.-]{1,512}")
LANGUAGE = re.compile(r"[a-z]{2,3}([_-][A-Za-z]{2,4}){0,2}")


def parsed(content: Content, channel: Channel) -> Text:
    """Raises InvalidArgument."""
    check_fits(content, channel)
    check_long("/body", content.body)
    check_liquid("/body", lambda: Text(content.body))
    if content.subject is not None:
        if len(content.subject) > MAX_SUBJECT:
            raise errors.invalid("/subject", f"subject may have up to {MAX_SUBJECT} characters.")
        check_liquid("/subject", lambda: Text(content.subject or ""))
    if content.html is not None:
        check_long("/html", content.html)
        check_liquid("/html", lambda: Text("", html=content.html))
    if content.whatsapp is not None:
        check_whatsapp(content.whatsapp)
    # Each part is within the limits; together they share them.
    return check_liquid("/body", lambda: contents.text(content))


def check_fits(content: Content, channel: Channel) -> None:
    for name, its_channel, value in (
        ("subject", Channel.EMAIL, content.subject),
        ("html", Channel.EMAIL, content.html),
        ("whatsapp", Channel.WHATSAPP, content.whatsapp),
    ):
        if value is not None and channel is not its_channel:
            raise errors.invalid(f"/{name}", f"Only a template for {its_channel} has {name}.")


def check_long(pointer: str, source: str) -> None:
    if not source:
        raise errors.invalid(pointer, f"{pointer[1:]} must not be empty.")
    if len(source.encode()) > MAX_BODY_BYTES:
        raise errors.invalid(pointer, f"{pointer[1:]} may have up to {MAX_BODY_BYTES} bytes.")


def check_whatsapp(whatsapp: WhatsApp) -> None:
    if not WHATSAPP_NAME.fullmatch(whatsapp.name):
        raise errors.invalid("/whatsapp/name", "name must have 1 to 512 letters, digits, _, - and dots.")
    if not LANGUAGE.fullmatch(whatsapp.language):
        raise errors.invalid("/whatsapp/language", "language must be a code such as en or pt_BR.")
    if len(whatsapp.parameters) > MAX_PARAMETERS:
        raise errors.invalid("/whatsapp/parameters", f"parameters may be up to {MAX_PARAMETERS}.")
    for at, source in enumerate(whatsapp.parameters):
        pointer = f"/whatsapp/parameters/{at}"
        if not 1 <= len(source) <= MAX_PARAMETER:
            raise errors.invalid(pointer, f"A parameter must have 1 to {MAX_PARAMETER} characters.")
        check_liquid(pointer, lambda source=source: Text(source))  # type: ignore[misc]


def check_liquid(pointer: str, parse: Callable[[], Text]) -> Text:
    try:
        text = parse()
        text.try_out()
    except TemplateError as error:
        raise errors.invalid_template(pointer, error.detail, line=error.line) from error
    return text


def whatsapp_of(source: pb.WhatsAppTemplate) -> WhatsApp:
    return WhatsApp(source.name, source.language, tuple(source.parameters))
