"""Phone numbers as people type them, in E.164, held against the world's numbering plans.

Two ports of libphonenumber are asked: the Rust one, which is some ten times faster, and `phonenumbers`, which is the
judge. The Rust one's "valid" counts by itself except for the calling codes in DISPUTED; its "invalid" never does.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import phonenumbers
import rphonenumbers

# Everything of this form is accepted, assigned or not: a plan's verdict only sets the validity.
E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)

# Spaces of all kinds, hyphens and dashes, dots, parentheses, slashes: how people group digits.
GROUPING = re.compile(r"[\s().\-/\u00b7\u200b-\u200f\u2010-\u2015\u202a-\u202e\u2060\u2066-\u2069\u2212\ufeff]+")
# The ASCII ones of these, for the way that costs least.
PLAIN_GROUPING = {code: None for code in range(128) if GROUPING.match(chr(code))}
# The same but for what parts the texts of a whole column.
GROUPING_IN_COLUMN = {code: None for code in PLAIN_GROUPING if code != ord("\n")}
TRUNK_ZERO_SIGN = "(0)"
# "+44 (0)20 …": the zero is for callers inside the country.
TRUNK_ZERO = re.compile(r"^((?:\+|00)[\s().\-]*[1-9][0-9]{0,2})[\s.\-]*\(0\)", re.ASCII)
# What a spreadsheet makes of a number column.
SPREADSHEET_FRACTION = re.compile(r"^\+?[0-9]{7,}\.0$", re.ASCII)
# "4.915123456789E+12": the digits are there as long as none was rounded away.
SPREADSHEET_POWER = re.compile(r"(\+?[0-9])(?:[.,]([0-9]*))?E\+?([0-9]{1,2})$", re.ASCII | re.IGNORECASE)
DIGITS = re.compile(r"\+?[0-9]{2,24}", re.ASCII)
MAX_CHARACTERS = 64

# Calling codes whose plans differ between the two releases: Denmark gave up 37…, Saint Helena is missing in one.
DISPUTED = frozenset({45, 290})
NON_GEOGRAPHIC = "001"
RUST_E164: Any = rphonenumbers.PhoneNumberFormat.E164
REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)
# A whole number without its + is taken for one only from this length on: shorter ones are national in too many places.
BARE_DIGITS = 11
MOBILES = frozenset({phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE})

DIGITS_LOST = (
    "Invalid phone format: a spreadsheet rounded the number to a power of ten and its last digits are lost; format the "
    "column as text, fill it anew and save again"
)
PLUS_LOST = "Invalid phone format: without + and country code, or a default_region, nobody can tell whose number it is"


class Phone(NamedTuple):
    e164: str
    # Whether a numbering plan knows it.
    valid: bool
    # ISO 3166-1 alpha-2; None for numbers of no country.
    region: str | None


def normalise(text: str, default_region: str | None = None) -> Phone | None:
    """The number, or None where the text is no phone number.

    default_region: ISO 3166-1 alpha-2, for numbers without a country code. Digits without a + are read as dialled there
    first; then, as spreadsheets take the + for a sign and drop it, as a whole number where the plan of its country
    knows it. Where both are known numbers, a whole mobile number comes before a national landline. Without a region
    a whole number of 11 digits or more is taken where it is no mobile number of another country as well.
    """
    if is_e164(text):
        return read_e164(text)
    compacted = compact(text)
    if compacted is None:
        return None
    if compacted[0] == "+":
        return read_international(compacted)
    if not default_region:
        return read_international(compacted) or read_bare(compacted)
    return read_national(compacted, default_region)


def read_national(digits: str, region: str) -> Phone | None:
    """As dialled in the region, or a whole number whose + is lost."""
    national = judge(digits, region)
    if (
        national is not None
        and national.valid
        and (digits[0] == "0" or len(digits) < BARE_DIGITS or is_mobile(national))
    ):
        return national
    whole = read_whole(digits)
    if national is not None and national.valid:
        return whole if whole is not None and is_mobile(whole) else national
    return read_international(digits) or whole or national


def read_bare(digits: str) -> Phone | None:
    """A whole number whose + is lost, where nothing says in which country it might have been national."""
    whole = read_whole(digits) if len(digits) >= BARE_DIGITS else None
    if whole is None:
        return None
    for region in regions_by_mobile_length().get(len(digits), ()):
        # The judge would be asked for nearly every number: what the fast one does not know as valid is seldom so.
        national = ask_rust(digits, region)
        if national is not None and national.e164 != whole.e164 and is_mobile(national):
            return None
    return whole


def read_whole(digits: str) -> Phone | None:
    """The number that begins with its country code, where its country's plan knows it."""
    whole = read_international(f"+{digits}")
    return whole if whole is not None and whole.valid else None


def is_mobile(phone: Phone) -> bool:
    """Of a valid one; also where the plan does not tell, as in North America."""
    return int(rphonenumbers.number_type(rphonenumbers.parse(phone.e164, None))) in MOBILES


@cache
def regions_by_mobile_length() -> dict[int, list[str]]:
    """How many digits a mobile number has, as dialled in each region without its trunk prefix."""
    by_length: dict[int, list[str]] = {}
    for region in sorted(REGIONS):
        plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
        if plan is None or plan.mobile is None or plan.general_desc is None:
            continue
        # Where all numbers are as long, the lengths stand with the plan alone.
        for length in plan.mobile.possible_length or plan.general_desc.possible_length:
            by_length.setdefault(length, []).append(region)
    return by_length


def fault(text: str, default_region: str | None = None) -> str | None:
    """What happened to a text that is no phone number, where that can be told; for a person."""
    text = text.strip()
    if SPREADSHEET_POWER.fullmatch(text):
        return DIGITS_LOST
    compacted = compact(text)
    if compacted and not default_region and compacted[0] not in "+0" and len(compacted) >= BARE_DIGITS - 1:
        return PLUS_LOST
    return None


def is_e164(text: str) -> bool:
    return E164.fullmatch(text) is not None


def compact(text: str) -> str | None:
    """The digits of a phone as typed, with a leading `+` if there was one; None where it is no phone number.

    Letters are refused, so that neither an extension nor a vanity number is dialled by mistake.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    if not text.isascii():
        text = "".join(map(plain, text))
    text = text.strip().removeprefix("'").removeprefix("tel:")
    if text.endswith(".0") and SPREADSHEET_FRACTION.match(text):
        text = text[:-2]
    if "E" in text or "e" in text:
        text = SPREADSHEET_POWER.sub(without_power, text)
    if TRUNK_ZERO_SIGN in text:
        text = TRUNK_ZERO.sub(r"\1", text)
    text = text.translate(PLAIN_GROUPING) if text.isascii() else GROUPING.sub("", text)
    return text if DIGITS.fullmatch(text) else None


def without_power(match: re.Match[str]) -> str:
    """All the digits where there are as many as the power says, else what it was."""
    digits, rest, power = match.groups(default="")
    return digits + rest if len(rest) == int(power) else match[0]


def compact_all(texts: Sequence[str]) -> list[str | None]:
    """Of each text `compact` where that is in E.164 form, at a fraction of the cost; None where it was not looked."""
    matched = E164.fullmatch
    texts = list(map(str.strip, texts))
    found = [text if matched(text) else None for text in texts]
    # In these a blank or a dot may be more than grouping, or something else is to be done.
    left = [
        at
        for at, compacted in enumerate(found)
        if compacted is None
        and (text := texts[at]).isascii()
        and len(text) <= MAX_CHARACTERS
        and TRUNK_ZERO_SIGN not in text
        and not text.endswith(".0")
    ]
    whole = "\n".join([texts[at] for at in left]).translate(GROUPING_IN_COLUMN).split("\n")
    # Not where a text had a line end of its own.
    if len(whole) == len(left):
        for at, compacted in zip(left, whole, strict=True):
            if matched(compacted):
                found[at] = compacted
    return found


def plain(character: str) -> str:
    """Digits of every script as ours, wide and superscript forms as their plain ones."""
    digit = unicodedata.decimal(character, None)
    return unicodedata.normalize("NFKC", character) if digit is None else str(digit)


def international(compacted: str) -> str | None:
    """The E.164 form of a compacted number that carries its country code (`+…` or `00…`), else None."""
    if compacted.startswith("00"):
        compacted = "+" + compacted[2:]
    return compacted if is_e164(compacted) else None


def read_international(compacted: str) -> Phone | None:
    e164 = international(compacted)
    return None if e164 is None else read_e164(e164)


def read_e164(e164: str) -> Phone:
    trusted = ask_rust(e164, None)
    if trusted is not None:
        return trusted
    judged = ask_judge(e164, None)
    if judged is not None and judged.valid:
        return judged
    return Phone(e164, valid=False, region=judged.region if judged is not None else None)


def judge(text: str, region: str | None) -> Phone | None:
    return ask_rust(text, region) or ask_judge(text, region)


def ask_rust(text: str, region: str | None) -> Phone | None:
    """Only what it is trusted with: a valid number of a plan that is not disputed. Once a row: no layers here."""
    try:
        number = rphonenumbers.parse(text, region)
    except rphonenumbers.NumberParseException:
        return None
    if not rphonenumbers.is_valid_number(number) or number.country_code in DISPUTED:
        return None
    e164 = rphonenumbers.format_number(number, RUST_E164)
    # Most come as they are written, and without a region only what is of this form is asked for.
    if (e164 != text or region is not None) and not is_e164(e164):
        return None
    return Phone(e164, True, country_of(rphonenumbers.region_code_for_number(number)))


def ask_judge(text: str, region: str | None) -> Phone | None:
    """None where the text cannot be a number."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not is_e164(e164):
        return None
    # As is_valid_number does it, which would look for the region once more.
    region = phonenumbers.region_code_for_number(number)
    valid = region is not None and phonenumbers.is_valid_number_for_region(number, region)
    return Phone(e164, valid, country_of(region))


def country_of(region: str | None) -> str | None:
    return None if region == NON_GEOGRAPHIC else region
