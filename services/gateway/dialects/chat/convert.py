"""The chat dialect's shapes, made of the canonical ones."""

from typing import Any

from carillon.contacts.v1 import activity_pb2, contacts_pb2
from services.gateway.convert import activity, contacts
from services.gateway.dialects.chat.route import NAMES
from services.gateway.dialects.ignored import DialectBody
from services.gateway.schemas.contacts import ContactFields

# Only ever shown: what nobody gave is not stored.
UNNAMED = dict.fromkeys(("firstName", "lastName"), "Unknown")


def patch(body: DialectBody) -> contacts_pb2.ContactPatch:
    """Of what was sent."""
    return contacts.patch(ContactFields.model_validate(body.model_dump(exclude_unset=True)))


def contact(source: contacts_pb2.Contact) -> dict[str, Any]:
    found = contacts.contact(source)
    answer = {printed: found[name] for name, printed in NAMES.items()}
    for printed, unknown in UNNAMED.items():
        answer[printed] = answer[printed] or unknown
    return {"id": source.id, "contactId": source.id, **answer}


def membership(contact_id: str, list_id: str, *, is_member: bool, changed: bool) -> dict[str, Any]:
    return {"contactId": contact_id, "listId": list_id, "isMember": is_member, "changed": changed}


def message(source: activity_pb2.ContactMessage) -> dict[str, Any]:
    return {camel(name): value for name, value in activity.message(source).items()}


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
