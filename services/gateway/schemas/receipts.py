"""What providers post to us; the campaigns service reads it, since providers differ."""

from typing import Any

from services.gateway.schemas.fields import Answer

FORM = "application/x-www-form-urlencoded"
# What is not there may be null too.
TIME = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "maxLength": 0}, {"type": "null"}],
    "description": "When it happened; now without it",
}
NAME = {
    "type": ["string", "integer"],
    "minLength": 1,
    "maxLength": 256,
    "description": "The provider's, or the key that it got",
}
RECEIPT: dict[str, Any] = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {
        "id": NAME,
        "status": {"type": "string", "enum": ["delivered", "failed", "opened", "clicked"]},
        "reason": {"type": ["string", "null"], "description": "Of a failure"},
        "at": TIME,
    },
}
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["id", "from"],
    "properties": {
        "id": NAME,
        "from": {"type": "string", "minLength": 1, "description": "The recipient's phone or email"},
        "to": {"type": ["string", "null"]},
        "text": {"type": ["string", "null"], "description": "Cut after 10,000 characters"},
        "at": TIME,
    },
}


def body(name: str, item: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """One of our own as a form, or up to 1,000 of them; of a provider with a language of its own, what it posts."""
    many = {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "maxItems": 1000, "items": item}},
    }
    return {
        "required": True,
        "content": {"application/json": {"schema": many, "example": {name: [example]}}, FORM: {"schema": item}},
    }


RECEIPTS_BODY = body("receipts", RECEIPT, {"id": "m-4711", "status": "delivered", "at": "2026-03-01T09:05:00Z"})
INBOUND_BODY = body("messages", MESSAGE, {"id": "m-4712", "from": "+15550101", "to": "+15550100", "text": "STOP"})


class Taken(Answer):
    stored: int
