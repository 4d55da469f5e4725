"""Rows and results of a batch, in JSON on the wire."""

from collections import Counter
from collections.abc import Sequence

import orjson

from carillon.contacts.v1 import bulk_pb2 as pb
from chassis import ids
from chassis.errors import InvalidArgument, Reason
from chassis.pointers import escaped
from formats import contact_json
from formats.contact_json import OBJECTS
from services.contacts import errors
from services.contacts.batch.resolve import Refusal, Result
from services.contacts.domain import limits
from services.contacts.domain.contact import FLAGS
from services.contacts.domain.problems import Refused, invalid
from services.contacts.intake import READERS

KINDS: dict[str, type] = {
    **dict.fromkeys(READERS.keys() - OBJECTS.values(), str),
    **dict.fromkeys(FLAGS, bool),
    **dict.fromkeys(OBJECTS, dict),
    "tags": list,
}
# Of a text before blanks around it are taken off: as long as in the OpenAPI.
SENT_CHARACTERS = dict.fromkeys(READERS.keys(), limits.TEXT_CHARACTERS) | {"email": limits.SENT_EMAIL_CHARACTERS}
# What the schema takes off a tag: Unicode's blanks. str.strip takes off four separators more.
BLANKS = "".join(one for one in map(chr, range(0x3001)) if one.isspace() and not "\x1c" <= one <= "\x1f")


def read_rows(body: bytes) -> list[object]:
    """Raises InvalidArgument for a body without 1 to 1,000 rows."""
    try:
        return rows_of(orjson.loads(body))
    except orjson.JSONDecodeError:
        pass
    # Outside of it: the decoder's error holds the body, for as long as somebody holds ours.
    raise InvalidArgument(Reason.INVALID_REQUEST, "The body is not JSON.")


def rows_of(batch: object) -> list[object]:
    rows = batch.get("contacts") if isinstance(batch, dict) and len(batch) == 1 else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= limits.BULK_IDS:
        raise errors.invalid([invalid("contacts", f"A batch is an object of 1 to {limits.BULK_IDS:,} contacts.")])
    return rows


def raw_patch(row: object) -> tuple[dict[str, object], list[str]]:
    """What intake.read_patch takes: the fields that are given, and those to clear.

    Raises Refused for all that the OpenAPI's schema of a row refuses and read_patch would not.
    """
    if not isinstance(row, dict):
        raise Refused(invalid("", "A contact is an object."))
    fields: dict[str, object] = row
    raw: dict[str, object] = {}
    clear: list[str] = []
    for name, value in fields.items():
        if name not in KINDS or not (value is None or isinstance(value, KINDS[name])):
            # A name that is none may be as long as the body, and the gateway tells all of it by itself.
            raise Refused(invalid(escaped(name[:64]), "A contact has no such field of that type."))
        if isinstance(value, str) and (len(value) > SENT_CHARACTERS[name] or "\0" in value):
            raise Refused(invalid(name, f"{name} has at most {SENT_CHARACTERS[name]} characters, of them no NUL."))
        if isinstance(value, list) and not (len(value) <= limits.TAGS and all(map(is_tag, value))):
            told = f"{name} are at most {limits.TAGS} texts of {limits.TAG_CHARACTERS} characters, of them no NUL."
            raise Refused(invalid(name, told))
        if value is None:
            clear.append(OBJECTS.get(name, name))
        elif name in OBJECTS:
            raw[OBJECTS[name]] = object_text(name, value)
        else:
            raw[name] = value
    return raw, clear


def is_tag(value: object) -> bool:
    """As the schema has it, but that an empty one is found where tags are read."""
    if not isinstance(value, str) or "\0" in value:
        return False
    return len(value) <= limits.TAG_CHARACTERS or len(value.strip(BLANKS)) <= limits.TAG_CHARACTERS


def object_text(name: str, value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # orjson reads over a thousand levels and writes 254.
        problem = invalid(name, f"{name} is nested deeper than {limits.METADATA_LEVELS} levels.")
    raise Refused(problem)


def answer(results: Sequence[Result | Refusal]) -> pb.UpsertBatchResponse:
    shown = [result_json(at, result) for at, result in enumerate(results)]
    counted = Counter("failed" if isinstance(result, Refusal) else result.outcome for result in results)
    return pb.UpsertBatchResponse(results_json=orjson.dumps(shown), **counted)


def result_json(at: int, result: Result | Refusal) -> dict[str, object]:
    if isinstance(result, Refusal):
        return contact_json.batch_row(at, "failed", error=error_json(at, result))
    contact = result.slot.after
    assert contact is not None
    return contact_json.batch_row(at, result.outcome, id=ids.encode("cnt", contact.id), version=contact.version)


def error_json(at: int, refusal: Refusal) -> dict[str, object]:
    refused = errors.invalid(refusal.problems)
    return contact_json.batch_error(
        refused.reason,
        refused.detail,
        errors=[(f"/contacts/{at}{one.pointer}", one.code, one.detail) for one in refused.violations],
        existing_ids=[ids.encode("cnt", one) for one in refusal.existing],
    )
