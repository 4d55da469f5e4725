"""What somebody said."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.contacts.domain.consent import Preference


@dataclass(frozen=True, slots=True)
class Heard:
    """By a message, or by a link."""

    id: UUID
    channel: str
    # Folded; empty where it can be nobody's.
    address: str
    to: str
    text: str
    at: datetime
    # Of the channel; None where it says nothing of it.
    says: Preference | None
    source: str
    campaign_id: UUID | None
    recipient_id: UUID | None
    is_message: bool

    @property
    def by_email(self) -> bool:
        return "@" in self.address

    @property
    def by(self) -> str:
        """By what kind of address contacts are found."""
        return "email" if self.by_email else "phone"
