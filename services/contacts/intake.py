"""What clients and files send, checked and normalised into a Patch; every field at fault is named at once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from formats import phones
from services.contacts.addresses import read_email
from services.contacts.domain import countries, limits, metadata, names, tags
from services.contacts.domain.contact import FLAGS, TEXTS, Email, Patch
from services.contacts.domain.problems import Problem, Refused, invalid

INVALID_PHONE = "Invalid phone format"
INVALID_EMAIL = "Invalid email format"

# Names that `clear` may hold → columns of the patch.
CLEARABLE: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in (*TEXTS, *FLAGS, "phone", "email", "tags")},
    "name": ("first_name", "last_name"),
    "country": ("given_country",),
    "metadata_json": ("metadata",),
    "current_campaign_data_json": ("current_campaign_data",),
}


def read_region(text: str) -> str | None:
    """A default region for national phones; None where none was given. Raises Refused."""
    region = text.strip().upper()
    if not region:
        return None
    if region not in phones.REGIONS:
        raise Refused(invalid("default_region", f"{text[:16]!r} is not an ISO 3166-1 alpha-2 code with phone numbers."))
    return region


def read_patch(raw: Mapping[str, object], *, clear: Iterable[str] = (), region: str | None = None) -> Patch:
    """raw: fields as in ContactPatch, present ones only; an empty text clears. Raises Refused with every problem."""
    sets: dict[str, object] = {}
    problems: list[Problem] = []
    for name in clear:
        if name in CLEARABLE:
            sets.update(dict.fromkeys(CLEARABLE[name]))
        else:
            problems.append(invalid("clear", f"{name[:64]!r} is not a field that can be cleared."))
    for name, value in raw.items():
        column, read = READERS[name]
        try:
            sets[column] = read(value) if name != "phone" else phone(value, region)
        except Refused as refused:
            problems.extend(refused.problems)
    if problems:
        raise Refused(*problems)
    if "name" in sets:
        write_name(sets, given=raw)
    return Patch(sets)


def phone(value: Any, region: str | None) -> phones.Phone | None:
    number = phones.normalise(value, region)
    if number is None and value.strip():
        raise Refused(Problem("/phone", "invalid_phone", phones.fault(value, region) or INVALID_PHONE))
    return number


def email(value: Any) -> Email | None:
    address = read_email(value)
    if address is None and value.strip():
        raise Refused(Problem("/email", "invalid_email", INVALID_EMAIL))
    return address


def text(field: str, *, limit: int = limits.TEXT_CHARACTERS) -> Callable[[Any], str | None]:
    """Reads a short text: trimmed, None when nothing is left."""

    def read(value: Any) -> str | None:
        cleaned: str = value.strip()
        if len(cleaned) > limit:
            raise Refused(invalid(field, f"{field} has at most {limit} characters."))
        if "\0" in cleaned:
            raise Refused(invalid(field, f"{field} has a NUL character."))
        return cleaned or None

    return read


def country(value: Any) -> str | None:
    if not value.strip():
        return None
    code = countries.clean(value)
    if code is None:
        raise Refused(invalid("country", "country is not an ISO 3166-1 alpha-2 code."))
    return code


def json_object(field: str) -> Callable[[Any], metadata.Json]:
    return lambda value: metadata.parse(value, field=field)


# Short texts, which are taken as they are but for blanks around them, and how long they may be.
TEXT_LIMITS = dict.fromkeys(TEXTS, limits.TEXT_CHARACTERS) | dict.fromkeys(
    ("name", "first_name", "last_name"), limits.NAME_CHARACTERS
)
# Field of the patch → the column it writes and what reads it.
READERS: dict[str, tuple[str, Callable[[Any], object]]] = {
    **{name: (name, text(name, limit=limit)) for name, limit in TEXT_LIMITS.items()},
    **{name: (name, bool) for name in FLAGS},
    "phone": ("phone", phones.normalise),
    "email": ("email", email),
    "country": ("given_country", country),
    "tags": ("tags", tags.clean),
    "metadata_json": ("metadata", json_object("metadata")),
    "current_campaign_data_json": ("current_campaign_data", json_object("current_campaign_data")),
}


def write_name(sets: dict[str, object], *, given: Mapping[str, object]) -> None:
    """Split `name` into its parts, unless a part was given by itself."""
    name = sets.pop("name")
    if "first_name" not in given and "last_name" not in given:
        sets["first_name"], sets["last_name"] = names.split(str(name or ""))
