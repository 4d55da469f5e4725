"""A batch of upserts: rows that can be read go on, and what became of all of them comes back in their order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from carillon.contacts.v1 import bulk_pb2 as pb
from chassis.errors import CarillonError
from formats import contact_json
from services.gateway.refusals import refused
from services.gateway.schemas.batch import ROWS


@dataclass(slots=True)
class Batch:
    """rows: as they go on, None in the place of one that cannot be read. refused: these, by their place."""

    rows: list[Any]
    refused: dict[int, CarillonError]


def read(rows: Sequence[Any]) -> Batch:
    try:
        return Batch(ROWS.validate_python(rows), {})
    except ValidationError as error:
        faults = error.errors()
    by_row: dict[int, list[Any]] = {}
    for fault in faults:
        at = int(fault["loc"][0])
        by_row.setdefault(at, []).append({**fault, "loc": ("body", "contacts", *fault["loc"])})
    read_rows = iter(ROWS.validate_python([row for at, row in enumerate(rows) if at not in by_row]))
    return Batch(
        [None if at in by_row else next(read_rows) for at in range(len(rows))],
        {at: refused(found) for at, found in by_row.items()},
    )


def request(batch: Batch, default_region: str) -> pb.UpsertContactsRequest:
    return pb.UpsertContactsRequest(rows_json=orjson.dumps(batch.rows), default_region=default_region)


def answer(batch: Batch, source: pb.UpsertContactsResponse) -> dict[str, Any]:
    return {
        "created": source.created,
        "updated": source.updated,
        "unchanged": source.unchanged,
        "failed": source.failed + len(batch.refused),
        "results": results(batch, source.results_json),
    }


def results(batch: Batch, given: bytes) -> Any:
    """given: null in the places of the rows that were refused here."""
    if not batch.refused:
        return orjson.Fragment(given)
    found = orjson.loads(given)
    for at, error in batch.refused.items():
        found[at] = contact_json.batch_row(at, "failed", error=refusal(error))
    return found


def refusal(error: CarillonError) -> dict[str, object]:
    violations = [(one.pointer, one.code, one.detail) for one in error.violations]
    return contact_json.batch_error(error.reason, error.detail, errors=violations)
