"""Countries by their names, in the languages that the phone library knows them in."""

import re
import unicodedata
from functools import cache

# What people write and no list of names has.
USUAL = {
    "usa": "US",
    "unitedstatesofamerica": "US",
    "america": "US",
    "uk": "GB",
    "greatbritain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "grossbritannien": "GB",
    "holland": "NL",
    "uae": "AE",
    "korea": "KR",
    "southkorea": "KR",
    "russia": "RU",
    "vietnam": "VN",
    "czechia": "CZ",
    "turkiye": "TR",
    "deutschland": "DE",
}


def code_of(name: str) -> str | None:
    """ISO 3166-1 alpha-2; None where the name is unknown."""
    return codes_by_name().get(folded(name))


def folded(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold()).replace("ı", "i")
    return re.sub(r"[\W_]+", "", "".join(sign for sign in decomposed if not unicodedata.combining(sign)))


@cache
def codes_by_name() -> dict[str, str]:
    # The names of 250 countries in a hundred languages take a while to load, and most files have codes.
    from phonenumbers.geodata.locale import LOCALE_DATA

    found: dict[str, str] = {}
    for code, names in LOCALE_DATA.items():
        # `*en` stands for the name in another language.
        for name in names.values():
            if name and not name.startswith("*"):
                found.setdefault(folded(name), code)
    return found | USUAL
