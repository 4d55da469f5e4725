"""What a recipient is reached by, and what a message may say of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID


class Channel(StrEnum):
    SMS = "sms"
    WHATSAPP = "whatsapp"
    EMAIL = "email"
    RCS = "rcs"
    VIBER = "viber"
    VOICE = "voice"

    @property
    def address(self) -> str:
        """What its addresses are called: `phone` or `email`."""
        return "email" if self is Channel.EMAIL else "phone"


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a campaign is for: the members of a segment or of a list, some contacts, or else uploaded recipients."""

    # At most one of the three.
    segment_id: UUID | None = None
    list_id: UUID | None = None
    contact_ids: tuple[UUID, ...] | None = None
    # Less the members of these.
    exclude_segment_ids: tuple[UUID, ...] = ()

    @property
    def kinds(self) -> list[str]:
        """The fields that say who; none where recipients are uploaded."""
        return [name for name in ("segment_id", "list_id", "contact_ids") if getattr(self, name) is not None]

    @property
    def is_uploaded(self) -> bool:
        return not self.kinds


# Headers, squeezed to letters and digits, that mark the column of addresses. The first column that matches is taken.
PHONE_HEADERS = """
phone phonenumber phoneno telephone telephonenumber tel mobile mobilephone mobilenumber mobileno cell cellphone
cellnumber msisdn number to recipient whatsapp whatsappnumber sms
"""
EMAIL_HEADERS = "email emailaddress mail mailaddress to recipient"
ADDRESS_HEADERS = {"phone": frozenset(PHONE_HEADERS.split()), "email": frozenset(EMAIL_HEADERS.split())}
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def squeezed(header: str) -> str:
    return "".join(character for character in header.casefold() if character.isalnum())


def address_column(columns: Iterable[str], channel: Channel) -> int | None:
    """The index of the column that holds the addresses, or None. `phone` and `email` themselves go first."""
    found = [squeezed(column) for column in columns]
    if channel.address in found:
        return found.index(channel.address)
    known = ADDRESS_HEADERS[channel.address]
    return next((at for at, column in enumerate(found) if column in known), None)


def variable_name(header: str) -> str:
    """What a template calls a column: the header itself where Liquid can say it, else `First Name!` → `first_name`."""
    header = header.strip()
    if IDENTIFIER.fullmatch(header):
        return header
    name = re.sub(r"[^\w]+", "_", header.lower()).strip("_")
    return f"_{name}" if name[:1].isdigit() else name


def contact_variables(fields: Mapping[str, Any], metadata: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The values of a contact that a template asks for: its fields, then what its metadata has besides.

    Only those: the ledger keeps no more of a person than the message needs.
    """
    found: dict[str, Any] = {}
    for name in names:
        value = fields.get(name)
        if value is None:
            value = metadata.get(name)
        if value is not None:
            found[name] = value
    return found
