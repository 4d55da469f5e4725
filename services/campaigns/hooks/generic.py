"""What providers of our own protocol post; see docs/receipts.md.

    {"receipts": [{"id": "…", "status": "delivered", "reason": "…", "at": "…"}]}
    {"messages": [{"id": "…", "from": "+1…", "to": "+1…", "text": "STOP", "at": "…"}]}

or one of them as a form with the same names. A sender with the secret `webhook_secret` takes signed posts only
(X-Hub-Signature-256). Fields that are not known are passed over.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson

from chassis import ids
from services.campaigns import addresses, errors
from services.campaigns.domain.opt_words import meaning
from services.campaigns.domain.recipient import Receipt
from services.campaigns.hooks.request import (
    MAX_ADDRESS,
    MAX_ID,
    MAX_ITEMS,
    MAX_REASON,
    MAX_TEXT,
    Posted,
    SenderOf,
    Understood,
    clean,
)
from services.campaigns.hooks.signatures import is_signed_body
from services.campaigns.repository.inbound import NewMessage
from services.campaigns.repository.receipts import NewReceipt

SIGNATURE = "x-hub-signature-256"
SECRET = "webhook_secret"
MAX_FIELDS = 50
REPLY = "reply"

Item = dict[str, Any]


def receipts(posted: Posted, sender: SenderOf) -> Understood:
    """Raises Unauthenticated, InvalidArgument."""
    check_signature(posted, sender)
    found = [receipt(item, at, sender, posted.now) for at, item in enumerate(items(posted, "receipts"))]
    return Understood(receipts=found)


def inbound(posted: Posted, sender: SenderOf) -> Understood:
    """Raises Unauthenticated, InvalidArgument."""
    check_signature(posted, sender)
    found = [message(item, at, sender, posted.now) for at, item in enumerate(items(posted, "messages"))]
    return Understood(messages=found)


def check_signature(posted: Posted, sender: SenderOf) -> None:
    """Raises Unauthenticated."""
    secret = sender.secrets.get(SECRET)
    if secret and not is_signed_body(posted.body, secret=secret, signature=posted.signatures.get(SIGNATURE, "")):
        raise errors.not_signed("X-Hub-Signature-256")


def items(posted: Posted, name: str) -> Sequence[Item]:
    """Raises InvalidArgument."""
    if posted.is_form:
        return [form(posted.body)]
    try:
        found = orjson.loads(posted.body)
    except orjson.JSONDecodeError as error:
        raise errors.invalid("", "The body is neither JSON nor a form.") from error
    listed = found.get(name) if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise errors.invalid(f"/{name}", f"{name} must be a list.")
    if len(listed) > MAX_ITEMS:
        raise errors.invalid(f"/{name}", f"At most {MAX_ITEMS} {name} at a time.")
    for at, item in enumerate(listed):
        if not isinstance(item, dict):
            raise errors.invalid(f"/{name}/{at}", "Must be an object.")
    return listed


def form(body: bytes) -> Item:
    """Raises InvalidArgument."""
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise errors.invalid("", f"The form has more than {MAX_FIELDS} fields.") from error


def receipt(item: Item, at: int, sender: SenderOf, now: datetime) -> NewReceipt:
    pointer = f"/receipts/{at}"
    try:
        status = Receipt(str(item.get("status")))
    except ValueError as error:
        raise errors.invalid(f"{pointer}/status", f"status must be one of {', '.join(Receipt)}.") from error
    return NewReceipt(
        sender_id=sender.id,
        provider_message_id=message_id(item, pointer),
        status=status,
        reason=optional(item, "reason", pointer, MAX_REASON),
        at=moment(item.get("at"), f"{pointer}/at", now),
    )


def message(item: Item, at: int, sender: SenderOf, now: datetime) -> NewMessage:
    pointer = f"/messages/{at}"
    address = optional(item, "from", pointer, MAX_ADDRESS).strip()
    if not address:
        raise errors.invalid(f"{pointer}/from", "from is needed.")
    return new_message(
        sender,
        name=message_id(item, pointer),
        address=address,
        to=optional(item, "to", pointer, MAX_ADDRESS),
        text=optional(item, "text", pointer, MAX_TEXT),
        at=moment(item.get("at"), f"{pointer}/at", now),
    )


def new_message(sender: SenderOf, *, name: str, address: str, to: str, text: str, at: datetime) -> NewMessage:
    return NewMessage(
        sender_id=sender.id,
        provider_message_id=name,
        id=ids.new(),
        channel=sender.channel,
        # A name or a short code is nobody's address: it stays as it is, and nobody is found by it.
        address=addresses.normalise(address, sender.channel, region=None) or address,
        to_address=to,
        text=text,
        word=meaning(text).value,
        source=REPLY,
        at=at,
    )


def message_id(item: Item, pointer: str) -> str:
    found = item.get("id")
    text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
    cleaned = clean(text, MAX_ID + 1)
    if not 1 <= len(cleaned) <= MAX_ID:
        raise errors.invalid(f"{pointer}/id", f"id must have 1 to {MAX_ID} characters.")
    return cleaned


def optional(item: Item, name: str, pointer: str, longest: int) -> str:
    found = item.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise errors.invalid(f"{pointer}/{name}", f"{name} must be a string.")
    return clean(found, longest)


def moment(given: object, pointer: str, now: datetime) -> datetime:
    """RFC 3339 with an offset; now where there is none. A provider's clock may run ahead."""
    if given is None or given == "":
        return now
    try:
        found = datetime.fromisoformat(str(given)).astimezone(UTC) if isinstance(given, str) else None
    except (ValueError, OverflowError):
        found = None
    if found is None or found.year < 2000:
        raise errors.invalid(pointer, "Must be an RFC 3339 time, 2026-03-01T09:00:00Z.")
    return min(found, now)
