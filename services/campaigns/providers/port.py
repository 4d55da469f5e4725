"""What a provider of any kind offers the dispatcher."""

from dataclasses import dataclass
from typing import Protocol

from services.campaigns.domain.sending import Answer, Keys


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to one recipient."""

    # Stable over all attempts: the recipient's id, `rcp_…`.
    key: str
    to: str
    sender: str
    channel: str
    text: str
    subject: str | None
    callback_url: str


class Provider(Protocol):
    # What it does with the key; decides what may be repeated.
    keys: Keys

    async def send(self, message: Outbound) -> Answer:
        """One attempt. Never raises for what the provider does or fails to do; may be cancelled."""
        ...
