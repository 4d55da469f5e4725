"""Static lists and their members."""

from typing import Annotated

from pydantic import ConfigDict, Field

from services.gateway.schemas.fields import MAX_BULK_IDS, Answer, Body, Moment, Name, Reference, Text

MAX_LISTS = 100
EXAMPLE_LIST = "lst_01h455vb4pex5vsknk084sn02q"
EXAMPLE_CONTACT = "cnt_01h455vb4pex5vsknk084sn02q"

ContactIds = Annotated[list[Reference], Field(min_length=1, max_length=MAX_BULK_IDS, examples=[[EXAMPLE_CONTACT]])]
ListIds = Annotated[list[Reference], Field(min_length=1, max_length=MAX_LISTS, examples=[[EXAMPLE_LIST]])]


class ListCreate(Body):
    """Names need not be unique."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Newsletter", "description": "Asked for it"}]}
    )
    name: Name
    description: Text | None = None


class ListUpdate(Body):
    # Absent, or a value, never null: a default_factory keeps the made-up default out of the OpenAPI.
    name: Name = Field(default_factory=str, examples=["Newsletter"])
    description: Annotated[Text | None, Field(description="null clears it")] = None


class ListMembers(Body):
    contact_ids: ContactIds


class ListsMembers(Body):
    contact_ids: ContactIds
    list_ids: ListIds


class ContactList(Answer):
    id: Annotated[str, Field(examples=[EXAMPLE_LIST])]
    name: str
    description: str | None
    member_count: Annotated[int, Field(description="Contacts on it now; they come and go without a new version")]
    version: int
    created_at: Moment
    updated_at: Moment


class ListPage(Answer):
    data: list[ContactList]
    next_cursor: str | None
    has_more: bool


class ContactFailure(Answer):
    contact_id: str
    code: str
    detail: str


class MembersAdded(Answer):
    added: Annotated[int, Field(description="Pairs of a contact and a list that were not there before")]
    not_found: Annotated[list[str], Field(description="Contact ids that name nobody")]
    errors: Annotated[list[ContactFailure], Field(description="Contacts that would be on more than 100 lists")]


class MembersRemoved(Answer):
    removed: Annotated[int, Field(description="Pairs of a contact and a list that were there")]
    not_found: Annotated[list[str], Field(description="Contact ids that name nobody")]
