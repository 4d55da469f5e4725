"""One change to many contacts."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from services.gateway.schemas.contact_filters import ContactFilter
from services.gateway.schemas.fields import Answer, Body, Moment, Reference, Tags
from services.gateway.schemas.lists import (
    EXAMPLE_CONTACT,
    EXAMPLE_LIST,
    MAX_LISTS,
    ContactFailure,
    ContactIds,
)


class BulkTarget(Body):
    """Exactly one of contact_ids and filter."""

    contact_ids: ContactIds | None = None
    filter: ContactFilter | None = None


Lists = Annotated[list[Reference], Field(max_length=MAX_LISTS)]


class BulkTag(BulkTarget):
    """Tags to add and to take off; at least one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"contact_ids": [EXAMPLE_CONTACT], "add": ["vip"], "remove": ["lead"]}]},
    )
    add: Tags = Field(default_factory=list)
    remove: Tags = Field(default_factory=list)


class BulkList(BulkTarget):
    """Lists to put the contacts on and to take them off; at least one."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"filter": {"tag": "vip"}, "add": [EXAMPLE_LIST]}]}
    )
    add: Lists = Field(default_factory=list)
    remove: Lists = Field(default_factory=list)


class BulkOutcome(Answer):
    """changed + unchanged + failed is the number of different contacts that were found."""

    changed: int
    unchanged: int
    failed: Annotated[int, Field(description="Left as they are: they would have too many tags or lists")]
    not_found: Annotated[list[str], Field(description="Contact ids that name nobody")]
    errors: list[ContactFailure]


class BulkJob(Answer):
    id: Annotated[str, Field(examples=["job_01h455vb4pex5vsknk084sn02q"])]
    status: Literal["queued", "running", "completed", "failed"]
    progress: Annotated[dict[Literal["contacts_done"], int], Field(description="Contacts dealt with so far")]
    changed: int
    unchanged: int
    failed: Annotated[int, Field(description="Left as they are: they would have too many tags or lists")]
    error: Annotated[str | None, Field(description="Why it failed; what was counted so far is done")]
    created_at: Moment
    finished_at: Moment | None
