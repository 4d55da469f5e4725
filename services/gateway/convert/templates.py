"""Templates, and what they say to somebody."""

from typing import Any

from carillon.campaigns.v1 import campaigns_pb2 as pb
from services.gateway.convert.values import CHANNELS, json_text, moment
from services.gateway.schemas.templates import TemplateCreate, TemplateRender, TemplateUpdate, WhatsApp

NULLABLE = ("subject", "html", "whatsapp")


def template(source: pb.Template) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        "channel": CHANNELS.text(source.channel),
        "body": source.body,
        "subject": source.subject if source.HasField("subject") else None,
        "html": source.html if source.HasField("html") else None,
        "whatsapp": whatsapp(source.whatsapp) if source.HasField("whatsapp") else None,
        "variables": list(source.variables),
        "version": source.version,
        "created_at": moment(source.created_at),
        "updated_at": moment(source.updated_at),
    }


def whatsapp(source: pb.WhatsAppTemplate) -> dict[str, Any]:
    return {"name": source.name, "language": source.language, "parameters": list(source.parameters)}


def whatsapp_message(body: WhatsApp) -> pb.WhatsAppTemplate:
    return pb.WhatsAppTemplate(name=body.name, language=body.language, parameters=body.parameters)


def new_template(body: TemplateCreate) -> pb.CreateTemplateRequest:
    return pb.CreateTemplateRequest(
        name=body.name,
        channel=CHANNELS.value(body.channel),
        body=body.body,
        subject=body.subject,
        html=body.html,
        whatsapp=whatsapp_message(body.whatsapp) if body.whatsapp else None,
    )


def template_update(template_id: str, body: TemplateUpdate, if_version: int | None) -> pb.UpdateTemplateRequest:
    fields: dict[str, Any] = {}
    clear: list[str] = []
    for name in body.model_fields_set:
        value = getattr(body, name)
        if value is None and name in NULLABLE:
            clear.append(name)
        else:
            fields[name] = whatsapp_message(value) if name == "whatsapp" else value
    return pb.UpdateTemplateRequest(id=template_id, if_version=if_version, clear=sorted(clear), **fields)


def render(template_id: str, body: TemplateRender) -> pb.RenderTemplateRequest:
    return pb.RenderTemplateRequest(
        id=template_id, contact_id=body.contact_id or "", variables_json=json_text(body.variables or {})
    )


def rendered(source: pb.RenderTemplateResponse) -> dict[str, Any]:
    has = source.HasField
    size = source.sms
    return {
        "channel": CHANNELS.text(source.channel),
        "text": source.text,
        "subject": source.subject if has("subject") else None,
        "html": source.html if has("html") else None,
        "whatsapp": whatsapp(source.whatsapp) if has("whatsapp") else None,
        "encoding": size.encoding if has("sms") else None,
        "characters": size.characters if has("sms") else None,
        "parts": size.parts if has("sms") else None,
        "missing": list(source.missing),
    }
