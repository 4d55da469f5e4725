"""What contacts can be narrowed to, in a query and in a body."""

from typing import Annotated, Literal

from pydantic import Field

from services.gateway.schemas.fields import Body, Channel, Reference, ShortText, Text, Time

Validity = Literal[
    "valid",
    "invalid",
    "unknown",
    "phone:valid",
    "phone:invalid",
    "phone:unknown",
    "email:valid",
    "email:invalid",
    "email:unknown",
]
SEARCH = (
    "Every word of it begins a word of the name or of the email, or begins or ends the phone's digits. Case and "
    "accents do not count; a phone may be typed as phones are written. May lag a write by a second."
)
VALIDITY = "Of the phone, or of the address named: `email:invalid`. `unknown` is also where there is no such address."
CHANNEL = (
    "Contacts that can be reached on it: `email` those with an email, the others those with a phone. What a contact "
    "says of the channel in its preferences does not count here."
)


class ContactFilter(Body):
    """As the parameters of `GET /v1/contacts`; all given must hold, and none given finds every contact."""

    search: Annotated[ShortText | None, Field(description=SEARCH)] = None
    stage: ShortText | None = None
    country: ShortText | None = None
    gender: ShortText | None = None
    validity: Annotated[Validity | None, Field(description=VALIDITY)] = None
    channel: Annotated[Channel | None, Field(description=CHANNEL)] = None
    tag: ShortText | None = None
    list_id: Annotated[Reference | None, Field(description="Contacts on this list")] = None
    phone: ShortText | None = None
    email: Text | None = None
    external_id: ShortText | None = None
    created_after: Annotated[Time | None, Field(description="Exclusive")] = None
    created_before: Annotated[Time | None, Field(description="Exclusive")] = None
    updated_after: Annotated[Time | None, Field(description="Exclusive")] = None
