"""Many upserts in one call."""

from typing import Annotated, Any, Literal, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, WithJsonSchema
from typing_extensions import TypedDict

from services.gateway.schemas.contacts import PREMIUM, ContactCreate
from services.gateway.schemas.fields import MAX_BULK_IDS, Answer, Body, FieldProblem

# Read row by row, so that one that cannot be read costs the others nothing.
Row = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/ContactCreate"})]
# ContactCreate as an object of what was sent and nothing else: that goes on as it is, and costs a third of a model.
FIELDS = get_type_hints(ContactCreate, include_extras=True)
Fields = TypedDict("Fields", {name: FIELDS[name] for name in ContactCreate.model_fields}, total=False)  # type: ignore[misc]
Fields.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
ROWS = TypeAdapter(list[Fields])


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
