"""Phones and emails as they are sent to and told apart."""

import re

import email_validator

from formats import phones
from services.campaigns.domain.audience import Channel

MAX_EMAIL = 254
PLAIN_EMAIL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([a-z0-9-]+\.)+[a-z0-9-]{2,}")


def normalise(text: str, channel: Channel, *, region: str | None) -> str | None:
    """The address in the one form in which it is sent to; None where it is none.

    region: ISO 3166-1 alpha-2, for phones in national form, which are refused without it.
    """
    if channel is Channel.EMAIL:
        return email(text)
    # No numbering plan need be asked of a number that is whole.
    if phones.is_e164(text):
        return text
    phone = phones.normalise(text, region)
    return None if phone is None else phone.e164


def email(text: str) -> str | None:
    """Folded: mail providers do not tell cases apart, so that two spellings are one recipient."""
    address = text.strip().lower()
    if len(address) > MAX_EMAIL:
        return None
    if PLAIN_EMAIL.fullmatch(address):
        return address
    try:
        found = email_validator.validate_email(address, check_deliverability=False, test_environment=True)
    except email_validator.EmailNotValidError:
        return None
    return found.normalized
