"""What a provider posted, and what was understood of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from services.campaigns.domain.audience import Channel
from services.campaigns.repository.inbound import NewMessage
from services.campaigns.repository.receipts import NewReceipt

MAX_ITEMS = 1000
MAX_ID = 256
MAX_REASON = 500
MAX_ADDRESS = 320
MAX_TEXT = 10_000


@dataclass(frozen=True, slots=True)
class Posted:
    """body: as it came. url: the public one that was called, with its query. signatures: headers by lower-case name."""

    body: bytes
    content_type: str
    url: str
    signatures: dict[str, str]
    now: datetime

    @property
    def is_form(self) -> bool:
        return self.content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class SenderOf:
    """Whose hook it is. secrets: opened."""

    id: UUID
    channel: Channel
    secrets: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Understood:
    """To be stored, and what the provider is to be answered with."""

    receipts: Sequence[NewReceipt] = ()
    messages: Sequence[NewMessage] = field(default=())
    answer: bytes | None = None
    content_type: str = "application/json"

    @property
    def count(self) -> int:
        return len(self.receipts) + len(self.messages)


def clean(text: str, longest: int) -> str:
    """As the database can keep it, cut to the length."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:longest]
