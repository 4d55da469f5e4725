"""A change to a contact as a person reads it: the fields that differ, before and after, by their public names."""

from typing import Any

from chassis import ids
from formats import contact_json
from services.contacts.domain.contact import WIRE_FIELDS, Contact, changed_fields, parse_stored
from services.contacts.imports.record import Change

# Follow from other fields.
DERIVED = frozenset({"name", "channels", "phone_validity", "email_validity"})


def shown_change(before: Contact | None, after: Contact) -> Change:
    """before: None for a contact that is made. It may come from a dry run too, and then nobody knows its id."""
    if before is None:
        fields = {name: value for name, value in public(after).items() if value not in (None, [], {}, False)}
        fields.pop("is_bot_active", None)
        return Change("", {}, fields)
    changed = {name.removesuffix("_json") for name in changed_fields(before, after)}
    return Change(
        ids.encode("cnt", after.id),
        {name: value for name, value in public(before).items() if name in changed},
        {name: value for name, value in public(after).items() if name in changed},
    )


def public(contact: Contact) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for wire, name in WIRE_FIELDS:
        value = getattr(contact, name)
        if wire in contact_json.OBJECTS.values():
            value = None if value is None else parse_stored(value)
        elif wire == "lists":
            value = [ids.encode("lst", list_id) for list_id in value]
        elif wire == "preferences":
            value = parse_stored(value)
        if wire not in DERIVED:
            found[wire.removesuffix("_json")] = value
    return found
