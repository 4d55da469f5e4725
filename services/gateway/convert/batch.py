"""A batch of upserts: rows that can be read go on, and what became of all of them comes back in their order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from carillon.contacts.v1 import bulk_pb2 as pb
from carillon.contacts.v1 import contacts_pb2
from chassis.errors import CarillonError
from services.gateway.convert.contacts import patch
from services.gateway.convert.values import Names
from services.gateway.refusals import refused
from services.gateway.schemas.contacts import ContactCreate

OUTCOMES = Names(pb.BatchOutcome, "BATCH_OUTCOME_", unspecified="failed")


@dataclass(slots=True)
class Batch:
    """patches: of the rows that could be read. refused: the others, by their place."""

    patches: list[contacts_pb2.ContactPatch] = field(default_factory=list)
    refused: dict[int, CarillonError] = field(default_factory=dict)


def read(rows: Sequence[Any]) -> Batch:
    batch = Batch()
    for at, row in enumerate(rows):
        try:
            batch.patches.append(patch(ContactCreate.model_validate(row)))
        except ValidationError as error:
            found = [{**one, "loc": ("body", "contacts", at, *one["loc"])} for one in error.errors()]
            batch.refused[at] = refused(found)
    return batch


def answer(batch: Batch, results: Sequence[pb.BatchResult]) -> dict[str, Any]:
    rows = list(answer_rows(batch, iter(results), number=len(batch.refused) + len(results)))
    counted = Counter(row["outcome"] for row in rows)
    return {name: counted[name] for name in ("created", "updated", "unchanged", "failed")} | {"results": rows}


def answer_rows(batch: Batch, results: Iterator[pb.BatchResult], *, number: int) -> Iterator[dict[str, Any]]:
    for at in range(number):
        if at in batch.refused:
            yield failed(at, refusal(batch.refused[at]))
            continue
        result = next(results)
        if result.HasField("error"):
            yield failed(at, error(at, result.error))
        else:
            outcome = OUTCOMES.text(result.outcome)
            yield {
                "index": at, "outcome": outcome, "id": result.contact_id, "version": result.version, "error": None
            }  # fmt: skip


def failed(at: int, why: dict[str, Any]) -> dict[str, Any]:
    return {"index": at, "outcome": "failed", "id": None, "version": None, "error": why}


def refusal(error: CarillonError) -> dict[str, Any]:
    return {
        "code": error.reason,
        "detail": error.detail,
        "errors": [{"pointer": one.pointer, "code": one.code, "detail": one.detail} for one in error.violations],
        "existing_ids": [],
    }


def error(at: int, source: pb.BatchError) -> dict[str, Any]:
    return {
        "code": source.code,
        "detail": source.detail,
        "errors": [
            {"pointer": f"/contacts/{at}{one.pointer}", "code": one.code, "detail": one.detail}
            for one in source.violations
        ],
        "existing_ids": list(source.existing_ids),
    }
