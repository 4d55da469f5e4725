"""Real mobile number ranges by country, found by asking libphonenumber's metadata."""

from dataclasses import dataclass
from functools import cache
from random import Random

import phonenumbers
from phonenumbers import PhoneNumberType

# The last digits that vary inside a range: a range of 5 holds 100,000 numbers.
FREE_DIGITS = 5
RANGES_PER_COUNTRY = 12
_PROBES = 4
_MOBILE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


@dataclass(frozen=True, slots=True)
class Country:
    region: str
    calling_code: int
    # National prefixes, each followed by FREE_DIGITS free digits.
    prefixes: tuple[str, ...]

    def number(self, rng: Random) -> str:
        """A random number in E.164; nearly always one that libphonenumber calls valid."""
        prefix = rng.choice(self.prefixes)
        return f"+{self.calling_code}{prefix}{rng.randrange(10**FREE_DIGITS):0{FREE_DIGITS}d}"


@cache
def country(region: str) -> Country:
    """The mobile ranges of an ISO region; the same on every call and in every process."""
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    if example is None or example.country_code is None:
        raise ValueError(f"no example number for {region}")
    national = phonenumbers.national_significant_number(example)
    rng = Random(region)
    prefixes = {national[:-FREE_DIGITS]}
    for _ in range(RANGES_PER_COUNTRY * 6):
        if len(prefixes) == RANGES_PER_COUNTRY:
            break
        prefix = _mutate(national[:-FREE_DIGITS], rng)
        if _holds(prefix, example.country_code, rng):
            prefixes.add(prefix)
    return Country(region, example.country_code, tuple(sorted(prefixes)))


def _mutate(prefix: str, rng: Random) -> str:
    kept = rng.randint(1, max(1, len(prefix) - 1))
    return prefix[:kept] + "".join(rng.choice("0123456789") for _ in prefix[kept:])


def _holds(prefix: str, calling_code: int, rng: Random) -> bool:
    """Whether random numbers of the range are valid mobiles."""
    for _ in range(_PROBES):
        digits = f"{prefix}{rng.randrange(10**FREE_DIGITS):0{FREE_DIGITS}d}"
        number = phonenumbers.PhoneNumber(
            country_code=calling_code, national_number=int(digits), italian_leading_zero=digits.startswith("0") or None
        )
        if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) not in _MOBILE:
            return False
    return True
