"""The content of templates as rows have it, and of campaigns as it was when they were started."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import asyncpg
import orjson

from services.campaigns.domain.content import Content, WhatsApp
from services.campaigns.templating import Text

Row = asyncpg.Record | Mapping[str, Any]


def of_template(row: Row) -> Content:
    return Content(row["body"], row["subject"], row["html"], loaded(row["whatsapp"]))


def of_campaign(row: Row) -> Content:
    """row: with started_body, started_subject, started_html and started_whatsapp."""
    return Content(row["started_body"], row["started_subject"], row["started_html"], loaded(row["started_whatsapp"]))


def text(content: Content) -> Text:
    """Raises TemplateError."""
    return Text(content.body, content.subject, html=content.html, whatsapp=content.whatsapp)


def loaded(stored: str | None) -> WhatsApp | None:
    if stored is None:
        return None
    found = orjson.loads(stored)
    return WhatsApp(found["name"], found["language"], tuple(found["parameters"]))


def dumped(whatsapp: WhatsApp | None) -> str | None:
    return None if whatsapp is None else orjson.dumps(asdict(whatsapp)).decode()
