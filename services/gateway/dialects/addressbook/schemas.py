"""Bodies and answers of the address book dialect."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from services.gateway.dialects.ignored import DialectBody
from services.gateway.schemas.contact_filters import CHANNEL, SEARCH, VALIDITY, Validity
from services.gateway.schemas.contacts import ContactValidity
from services.gateway.schemas.exports import Format
from services.gateway.schemas.fields import (
    MAX_BULK_IDS,
    Answer,
    Channel,
    JsonObject,
    Moment,
    Name,
    Reference,
    ShortText,
    Text,
)
from services.gateway.schemas.imports import MAX_COLUMNS, Target
from services.gateway.schemas.lists import EXAMPLE_CONTACT, EXAMPLE_LIST, ContactIds, ContactList, ListIds

CONTACT: dict[str, Any] = {
    "name": "John Doe",
    "phone": "+1234567890",
    "email": "john@example.com",
    "gender": "male",
    "custom_fields": {"city": "Austin"},
}
EXAMPLE_IMPORT = "imp_01h455vb4pex5vsknk084sn02q"
MAPPING = {"Full name": "name", "Mobile": "phone", "City": "custom_fields.city", "Notes": "skip"}
COMMIT: dict[str, Any] = {"import_id": EXAMPLE_IMPORT, "mapping": MAPPING}


class AddressBookContactFields(DialectBody):
    """On an update absent fields stay, and null clears one."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONTACT]})

    name: ShortText | None = None
    phone: Annotated[ShortText | None, Field(description="With its country code")] = None
    email: Text | None = None
    gender: ShortText | None = None
    metadata: Annotated[
        JsonObject | None,
        Field(alias="custom_fields", description="Merged by key; a null value drops the key; 16 KiB, 5 levels"),
    ] = None


class AddressBookDelete(DialectBody):
    ids: Annotated[list[Reference], Field(min_length=1, max_length=MAX_BULK_IDS, examples=[[EXAMPLE_CONTACT]])]


class AddressBookImportCommit(DialectBody):
    model_config = ConfigDict(json_schema_extra={"examples": [COMMIT]})

    import_id: Annotated[Reference, Field(description="As the upload answered it")]
    mapping: Annotated[
        dict[ShortText, Target] | None,
        Field(
            max_length=MAX_COLUMNS,
            description="Title of a column, or `#1` for the first one and so on → `name`, `phone`, `email`, `gender`, "
            "`custom_fields.KEY`, any other field of a contact, or `skip`. Columns that are not named stay as "
            "suggested.",
        ),
    ] = None


class AddressBookListCreate(DialectBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Newsletter", "description": "Asked for it"}]})

    name: Name
    description: Text | None = None


class AddressBookListContacts(DialectBody):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"contact_ids": [EXAMPLE_CONTACT], "list_ids": [EXAMPLE_LIST]}]}
    )

    contact_ids: ContactIds
    list_ids: ListIds


class AddressBookFilter(DialectBody):
    """As the parameters of the list call; all given must hold."""

    name: Annotated[ShortText | None, Field(description=SEARCH)] = None
    phone: ShortText | None = None
    email: Text | None = None
    gender: ShortText | None = None
    validity: Annotated[Validity | None, Field(description=VALIDITY)] = None
    channel: Annotated[Channel | None, Field(description=CHANNEL)] = None


class AddressBookExportCreate(DialectBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"format": "csv", "filter": {"gender": "female"}}]})

    format: Format = "csv"
    filter: AddressBookFilter = AddressBookFilter()


class AddressBookContact(Answer):
    id: Annotated[str, Field(examples=[EXAMPLE_CONTACT])]
    name: str | None
    phone: str | None
    email: str | None
    gender: str | None
    custom_fields: dict[str, Any]
    validity: ContactValidity
    channels: Annotated[list[str], Field(description="What the contact can be reached on")]
    lists: Annotated[list[str], Field(description="Ids of the lists that it is on")]
    created_at: Moment
    updated_at: Moment


class NumberedAnswer(Answer):
    total: Annotated[int, Field(description="Of all pages")]
    total_is_estimate: Annotated[bool, Field(description="Counting would have taken too long")]
    page: int
    per_page: int


class AddressBookContactPage(NumberedAnswer):
    data: list[AddressBookContact]


class AddressBookListPage(NumberedAnswer):
    data: list[ContactList]


class AddressBookUpload(Answer):
    """What the file holds, and what its columns seem to be. Nothing is imported until the mapping is confirmed."""

    import_id: Annotated[str, Field(examples=[EXAMPLE_IMPORT])]
    columns: Annotated[list[str], Field(description="Titles, in the order of the file", examples=[list(MAPPING)])]
    rows: Annotated[list[list[str]], Field(description="The first 100, a cell a column, each cut at 200 characters")]
    suggested_mapping: Annotated[
        dict[str, str],
        Field(
            description="To be sent back as `mapping`, as it is or changed. A column whose title is empty or not its "
            "own is named by its place: `#3`",
            examples=[MAPPING],
        ),
    ]
