"""Phone numbers as this service keeps them; the rules are those of chassis.phones."""

from chassis import phones
from chassis.phones import REGIONS as REGIONS
from services.contacts.domain.contact import Phone


def read_phone(text: str, region: str | None = None) -> Phone | None:
    """The number, or None where the text is no phone number.

    region: ISO 3166-1 alpha-2, for numbers without a country code; such numbers are refused without it.
    """
    number = phones.normalise(text, region)
    if number is None:
        return None
    return Phone(number.e164, "valid" if number.valid else "invalid", number.region)
