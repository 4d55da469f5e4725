"""What is on record of a contact's past."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

# The type of an entry for a message that came from the contact.
RECEIVED = "message.received"


@dataclass(frozen=True, slots=True)
class Entry:
    """Of a timeline. `at`, `ref` and `stage` together tell entries apart, and order them."""

    at: datetime
    # The row that it is read from: of activity, consents, messages or replies.
    ref: UUID
    # Of a message, from 1 in the order of domain.activity.STAGES; 0 for the others, which have a row each.
    stage: int
    type: str
    channel: str | None
    text: str
    # A JSON object as text.
    data: str
    actor: str
    # Of messages alone; why it failed, where it did.
    campaign_id: UUID | None
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """What an integrator adds: a row of `activity`, account and contact aside."""

    at: datetime
    id: UUID
    type: str
    channel: str | None
    text: str
    # A JSON object as text.
    data: str
    actor: str


@dataclass(slots=True)
class Message:
    """A recipient of a campaign as it stands; a row of `messages`, account and contact aside."""

    id: UUID
    campaign_id: UUID
    channel: str
    address: str
    status: str
    reason: str
    state_revision: int
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    opened_at: datetime | None = None
    clicked_at: datetime | None = None
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A message that came from the contact; a row of `replies`, account and contact aside."""

    id: UUID
    at: datetime
    channel: str
    address: str
    # Of ours; empty where the provider did not say.
    to_address: str
    text: str
    campaign_id: UUID | None
    recipient_id: UUID | None
