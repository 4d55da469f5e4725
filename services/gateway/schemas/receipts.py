"""What providers post to us; the campaigns service reads it, since providers differ."""

from typing import Any

from services.gateway.schemas.fields import Answer

FORM = "application/x-www-form-urlencoded"
TIME = {"type": "string", "format": "date-time", "description": "When it happened; now without it"}
RECEIPT: dict[str, Any] = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {
        "id": {
            "type": "string",
            "maxLength": 256,
            "description": "The provider's, or the key that it got",
        },
        "status": {"type": "string", "enum": ["delivered", "failed", "opened", "clicked"]},
        "reason": {"type": "string", "description": "Of a failure"},
        "at": TIME,
    },
}
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["id", "from"],
    "properties": {
        "id": {"type": "string", "maxLength": 256},
        "from": {"type": "string", "maxLength": 320, "description": "The recipient's phone or email"},
        "to": {"type": "string", "maxLength": 320},
        "text": {"type": "string", "maxLength": 10_000},
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
