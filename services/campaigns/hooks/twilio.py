"""What Twilio and those who speak its language post: a form for each status and each message, signed with the token.

JSON is understood too, with the same names, signed over the URL with the body's hash in it.
"""

from typing import Any
from urllib.parse import parse_qsl

import orjson

from services.campaigns import errors
from services.campaigns.domain.audience import Channel
from services.campaigns.domain.recipient import Receipt
from services.campaigns.hooks.generic import new_message
from services.campaigns.hooks.request import (
    MAX_ADDRESS,
    MAX_ID,
    MAX_REASON,
    MAX_TEXT,
    Posted,
    SenderOf,
    Understood,
    clean,
)
from services.campaigns.hooks.signatures import is_signed_form, is_signed_json
from services.campaigns.repository.receipts import NewReceipt

SIGNATURE = "x-twilio-signature"
SECRET = "auth_token"
MAX_FIELDS = 200
# What they say of a message that is not on its way any more; anything else is on its way.
STATUSES = {
    "delivered": Receipt.DELIVERED,
    "read": Receipt.OPENED,
    "undelivered": Receipt.FAILED,
    "failed": Receipt.FAILED,
    "canceled": Receipt.FAILED,
}
# No instructions: nothing is answered to whoever wrote.
NOTHING_TO_SAY = b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'


def receipts(posted: Posted, sender: SenderOf) -> Understood:
    """Raises Unauthenticated, InvalidArgument."""
    fields = signed_fields(posted, sender)
    name = identifier(fields)
    status = STATUSES.get(fields.get("MessageStatus", fields.get("SmsStatus", "")).lower())
    if status is None:
        return Understood()
    code = clean(fields.get("ErrorCode", ""), MAX_REASON)
    reason = f"provider_error_{code}" if status is Receipt.FAILED and code.isalnum() else ""
    return Understood(receipts=[NewReceipt(sender.id, name, status, reason, posted.now)])


def inbound(posted: Posted, sender: SenderOf) -> Understood:
    """Raises Unauthenticated, InvalidArgument."""
    fields = signed_fields(posted, sender)
    address = unprefixed(fields.get("From", ""), sender.channel)
    if not address:
        raise errors.invalid("/From", "From is needed.")
    made = new_message(
        sender,
        name=identifier(fields),
        address=address,
        to=unprefixed(fields.get("To", ""), sender.channel),
        text=clean(fields.get("Body", ""), MAX_TEXT),
        at=posted.now,
    )
    return Understood(messages=[made], answer=NOTHING_TO_SAY, content_type="text/xml")


def signed_fields(posted: Posted, sender: SenderOf) -> dict[str, str]:
    """Raises Unauthenticated where the signature is missing or wrong, InvalidArgument."""
    secret, signature = str(sender.secrets.get(SECRET, "")), posted.signatures.get(SIGNATURE, "")
    if posted.is_form:
        form = read_form(posted.body)
        right = is_signed_form(posted.url, form, secret=secret, signature=signature)
    else:
        form = []
        right = is_signed_json(posted.url, posted.body, secret=secret, signature=signature)
    if not secret or not right:
        raise errors.not_signed("X-Twilio-Signature")
    return dict(form) if posted.is_form else read_json(posted.body)


def read_form(body: bytes) -> list[tuple[str, str]]:
    """Raises InvalidArgument."""
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise errors.invalid("", f"The form has more than {MAX_FIELDS} fields.") from error


def read_json(body: bytes) -> dict[str, str]:
    """Raises InvalidArgument."""
    try:
        found: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.invalid("", "The body is neither JSON nor a form.") from error
    if not isinstance(found, dict):
        raise errors.invalid("", "The body must be an object.")
    return {name: str(value) for name, value in found.items() if isinstance(value, str | int)}


def identifier(fields: dict[str, str]) -> str:
    found = clean(fields.get("MessageSid", fields.get("SmsSid", "")), MAX_ID + 1)
    if not 1 <= len(found) <= MAX_ID:
        raise errors.invalid("/MessageSid", f"MessageSid must have 1 to {MAX_ID} characters.")
    return found


def unprefixed(address: str, channel: Channel) -> str:
    """`whatsapp:+1…` is how they write the numbers of a channel other than SMS."""
    return clean(address, MAX_ADDRESS).strip().removeprefix(f"{channel}:")
