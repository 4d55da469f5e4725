"""What a phone number may look like before a numbering plan is asked."""

import re
import unicodedata

# Everything of this form is accepted, assigned or not: a plan's verdict only sets the validity.
E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)

# Spaces of all kinds, hyphens and dashes, dots, parentheses, slashes: how people group digits.
GROUPING = re.compile(r"[\s().\-/\u00b7\u200b-\u200f\u2010-\u2015\u202a-\u202e\u2060\u2066-\u2069\u2212\ufeff]+")
# "+44 (0)20 …": the zero is for callers inside the country.
TRUNK_ZERO = re.compile(r"^((?:\+|00)[\s().\-]*[1-9][0-9]{0,2})[\s.\-]*\(0\)", re.ASCII)
# What a spreadsheet makes of a number column.
SPREADSHEET_FRACTION = re.compile(r"^\+?[0-9]{7,}\.0$", re.ASCII)
DIGITS = re.compile(r"\+?[0-9]{2,24}", re.ASCII)
MAX_CHARACTERS = 64


def is_e164(text: str) -> bool:
    return E164.fullmatch(text) is not None


def compact(text: str) -> str | None:
    """The digits of a phone as typed, with a leading `+` if there was one; None where it is no phone number.

    Letters are refused, so that neither an extension nor a vanity number is dialled by mistake.
    """
    if is_e164(text):
        return text
    if len(text) > MAX_CHARACTERS:
        return None
    if not text.isascii():
        text = "".join(map(plain_character, text))
    text = text.strip().removeprefix("'").removeprefix("tel:")
    if SPREADSHEET_FRACTION.match(text):
        text = text[:-2]
    text = GROUPING.sub("", TRUNK_ZERO.sub(r"\1", text))
    return text if DIGITS.fullmatch(text) else None


def plain_character(character: str) -> str:
    """A digit of any script as 0 to 9, a full-width sign as the usual one."""
    digit = unicodedata.decimal(character, None)
    return unicodedata.normalize("NFKC", character) if digit is None else str(digit)


def international(compacted: str) -> str | None:
    """The E.164 form of a compacted number that carries its country code (`+…` or `00…`), else None."""
    if compacted.startswith("00"):
        compacted = "+" + compacted[2:]
    return compacted if is_e164(compacted) else None
