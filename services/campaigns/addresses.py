"""Phones and emails as they are sent to and told apart."""

import re

import email_validator
import phonenumbers

from services.campaigns.domain.audience import Channel

E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
# Spaces, hyphens and dashes, dots, parentheses, slashes: how people group digits.
GROUPING = re.compile(r"[\s().\-/\u00b7\u200b-\u200f\u2010-\u2015\u202a-\u202e\u2060\u2212\ufeff]+")
DIGITS = re.compile(r"\+?[0-9]{2,24}", re.ASCII)
MAX_PHONE = 64
MAX_EMAIL = 254
PLAIN_EMAIL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([a-z0-9-]+\.)+[a-z0-9-]{2,}")


def normalise(text: str, channel: Channel, *, region: str | None) -> str | None:
    """The address in the one form in which it is sent to; None where it is none.

    region: ISO 3166-1 alpha-2, for phones in national form, which are refused without it.
    """
    return email(text) if channel is Channel.EMAIL else phone(text, region)


def phone(text: str, region: str | None) -> str | None:
    """E.164. Assigned or not is not asked, as for contacts."""
    if E164.fullmatch(text):
        return text
    if len(text) > MAX_PHONE:
        return None
    compacted = GROUPING.sub("", text.strip().removeprefix("'").removeprefix("tel:"))
    if not DIGITS.fullmatch(compacted):
        return None
    if compacted.startswith("00"):
        compacted = "+" + compacted[2:]
    if compacted.startswith("+"):
        return compacted if E164.fullmatch(compacted) else None
    return None if region is None else national(compacted, region)


def national(digits: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164 if E164.fullmatch(e164) else None


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
