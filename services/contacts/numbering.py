"""Phone numbers held against the world's numbering plans.

Two ports of libphonenumber are asked: the Rust one, which is some ten times faster, and `phonenumbers`, which is the
judge. The Rust one's "valid" counts by itself except for the calling codes in DISPUTED; its "invalid" never does.
tests/unit/contacts/test_numbering.py keeps the list of disputes honest.
"""

from typing import Any

import phonenumbers
import rphonenumbers

from services.contacts.domain import phones
from services.contacts.domain.contact import Phone, Validity

# Calling codes whose plans differ between the two releases: Denmark gave up 37…, Saint Helena is missing in one.
DISPUTED = frozenset({45, 290})
NON_GEOGRAPHIC = "001"
REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)


def read_phone(text: str, region: str | None = None) -> Phone | None:
    """The number in E.164 with its validity and country, or None where it is no phone number.

    region: ISO 3166-1 alpha-2, for numbers without a country code; such numbers are refused without it.
    """
    compacted = phones.compact(text)
    if compacted is None:
        return None
    if compacted[0] != "+" and region is not None:
        national = judge(compacted, region)
        if national is not None and national.validity == "valid":
            return national
        return read_international(compacted) or national
    return read_international(compacted)


def read_international(compacted: str) -> Phone | None:
    e164 = phones.international(compacted)
    if e164 is None:
        return None
    judged = judge(e164, None)
    if judged is not None and judged.validity == "valid":
        return judged
    return Phone(e164, "invalid", judged.country if judged is not None else None)


def judge(text: str, region: str | None) -> Phone | None:
    fast = ask(rphonenumbers, text, region)
    if fast is not None and fast[1].validity == "valid" and fast[0] not in DISPUTED:
        return fast[1]
    slow = ask(phonenumbers, text, region)
    return None if slow is None else slow[1]


def ask(library: Any, text: str, region: str | None) -> tuple[int, Phone] | None:
    """Calling code and number; None where the text cannot be a number there."""
    try:
        number = library.parse(text, region)
    except library.NumberParseException:
        return None
    e164 = library.format_number(number, library.PhoneNumberFormat.E164)
    if not phones.is_e164(e164):
        return None
    validity: Validity = "valid" if library.is_valid_number(number) else "invalid"
    country = library.region_code_for_number(number)
    return number.country_code, Phone(e164, validity, None if country == NON_GEOGRAPHIC else country)
