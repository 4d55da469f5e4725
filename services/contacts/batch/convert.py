"""Rows and results of a batch, in JSON on the wire."""

from collections import Counter
from collections.abc import Mapping, Sequence

import orjson

from carillon.contacts.v1 import bulk_pb2 as pb
from chassis import ids
from chassis.pointers import escaped
from formats import contact_json
from formats.contact_json import OBJECTS
from services.contacts import errors
from services.contacts.batch.resolve import Refusal, Result
from services.contacts.domain.contact import FLAGS
from services.contacts.domain.problems import Refused, invalid
from services.contacts.intake import READERS

# None where a row is left out.
RawRow = Mapping[str, object] | None

KINDS: dict[str, type] = {
    **dict.fromkeys(READERS.keys() - OBJECTS.values(), str),
    **dict.fromkeys(FLAGS, bool),
    **dict.fromkeys(OBJECTS, dict),
    "tags": list,
}


def read_rows(text: bytes) -> list[RawRow]:
    """Raises InvalidArgument."""
    try:
        rows = orjson.loads(text)
    except orjson.JSONDecodeError:
        rows = None
    if not isinstance(rows, list) or not all(row is None or isinstance(row, dict) for row in rows):
        raise errors.invalid([invalid("contacts", "Rows are a JSON array of objects.")])
    return rows


def raw_patch(row: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """What intake.read_patch takes: the fields that are given, and those to clear. Raises Refused."""
    raw: dict[str, object] = {}
    clear: list[str] = []
    for name, value in row.items():
        if name not in KINDS or not (value is None or isinstance(value, KINDS[name])):
            raise Refused(invalid(escaped(name), "A contact has no such field of that type."))
        if value is None:
            clear.append(OBJECTS.get(name, name))
        elif name in OBJECTS:
            raw[OBJECTS[name]] = orjson.dumps(value).decode()
        else:
            raw[name] = value
    return raw, clear


def answer(rows: Sequence[RawRow], results: Sequence[Result | Refusal]) -> pb.UpsertContactsResponse:
    """results: of the rows that were not left out."""
    of_rows = iter(results)
    shown = [None if row is None else result_json(at, next(of_rows)) for at, row in enumerate(rows)]
    counted = Counter("failed" if isinstance(result, Refusal) else result.outcome for result in results)
    return pb.UpsertContactsResponse(results_json=orjson.dumps(shown), **counted)


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
