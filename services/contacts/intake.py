"""What clients and files send, checked and normalised into a Patch; every field at fault is named at once."""

from collections.abc import Callable, Iterable, Mapping

from services.contacts.addresses import read_email
from services.contacts.domain import countries, limits, metadata, names, tags
from services.contacts.domain.contact import FLAGS, TEXTS, Email, Patch, Phone
from services.contacts.domain.problems import Problem, Refused, invalid
from services.contacts.numbering import REGIONS, read_phone

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
    if region not in REGIONS:
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
        try:
            if name == "phone":
                sets["phone"] = phone(str(value), region)
            else:
                sets.update(READERS[name](name, value))
        except Refused as refused:
            problems.extend(refused.problems)
    if problems:
        raise Refused(*problems)
    if "name" in sets:
        write_name(sets, given=raw)
    return Patch(sets)


def phone(value: str, region: str | None) -> Phone | None:
    if not value.strip():
        return None
    number = read_phone(value, region)
    if number is None:
        raise Refused(Problem("/phone", "invalid_phone", INVALID_PHONE))
    return number


def email(name: str, value: object) -> dict[str, Email | None]:
    text = str(value)
    address = read_email(text)
    if address is None and text.strip():
        raise Refused(Problem("/email", "invalid_email", INVALID_EMAIL))
    return {"email": address}


def text(name: str, value: object) -> dict[str, str | None]:
    limit = limits.NAME_CHARACTERS if name in ("name", "first_name", "last_name") else limits.TEXT_CHARACTERS
    cleaned = str(value).strip()
    if len(cleaned) > limit:
        raise Refused(invalid(name, f"{name} has at most {limit} characters."))
    if "\0" in cleaned:
        raise Refused(invalid(name, f"{name} has a NUL character."))
    return {name: cleaned or None}


def country(name: str, value: object) -> dict[str, str | None]:
    if not str(value).strip():
        return {"given_country": None}
    code = countries.clean(str(value))
    if code is None:
        raise Refused(invalid("country", "country is not an ISO 3166-1 alpha-2 code."))
    return {"given_country": code}


def tag_set(name: str, value: object) -> dict[str, list[str]]:
    assert isinstance(value, list)
    return {"tags": tags.clean(value)}


def json_object(name: str, value: object) -> dict[str, object]:
    field = name.removesuffix("_json")
    return {field: metadata.parse(str(value), field=field)}


def metadata_object(name: str, value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    metadata.check(value, field=name)
    return {name: value}


def flag(name: str, value: object) -> dict[str, bool]:
    return {name: bool(value)}


READERS: dict[str, Callable[[str, object], Mapping[str, object]]] = {
    **dict.fromkeys(TEXTS, text),
    **dict.fromkeys(FLAGS, flag),
    "name": text,
    "email": email,
    "country": country,
    "tags": tag_set,
    "metadata_json": json_object,
    "current_campaign_data_json": json_object,
    # As a file's columns give it.
    "metadata": metadata_object,
}


def write_name(sets: dict[str, object], *, given: Mapping[str, object]) -> None:
    """Split `name` into its parts, unless a part was given by itself."""
    name = sets.pop("name")
    if "first_name" not in given and "last_name" not in given:
        sets["first_name"], sets["last_name"] = names.split(str(name or ""))
