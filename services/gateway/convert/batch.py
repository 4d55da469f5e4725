"""A batch of upserts goes on as it came: the contacts service reads it, and refuses what the fields' own types would.

What is refused is read here as well, because then the refusal names the field and why, as one of a single contact does.
"""

from itertools import islice
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from carillon.contacts.v1 import bulk_pb2 as pb
from chassis.errors import CarillonError
from formats import contact_json
from services.gateway.json_request import decoded
from services.gateway.refusals import refused
from services.gateway.schemas.batch import ContactBatch
from services.gateway.schemas.contacts import ContactCreate

# More than a contact has fields.
MOST_MEMBERS = 200


def check(body: bytes) -> None:
    """Raises InvalidArgument for what is no batch, whatever its rows are."""
    if (error := fault(ContactBatch, decoded(body))) is not None:
        raise error


def request(body: bytes, default_region: str) -> pb.UpsertBatchRequest:
    return pb.UpsertBatchRequest(body_json=body, default_region=default_region)


def answer(body: bytes, source: pb.UpsertBatchResponse) -> dict[str, Any]:
    return {
        "created": source.created,
        "updated": source.updated,
        "unchanged": source.unchanged,
        "failed": source.failed,
        "results": worded(body, source.results_json) if source.failed else orjson.Fragment(source.results_json),
    }


def worded(body: bytes, results_json: bytes) -> list[Any]:
    """The results, with our words for the rows that are none by their fields' types."""
    results: list[Any] = orjson.loads(results_json)
    for row, result in zip(decoded(body)["contacts"], results, strict=True):
        if result["outcome"] != "failed":
            continue
        if (error := fault(ContactCreate, fewer(row), "contacts", result["index"])) is not None:
            violations = [(one.pointer, one.code, one.detail) for one in error.violations]
            result["error"] = contact_json.batch_error(error.reason, error.detail, errors=violations)
    return results


def fewer(row: Any) -> Any:
    """Some of more than MOST_MEMBERS are no fields, which is enough: of all, pydantic would make an error each."""
    return dict(islice(row.items(), MOST_MEMBERS)) if isinstance(row, dict) else row


def fault(model: type[BaseModel], value: Any, *at: str | int) -> CarillonError | None:
    """Why the value is none of the model, if it is none. at: where it is in the body."""
    try:
        model.model_validate(value, from_attributes=True)
    except ValidationError as error:
        return refused([{**one, "loc": ("body", *at, *one["loc"])} for one in error.errors()])
    return None
