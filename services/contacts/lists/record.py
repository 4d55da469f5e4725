"""A static list."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(slots=True)
class ContactList:
    """A row of `lists`, account aside."""

    id: UUID
    name: str
    description: str | None
    member_count: int
    version: int
    created_at: datetime
    updated_at: datetime
