"""A do-not-contact entry."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Suppression:
    """Exactly one of phone (E.164) and email, or none where a deleted contact's stands as a keyed hash.

    Channels in lower case, empty for all.
    """

    id: UUID
    phone: str | None
    email: str | None
    email_normal: str | None
    channels: list[str]
    reason: str
    created_at: datetime
