"""Phone-first identity: which keys a contact has, and what it means when another contact holds one.

Phone and external id are unique in an account. An email is a key, folded, only among contacts without a phone,
because real address books share addresses.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from services.contacts.domain.contact import Contact

Key = Literal["phone", "external_id", "email"]


@dataclass(frozen=True, slots=True)
class Keys:
    """The values under which nobody else may be. None: not a key of this contact."""

    phone: str | None
    external_id: str | None
    email_normal: str | None


@dataclass(frozen=True, slots=True)
class Holder:
    """A contact that has one of the keys."""

    id: UUID
    key: Key


def keys(contact: Contact) -> Keys:
    return Keys(contact.phone, contact.external_id, contact.email_normal if contact.phone is None else None)


def pairs(contact: Contact) -> list[tuple[Key, str]]:
    """The keys that the contact has, each with its name."""
    found: list[tuple[Key, str]] = []
    if contact.phone is not None:
        found.append(("phone", contact.phone))
    elif contact.email_normal is not None:
        found.append(("email", contact.email_normal))
    if contact.external_id is not None:
        found.append(("external_id", contact.external_id))
    return found


def others(holders: Iterable[Holder], *, than: UUID | None = None) -> list[Holder]:
    """One entry per other contact, phone's holder first, then external id's, then email's."""
    order: list[Key] = ["phone", "external_id", "email"]
    found: dict[UUID, Holder] = {}
    for holder in sorted(holders, key=lambda holder: order.index(holder.key)):
        if holder.id != than:
            found.setdefault(holder.id, holder)
    return list(found.values())
