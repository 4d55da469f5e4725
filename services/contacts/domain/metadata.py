"""Custom data of a contact: a JSON object, bounded, merged by key."""

import json
from typing import Any

import orjson

from services.contacts.domain import limits
from services.contacts.domain.problems import Problem, Refused, invalid

Json = dict[str, Any]
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def parse(text: str, *, field: str) -> Json:
    """A JSON object that Postgres can store. Raises Refused.

    Refused are NaN and infinities, NUL characters, lone surrogates, more than 16 KiB or 5 levels.
    """
    if len(text.encode()) > limits.METADATA_BYTES:
        raise Refused(too_large(field))
    try:
        value = json.loads(text, parse_constant=reject_constant, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise Refused(invalid(field, f"{field} is not a JSON object.")) from error
    if not isinstance(value, dict):
        raise Refused(invalid(field, f"{field} is not a JSON object."))
    check(value, field=field)
    return value


def check(value: Json, *, field: str) -> None:
    """Raises Refused where the object is over a limit or holds text that cannot be stored."""
    if levels(value) > limits.METADATA_LEVELS:
        raise Refused(invalid(field, f"{field} is nested deeper than {limits.METADATA_LEVELS} levels."))
    try:
        size = len(dump(value).encode())
    except UnicodeEncodeError as error:
        raise Refused(invalid(field, f"{field} has a character that is not valid Unicode.")) from error
    if size > limits.METADATA_BYTES:
        raise Refused(too_large(field))
    if has_nul(value):
        raise Refused(invalid(field, f"{field} has a NUL character."))


def check_texts(value: dict[str, str]) -> Json:
    """A flat object of texts, as a row of a file gives it; itself. Raises Refused."""
    everything = "".join([*value, *value.values()])
    if not fits(len(everything), len(value)) or "\0" in everything:
        check(value, field="metadata")
    return value


def fits(characters: int, keys: int) -> bool:
    """Whether a flat object of texts cannot be too large, whatever is in it."""
    # A character takes at most six bytes (as a control), a key and its value six signs besides.
    return 6 * (characters + keys) <= limits.METADATA_BYTES


def merge(present: Json, patch: Json) -> Json:
    """By key: a null drops it, any other value replaces it whole. Raises Refused when it grows too large."""
    if not present and None not in patch.values():
        return patch
    merged = {key: value for key, value in (present | patch).items() if patch.get(key, value) is not None}
    check(merged, field="metadata")
    return merged


def load(stored: str) -> Json:
    """What `dump` wrote and Postgres gave back."""
    value: Json = json.loads(stored)
    return value


def dump(value: Json) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits, lone surrogates: rare, and not worth the time of every row of a file.
        return ENCODER.encode(value)


def too_large(field: str) -> Problem:
    return invalid(field, f"{field} is larger than {limits.METADATA_BYTES // 1024} KiB.")


def levels(value: object) -> int:
    """How deep objects and arrays are nested; 0 for a plain value."""
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(levels, value), default=0)
    return 0


def has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(has_nul, value))


def reject_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is out of range")
    return number
