"""The address book's shapes, made of the canonical ones, and the other way round."""

from collections import Counter
from typing import Any

from carillon.contacts.v1 import contacts_pb2, exports_pb2, imports_pb2
from services.gateway.convert import contact_filters, contacts, exports, imports
from services.gateway.dialects.addressbook.route import CUSTOM, METADATA
from services.gateway.dialects.addressbook.schemas import (
    AddressBookContactFields,
    AddressBookExportCreate,
    AddressBookFilter,
    AddressBookImportCommit,
)
from services.gateway.schemas.contacts import ContactFields
from services.gateway.schemas.exports import ExportCreate, ExportFilter
from services.gateway.schemas.imports import ImportCommit

SAME = ("id", "name", "phone", "email", "gender")
ALSO = ("validity", "channels", "lists", "created_at", "updated_at")


def patch(body: AddressBookContactFields) -> contacts_pb2.ContactPatch:
    """Of what was sent."""
    return contacts.patch(ContactFields.model_validate(body.model_dump(exclude_unset=True)))


def contact(source: contacts_pb2.Contact) -> dict[str, Any]:
    found = contacts.contact(source)
    return {
        **{name: found[name] for name in SAME},
        CUSTOM: found[METADATA],
        **{name: found[name] for name in ALSO},
    }


def contact_filter(wanted: AddressBookFilter) -> contacts_pb2.ListContactsRequest:
    return contact_filters.contact_filter(**canonical(wanted))


def export(body: AddressBookExportCreate) -> exports_pb2.CreateExportRequest:
    narrowed = ExportFilter.model_validate(canonical(body.filter))
    return exports.request(ExportCreate(resource="contacts", format=body.format, filter=narrowed))


def canonical(wanted: AddressBookFilter) -> dict[str, Any]:
    """What is given, under the canonical names. A name is looked for as a search does, by how its words begin."""
    given = wanted.model_dump(exclude_none=True)
    if "name" in given:
        given["search"] = given.pop("name")
    return given


def upload(answer: contacts_pb2.CreateImportResponse) -> dict[str, Any]:
    preview = answer.preview
    titles = Counter(column.title for column in preview.columns)
    return {
        "import_id": getattr(answer, "import").id,  # a keyword in Python
        "columns": [column.title for column in preview.columns],
        "rows": [list(row.cells) for row in preview.rows],
        "suggested_mapping": {
            column.title if column.title and titles[column.title] == 1 else f"#{column.index + 1}": renamed(
                column.suggested_target, METADATA, CUSTOM
            )
            for column in preview.columns
        },
    }


def commit(import_id: str, body: AddressBookImportCommit) -> imports_pb2.CommitImportRequest:
    mapping = {column: renamed(target, CUSTOM, METADATA) for column, target in (body.mapping or {}).items()}
    return imports.commit(import_id, ImportCommit(mapping=mapping))


def renamed(target: str, before: str, after: str) -> str:
    """`metadata.city` as `custom_fields.city`, and back."""
    return after + target[len(before) :] if target.startswith(before + ".") else target
