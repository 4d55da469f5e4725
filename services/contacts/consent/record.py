"""What is on record of consent."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.contacts.domain.consent import Preference
from services.contacts.domain.contact import Contact


@dataclass(frozen=True, slots=True)
class Consent:
    """Evidence of one change; a row of `consents`, account and contact aside."""

    id: UUID
    channel: str
    before: Preference
    after: Preference
    source: str
    text: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Optout:
    """A contact, and when it opted out of which channels."""

    contact: Contact
    channels: list[tuple[str, datetime]]
