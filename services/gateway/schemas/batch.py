"""Many upserts in one call."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from services.gateway.schemas.contacts import PREMIUM
from services.gateway.schemas.fields import MAX_BULK_IDS, Answer, Body, FieldProblem

# The service reads the rows: one that is none costs the others nothing.
Row = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/ContactCreate"})]


class ContactBatch(Body):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"contacts": [PREMIUM]}]})
    contacts: Annotated[list[Row], Field(min_length=1, max_length=MAX_BULK_IDS)]


class BatchError(Answer):
    """What `POST /v1/contacts` would have refused the row for."""

    code: str
    detail: str
    errors: Annotated[list[FieldProblem], Field(description="With JSON pointers into the body of the request")]
    existing_ids: Annotated[list[str], Field(description="The contacts that have the row's keys, if that is why")]


class BatchRow(Answer):
    index: Annotated[int, Field(description="The row's place in `contacts`, from 0")]
    outcome: Literal["created", "updated", "unchanged", "failed"]
    id: Annotated[str | None, Field(description="Null where the row failed")]
    version: Annotated[int | None, Field(description="Of the contact, behind the whole batch")]
    error: BatchError | None


class BatchAnswer(Answer):
    created: int
    updated: int
    unchanged: int
    failed: int
    results: Annotated[list[BatchRow], Field(description="One for each row, in their order")]
